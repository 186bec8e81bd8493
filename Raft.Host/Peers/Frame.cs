using System.Buffers;
using System.Buffers.Binary;

namespace Raft.Host.Peers;

/// <summary>One frame as read, without its length.</summary>
/// <param name="Bytes">Header, group and payload.</param>
/// <param name="IsOwned">An array of its own that may be kept; else it is the reader's and ends with the read.</param>
/// <param name="Rented">The pool's array that the bytes are in; it goes back with <see cref="Return"/>. Null: no such.</param>
internal readonly record struct Frame(ReadOnlyMemory<byte> Bytes, bool IsOwned, byte[]? Rented = null)
{
    public FrameKind Kind => (FrameKind)Bytes.Span[0];

    public uint Source => BinaryPrimitives.ReadUInt32LittleEndian(Bytes.Span[2..]);

    public uint Destination => BinaryPrimitives.ReadUInt32LittleEndian(Bytes.Span[6..]);

    public ReadOnlySpan<byte> Group => Bytes.Span.Slice(FrameWriter.HeaderBytes, Bytes.Span[1]);

    public ReadOnlyMemory<byte> Payload => Bytes[(FrameWriter.HeaderBytes + Bytes.Span[1])..];

    /// <summary>Nobody reads it any more. Once only.</summary>
    public void Return()
    {
        if (Rented is not null)
            ArrayPool<byte>.Shared.Return(Rented);
    }

    /// <summary>A copy that may be kept.</summary>
    public Frame Owned() => IsOwned ? this : new Frame(Bytes.ToArray(), true);
}
