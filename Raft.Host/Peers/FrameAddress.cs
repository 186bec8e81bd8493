using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Whose frame, for whom, of which group. The handshake names both ends; the hashes prove that a frame means them.</summary>
internal sealed record FrameAddress(byte[] Group, uint Source, uint Destination)
{
    /// <summary>A frame of the node, not of a group.</summary>
    public static readonly FrameAddress Node = new([], 0, 0);

    public static uint HashOf(ServerId server)
    {
        var hash = new XxHash32();
        Span<byte> storage = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128LittleEndian(storage, server.Storage.Value);
        hash.Append(storage);
        hash.Append(Encoding.UTF8.GetBytes(server.Node.Value ?? ""));
        return hash.GetCurrentHashAsUInt32();
    }
}
