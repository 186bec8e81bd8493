using System.Buffers;
using System.Buffers.Binary;

namespace Raft.Host.Peers;

/// <summary>Cuts a stream of bytes into frames.</summary>
/// <remarks>
/// A frame that is not there whole is collected in an array of its own, and its bytes count as consumed: a frame larger
/// than the HTTP/2 window would otherwise wait for itself. Hot path.
/// </remarks>
/// <param name="maxFrameBytes">A larger one is refused.</param>
/// <param name="isRenting">Each frame gets an array of the pool, to be given back with <see cref="Frame.Return"/>.</param>
internal sealed class FrameReader(int maxFrameBytes, bool isRenting = false)
{
    private byte[]? _partial;
    private int _length;
    private int _have;

    /// <summary>Takes the next whole frame off the buffer. False: what is left was kept, or is less than a length.</summary>
    /// <exception cref="BadFrameException">The length is impossible.</exception>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, out Frame frame)
    {
        frame = default;
        if (_partial is not null)
            return TryFinish(ref buffer, out frame);

        if (buffer.Length < FrameWriter.LengthBytes)
            return false;

        int length = ReadLength(buffer);
        buffer = buffer.Slice(FrameWriter.LengthBytes);
        if (isRenting || buffer.Length < length)
        {
            _partial = isRenting ? ArrayPool<byte>.Shared.Rent(length) : GC.AllocateUninitializedArray<byte>(length);
            _length = length;
            _have = 0;
            return TryFinish(ref buffer, out frame);
        }

        ReadOnlySequence<byte> whole = buffer.Slice(0, length);
        buffer = buffer.Slice(length);
        frame = whole.IsSingleSegment ? new Frame(whole.First, IsOwned: false) : new Frame(whole.ToArray(), IsOwned: true);
        Check(frame);
        return true;
    }

    private bool TryFinish(ref ReadOnlySequence<byte> buffer, out Frame frame)
    {
        frame = default;
        int more = (int)Math.Min(buffer.Length, _length - _have);
        buffer.Slice(0, more).CopyTo(_partial.AsSpan(_have)); // not null: the caller has looked, or set it
        buffer = buffer.Slice(more);
        _have += more;
        if (_have < _length)
            return false;

        byte[] whole = _partial!;
        frame = new Frame(whole.AsMemory(0, _length), IsOwned: true, isRenting ? whole : null);
        _partial = null;
        Check(frame);
        return true;
    }

    /// <summary>What was collected of a frame that will never be whole goes back.</summary>
    public void Abandon()
    {
        if (isRenting && _partial is not null)
            ArrayPool<byte>.Shared.Return(_partial);
        _partial = null;
    }

    private int ReadLength(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> bytes = stackalloc byte[FrameWriter.LengthBytes];
        buffer.Slice(0, FrameWriter.LengthBytes).CopyTo(bytes);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (length < FrameWriter.HeaderBytes)
            throw BadFrameException.Malformed($"a frame claims {length} bytes, less than its header");
        if (length > maxFrameBytes)
            throw new BadFrameException(BadFrame.Oversized, $"a frame claims {length} bytes; the limit is {maxFrameBytes}");

        return (int)length;
    }

    private static void Check(in Frame frame)
    {
        if (frame.Bytes.Length < FrameWriter.HeaderBytes + frame.Bytes.Span[1])
            throw BadFrameException.Malformed("a frame ends within its group's name");
    }
}
