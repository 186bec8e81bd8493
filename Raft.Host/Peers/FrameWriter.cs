using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Frames, one behind the other, in one pooled buffer that grows. Little endian.</summary>
/// <remarks>
/// A frame: u32 length of what follows; u8 kind; u8 length of the group's name; u32 source, u32 destination (hashes of
/// the servers' ids, 0 in frames of the node); the group's name in UTF-8; the payload. Hot path.
/// </remarks>
internal sealed class FrameWriter : IDisposable
{
    public const int LengthBytes = 4;
    public const int HeaderBytes = 10;

    private const int InitialBytes = 16 << 10;
    private const int KeptBytes = 1 << 20;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
    private readonly int _headBytes;
    private int _frameStart;

    /// <param name="headBytes">To reserve in front of each batch.</param>
    public FrameWriter(int headBytes = 0)
    {
        _headBytes = headBytes;
        Length = headBytes;
    }

    /// <summary>All bytes, the reserved head included.</summary>
    public int Length { get; private set; }

    public int Frames { get; private set; }

    public bool IsEmpty => Frames == 0;

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, Length);

    public int HeadBytes => _headBytes;

    /// <summary>The bytes in front, for what is known only when the batch leaves.</summary>
    public Span<byte> Head => _bytes.AsSpan(0, _headBytes);

    public void Begin(FrameKind kind) => Begin(kind, FrameAddress.Node);

    public void Begin(FrameKind kind, FrameAddress address)
    {
        _frameStart = Length;
        Span<byte> header = Take(LengthBytes + HeaderBytes + address.Group.Length);
        header[4] = (byte)kind;
        header[5] = (byte)address.Group.Length;
        BinaryPrimitives.WriteUInt32LittleEndian(header[6..], address.Source);
        BinaryPrimitives.WriteUInt32LittleEndian(header[10..], address.Destination);
        address.Group.CopyTo(header[14..]);
    }

    /// <param name="follows">Bytes of the frame that are written behind it by somebody else.</param>
    public void End(int follows = 0)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(_frameStart), Length - _frameStart - LengthBytes + follows);
        Frames++;
    }

    /// <summary>All frames of another one, which has no head.</summary>
    public void Append(FrameWriter other)
    {
        Bytes(other.Written.Span);
        Frames += other.Frames;
    }

    /// <summary>Takes back a frame that could not be written to its end.</summary>
    public void Undo() => Length = _frameStart;

    public void Byte(byte value) => Take(1)[0] = value;

    public void Bool(bool value) => Byte(value ? (byte)1 : (byte)0);

    public void UInt16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);

    public void Int32(int value) => BinaryPrimitives.WriteInt32LittleEndian(Take(4), value);

    public void Int64(long value) => BinaryPrimitives.WriteInt64LittleEndian(Take(8), value);

    public void UInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Take(8), value);

    public void UInt128(UInt128 value) => BinaryPrimitives.WriteUInt128LittleEndian(Take(16), value);

    public void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Take(value.Length));

    /// <summary>Text of at most 64 KiB, cut there. Null (of an id that is not set) is written as empty.</summary>
    public void Text(string? value)
    {
        value ??= "";
        ReadOnlySpan<char> chars = value.AsSpan(0, Math.Min(value.Length, ushort.MaxValue / 3));
        int bytes = Encoding.UTF8.GetByteCount(chars);
        UInt16((ushort)bytes);
        Encoding.UTF8.GetBytes(chars, Take(bytes));
    }

    public void Server(ServerId server)
    {
        Text(server.Node.Value);
        UInt128(server.Storage.Value);
    }

    /// <summary>Empties it for the next batch; a buffer that has grown large goes back to the pool.</summary>
    public void Reset()
    {
        Length = _headBytes;
        Frames = 0;
        if (_bytes.Length <= KeptBytes)
            return;

        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    private Span<byte> Take(int count)
    {
        if (_bytes.Length - Length < count)
            Grow(count);

        Span<byte> taken = _bytes.AsSpan(Length, count);
        Length += count;
        return taken;
    }

    private void Grow(int count)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max(_bytes.Length * 2L, (long)Length + count)));
        _bytes.AsSpan(0, Length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
