using System.Buffers.Binary;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Reads a payload; whatever is wrong with it is a <see cref="BadFrameException"/> and nothing else.</summary>
internal ref struct PayloadReader(ReadOnlyMemory<byte> payload)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private int _at;

    public readonly int Left => payload.Length - _at;

    public byte Byte() => Take(1)[0];

    public bool Bool() => Byte() switch
    {
        0 => false,
        1 => true,
        byte other => throw BadFrameException.Malformed($"{other} is neither true nor false"),
    };

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public UInt128 UInt128() => BinaryPrimitives.ReadUInt128LittleEndian(Take(16));

    /// <summary>A number of the protocol that is never negative.</summary>
    public long Count()
    {
        long value = Int64();
        return value >= 0 ? value : throw BadFrameException.Malformed($"{value} is negative");
    }

    public Term Term() => new(Count());

    public LogIndex Index() => new(Count());

    public string Text()
    {
        ReadOnlySpan<byte> bytes = Take(UInt16());
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw BadFrameException.Malformed("a text is not UTF-8");
        }
    }

    public NodeId Node()
    {
        string name = Text();
        return name.Length is > 0 and <= 63 ? new NodeId(name) : throw BadFrameException.Malformed("a node id must have 1 to 63 characters");
    }

    public ServerId Server() => new(Node(), new StorageId(UInt128()));

    /// <summary>A number of items that follow, before anything of that size is allocated.</summary>
    /// <param name="minBytes">What one takes at least.</param>
    public int Items(int minBytes)
    {
        int count = Int32();
        return count >= 0 && count <= Left / minBytes ? count : throw BadFrameException.Malformed($"a frame claims {count} items in {Left} bytes");
    }

    /// <summary>The next bytes, not copied.</summary>
    public ReadOnlyMemory<byte> Slice(int count)
    {
        Take(count);
        return payload.Slice(_at - count, count);
    }

    public readonly void End()
    {
        if (Left != 0)
            throw BadFrameException.Malformed($"{Left} bytes too many");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > Left)
            throw BadFrameException.Malformed("a frame ends too early");

        _at += count;
        return payload.Span.Slice(_at - count, count);
    }
}
