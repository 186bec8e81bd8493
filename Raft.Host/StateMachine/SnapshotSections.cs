using System.Buffers.Binary;

namespace Raft.Host.StateMachine;

/// <summary>A stream in sections: <c>kind:1 length:4 payload</c>, little endian. Items of one kind go into one section until it is full.</summary>
internal sealed class SectionWriter(Stream target, CancellationToken cancellation, int sectionBytes = SectionWriter.DefaultSectionBytes)
{
    /// <summary>Below the size from which the heap treats an array as a large object.</summary>
    public const int DefaultSectionBytes = 64 << 10;

    internal const int HeadBytes = 1 + sizeof(int);

    private byte[] _buffer = new byte[HeadBytes + sectionBytes];
    private byte _kind;
    private int _used;          // of the payload

    /// <summary>Bytes before the first section: what the stream is.</summary>
    public ValueTask WriteNameAsync(ReadOnlyMemory<byte> name) => target.WriteAsync(name, cancellation);

    /// <summary>Whether an item goes into the section that is begun; if not, <see cref="FlushAsync"/> first.</summary>
    public bool HasRoom(byte kind, int bytes) => _used == 0 || (kind == _kind && _used + bytes <= sectionBytes);

    /// <summary>Room for one item. One that is larger than a section makes a larger section.</summary>
    public Span<byte> Take(byte kind, int bytes)
    {
        if (!HasRoom(kind, bytes))
            throw new InvalidOperationException("The section is full.");
        if (HeadBytes + bytes > _buffer.Length)
            _buffer = new byte[HeadBytes + bytes];      // nothing is in it: an item that fits never comes here
        _kind = kind;
        _used += bytes;
        return _buffer.AsSpan(HeadBytes + _used - bytes, bytes);
    }

    public async ValueTask FlushAsync()
    {
        cancellation.ThrowIfCancellationRequested();
        if (_used == 0)
            return;

        _buffer[0] = _kind;
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(1), _used);
        await target.WriteAsync(_buffer.AsMemory(0, HeadBytes + _used), cancellation);
        _used = 0;
        if (_buffer.Length > HeadBytes + sectionBytes)
            _buffer = new byte[HeadBytes + sectionBytes];
    }
}

/// <summary>Reads sections. A length is only believed as far as bytes come.</summary>
internal sealed class SectionReader(Stream content, CancellationToken cancellation)
{
    /// <summary>Far above the largest item, which is a command.</summary>
    public const int SectionBytesMax = 64 << 20;

    private const int FirstReadBytes = 256 << 10;

    private readonly byte[] _head = new byte[SectionWriter.HeadBytes];
    private byte[] _buffer = [];

    /// <summary>Reads and compares what the stream is; gives its version.</summary>
    /// <param name="name">Ends with the newest version that is read.</param>
    /// <param name="what">For people.</param>
    /// <param name="oldest">The oldest version that is read; 0: only the newest.</param>
    public async ValueTask<byte> ReadNameAsync(ReadOnlyMemory<byte> name, string what, byte oldest = 0)
    {
        byte[] found = new byte[name.Length];
        int read = await ReadUpToAsync(found);
        if (read < found.Length || !found.AsSpan(..^1).SequenceEqual(name.Span[..^1]))
            throw new InvalidDataException($"The bytes are no snapshot of {what}.");
        byte newest = name.Span[^1];
        if (found[^1] > newest || found[^1] < (oldest == 0 ? newest : oldest))
            throw new InvalidDataException($"The snapshot of {what} has version {found[^1]}; this release reads {newest}.");
        return found[^1];
    }

    /// <summary>The next section. Its payload is valid until the next call, or for good after <see cref="KeepBuffer"/>.</summary>
    public async ValueTask<(byte Kind, ReadOnlyMemory<byte> Payload)> ReadAsync()
    {
        await ReadExactlyAsync(_head);
        int length = BinaryPrimitives.ReadInt32LittleEndian(_head.AsSpan(1));
        if (length is < 0 or > SectionBytesMax)
            throw new InvalidDataException($"A section of the snapshot claims {length} bytes; allowed: up to {SectionBytesMax}.");

        for (int have = 0; have < length;)
        {
            int until = Math.Min(length, Math.Max(FirstReadBytes, have * 2));
            if (_buffer.Length < until)
                Array.Resize(ref _buffer, until);
            await ReadExactlyAsync(_buffer.AsMemory(have, until - have));
            have = until;
        }

        return (_head[0], _buffer.AsMemory(0, length));
    }

    /// <summary>The last section's bytes belong to the caller.</summary>
    public void KeepBuffer() => _buffer = [];

    public async ValueTask EndAsync()
    {
        if (await content.ReadAsync(_head, cancellation) > 0)
            throw new InvalidDataException("The snapshot goes on behind its end.");
    }

    /// <summary>Fewer bytes at the end only. Not by Stream.ReadAtLeastAsync: that one goes on on the thread pool, where a simulation
    /// cannot follow.</summary>
    private async ValueTask<int> ReadUpToAsync(Memory<byte> target)
    {
        int done = 0;
        for (int count = 1; count > 0 && done < target.Length; done += count)
            count = await content.ReadAsync(target[done..], cancellation);
        return done;
    }

    private async ValueTask ReadExactlyAsync(Memory<byte> target)
    {
        if (await ReadUpToAsync(target) < target.Length)
            throw new InvalidDataException("The snapshot is cut off.");
    }
}

/// <summary>Takes items out of a section's payload.</summary>
/// <exception cref="InvalidDataException">It ends within one.</exception>
internal ref struct ItemReader(ReadOnlySpan<byte> payload)
{
    private readonly ReadOnlySpan<byte> _payload = payload;

    public int At { get; private set; }

    public readonly bool IsAtEnd => At == _payload.Length;

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public UInt128 UInt128() => BinaryPrimitives.ReadUInt128LittleEndian(Take(16));

    /// <summary>Bytes with their length before them: of 1, 2 or 4 bytes.</summary>
    public ReadOnlySpan<byte> Sized8() => Take(Take(1)[0]);

    public ReadOnlySpan<byte> Sized16() => Take(BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));

    public ReadOnlySpan<byte> Sized32() => Take(BinaryPrimitives.ReadInt32LittleEndian(Take(4)));

    public ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _payload.Length - At)
            throw new InvalidDataException($"A section of the snapshot ends within an item: {count} bytes wanted, {_payload.Length - At} are left.");
        ReadOnlySpan<byte> taken = _payload.Slice(At, count);
        At += count;
        return taken;
    }
}
