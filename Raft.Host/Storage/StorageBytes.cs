using System.Buffers.Binary;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>Writes numbers and entries into a buffer that is large enough. Little endian. Hot path.</summary>
internal ref struct StorageWriter(Span<byte> buffer)
{
    /// <summary>term, kind, time, length.</summary>
    public const int EntryHeaderBytes = 8 + 1 + 8 + 4;

    private readonly Span<byte> _buffer = buffer;

    public int Position { get; private set; }

    public void Byte(byte value) => _buffer[Position++] = value;

    public void Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer[Position..], value);
        Position += 4;
    }

    public void Int64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_buffer[Position..], value);
        Position += 8;
    }

    public void UInt128(UInt128 value)
    {
        BinaryPrimitives.WriteUInt128LittleEndian(_buffer[Position..], value);
        Position += 16;
    }

    public void Bytes(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_buffer[Position..]);
        Position += bytes.Length;
    }

    /// <summary>Up to 255 bytes with their length.</summary>
    public void Short(ReadOnlySpan<byte> bytes)
    {
        Byte(checked((byte)bytes.Length));
        Bytes(bytes);
    }

    public void Name(string name)
    {
        int count = Encoding.UTF8.GetBytes(name, _buffer[(Position + 1)..]);
        _buffer[Position] = checked((byte)count);
        Position += 1 + count;
    }

    public static int NameBytes(string name) => 1 + Encoding.UTF8.GetByteCount(name);

    public static int TermAndVoteBytes(TermAndVote value) => 8 + 1 + (value.Vote is { } vote ? NameBytes(vote.Node.Value) + 16 : 0);

    public void TermAndVote(TermAndVote value)
    {
        Int64(value.Term.Value);
        Byte(value.Vote is null ? (byte)0 : (byte)1);
        if (value.Vote is { } vote)
        {
            Name(vote.Node.Value);
            UInt128(vote.Storage.Value);
        }
    }

    /// <summary>An entry without its index: entries stand in a row.</summary>
    public void Entry(Entry entry)
    {
        Int64(entry.Term.Value);
        Byte((byte)entry.Kind);
        Int64(entry.TimeMs);
        Int32(entry.Payload.Length);
        Bytes(entry.Payload.Span);
    }
}

/// <summary>Reads what <see cref="StorageWriter"/> wrote; throws <see cref="InvalidDataException"/> when it ends too early.</summary>
internal ref struct StorageReader(ReadOnlyMemory<byte> bytes)
{
    private readonly ReadOnlyMemory<byte> _bytes = bytes;

    public int Position { get; private set; }

    public readonly bool IsAtEnd => Position == _bytes.Length;

    public byte Byte() => Take(1)[0];

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public UInt128 UInt128() => BinaryPrimitives.ReadUInt128LittleEndian(Take(16));

    public string Name() => StrictUtf8.Read(Take(Byte()));

    /// <summary>Shares the buffer.</summary>
    public ReadOnlyMemory<byte> Bytes(int count)
    {
        Take(count);
        return _bytes.Slice(Position - count, count);
    }

    public int Count(int bytesEach)
    {
        int count = Int32();
        if (count < 0 || (long)count * bytesEach > _bytes.Length - Position)
            throw new InvalidDataException($"A count of {count} does not fit in {_bytes.Length} bytes.");
        return count;
    }

    public TermAndVote TermAndVote()
    {
        var term = new Term(Int64());
        return Byte() == 0
            ? new TermAndVote(term, null)
            : new TermAndVote(term, new ServerId(new NodeId(Name()), new StorageId(UInt128())));
    }

    public Entry Entry(LogIndex index)
    {
        var term = new Term(Int64());
        var kind = (EntryKind)Byte();
        long timeMs = Int64();
        return new Entry(index, term, kind, timeMs, Bytes(Int32()));
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _bytes.Length - Position)
            throw new InvalidDataException($"{count} bytes wanted at {Position} of {_bytes.Length}.");
        ReadOnlySpan<byte> taken = _bytes.Span.Slice(Position, count);
        Position += count;
        return taken;
    }
}
