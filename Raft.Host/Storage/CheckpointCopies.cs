using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Raft.Host.Storage;

/// <summary>
/// The two copy files: checkpoint n writes its pages into copy n mod 2 before any page is written in place.
/// Header, at 0 and again at 4,096: hash u64 | magic u32 | page count u32 | n u64 | id of the data file u64 | hash of the body u64.
/// Body, at 8,192: page numbers u32, filled up to a whole page, then the pages with their checksums.
/// </summary>
internal sealed class CheckpointCopies(IStorageFile copy0, IStorageFile copy1, ulong dataId, ulong salt, int pieceBytes)
{
    private const uint Magic = 0x31594350;      // "PCY1"
    private const int HeaderBytes = 40;
    private const int SecondHeaderAt = 4096;
    private const int BodyAt = 8192;
    private const int PageBytes = CheckpointStream.PageBytes;

    private readonly byte[] _piece = GC.AllocateUninitializedArray<byte>(pieceBytes);
    private readonly XxHash3 _hash = new((long)salt);
    private Header _header;
    private long _fileBytes = copy0.Length + copy1.Length;

    private readonly record struct Header(long Number, int Count, ulong BodyHash);

    /// <summary>The last checkpoint, the one under way included.</summary>
    public long Number => _header.Number;

    /// <summary>Any thread.</summary>
    public long FileBytes => Volatile.Read(ref _fileBytes);

    /// <summary>The first header of a new directory: checkpoint 0 of no page.</summary>
    public static void WriteFirst(IStorageFile copy0, ulong dataId, ulong salt)
    {
        copy0.Write(0, new byte[BodyAt]);
        new CheckpointCopies(copy0, copy0, dataId, salt, pieceBytes: 0).WriteHeader();
    }

    /// <summary>The pages of the last checkpoint when it may have been cut off; null when there is nothing to repeat.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">No header counts, or its body is not whole.</exception>
    public SortedDictionary<long, byte[]>? Load(bool hasData)
    {
        Header? found = null;
        foreach (IStorageFile copy in new[] { copy0, copy1 })
        {
            foreach (long at in new long[] { 0, SecondHeaderAt })
            {
                if (ReadHeader(copy, at) is { } header && (found is null || header.Number > found.Value.Number))
                    found = header;
            }
        }

        // A new directory has header 0, and a data file without a page.
        if (found is null)
            throw Damage.In(copy0.Path, 0, $"neither copy has a valid header{(hasData ? " beside a data file that is not empty" : "")}");

        _header = found.Value;
        return _header.Count == 0 ? null : ReadBody();
    }

    /// <summary>Body and header of the next checkpoint, each synced. Says how many bytes were written.</summary>
    public long Write(SortedDictionary<long, byte[]> pages)
    {
        IStorageFile file = FileOf(Number + 1);
        int tableBytes = TableBytes(pages.Count), filled = 0;
        long at = BodyAt;
        byte[] table = new byte[tableBytes];
        int entry = 0;
        foreach (long number in pages.Keys)
            BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(entry++ * 4), checked((uint)number));

        _hash.Reset();
        Add(table);
        foreach (byte[] page in pages.Values)
            Add(page);
        WritePiece();
        file.Sync();

        _header = new Header(Number + 1, pages.Count, _hash.GetCurrentHashAsUInt64());
        WriteHeader();
        Volatile.Write(ref _fileBytes, copy0.Length + copy1.Length);
        return at - BodyAt;

        void Add(ReadOnlySpan<byte> bytes)
        {
            _hash.Append(bytes);
            while (!bytes.IsEmpty)
            {
                int count = Math.Min(bytes.Length, pieceBytes - filled);
                bytes[..count].CopyTo(_piece.AsSpan(filled));
                filled += count;
                bytes = bytes[count..];
                if (filled == pieceBytes)
                {
                    WritePiece();
                    file.Sync();                // in pieces: one long sync would hold up the log's
                }
            }
        }

        void WritePiece()
        {
            file.Write(at, _piece.AsSpan(0, filled));
            at += filled;
            filled = 0;
        }
    }

    /// <summary>The end of a clean run: the next number with nothing to repeat.</summary>
    public void WriteEmpty()
    {
        _header = new Header(Number + 1, 0, 0);
        WriteHeader();
    }

    /// <summary>Both headers of the current number, synced.</summary>
    public void WriteHeader()
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], _header.Count);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], _header.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], dataId);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], _header.BodyHash);
        BinaryPrimitives.WriteUInt64LittleEndian(header, XxHash3.HashToUInt64(header[8..], (long)salt));
        IStorageFile file = FileOf(Number);
        file.Write(0, header);
        file.Write(SecondHeaderAt, header);
        file.Sync();
    }

    private static int TableBytes(int count) => (count * 4 + PageBytes - 1) / PageBytes * PageBytes;

    private IStorageFile FileOf(long number) => number % 2 == 0 ? copy0 : copy1;

    private Header? ReadHeader(IStorageFile file, long at)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (file.Read(at, header) != HeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != Magic
            || BinaryPrimitives.ReadUInt64LittleEndian(header[24..]) != dataId          // of another data file: never applied
            || BinaryPrimitives.ReadUInt64LittleEndian(header) != XxHash3.HashToUInt64(header[8..], (long)salt))
            return null;

        return new Header(
            BinaryPrimitives.ReadInt64LittleEndian(header[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(header[32..]));
    }

    private SortedDictionary<long, byte[]> ReadBody()
    {
        IStorageFile file = FileOf(Number);
        byte[] table = new byte[TableBytes(_header.Count)];
        bool isWhole = file.Read(BodyAt, table) == table.Length;
        var pages = new SortedDictionary<long, byte[]>();
        _hash.Reset();
        _hash.Append(table);
        long at = BodyAt + table.Length;
        for (int i = 0; i < _header.Count && isWhole; i++, at += PageBytes)
        {
            byte[] page = GC.AllocateUninitializedArray<byte>(PageBytes);
            isWhole = file.Read(at, page) == PageBytes;
            _hash.Append(page);
            pages[MemoryMarshal.Cast<byte, uint>(table)[i]] = page;
        }

        if (!isWhole || _hash.GetCurrentHashAsUInt64() != _header.BodyHash)
            throw Damage.In(file.Path, BodyAt, $"the body of checkpoint {Number} does not fit its header");
        return pages;
    }
}
