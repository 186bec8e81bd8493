using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Raft.Host.Storage;

/// <summary>
/// The two copy files: checkpoint n writes its pages into copy n mod 2 before any page is written in place.
/// Header, at 0 and again at 65,536, so that no sector and no block of a device holds both: hash u64 | magic u32 | page count u32 | n u64 |
/// id of the data file u64 | hash of the body u64 | WAL sequence in it i64 | pages of the data file u32 | regions u32 | hash of each region u64.
/// Body, at 131,072: page numbers u32, filled up to a whole page, then the pages with their checksums.
/// </summary>
/// <remarks>The regions say what the whole data file holds after this checkpoint: see <see cref="PageHashes"/>. So a copy is never applied
/// to a data file of another checkpoint, whatever was lost.</remarks>
internal sealed class CheckpointCopies(IStorageFile copy0, IStorageFile copy1, ulong dataId, ulong salt, int pieceBytes)
{
    private const uint Magic = 0x32594350;      // "PCY2"
    private const int FixedHeaderBytes = 56;
    private const int HeaderBytesMax = 8192;
    private const int PagesMax = 1 << 28;       // 2 TiB
    private const int SecondHeaderAt = 64 << 10;
    private const int BodyAt = 128 << 10;
    private const int PageBytes = CheckpointStream.PageBytes;

    private readonly byte[] _piece = GC.AllocateUninitializedArray<byte>(pieceBytes);
    private readonly byte[] _headerBytes = new byte[HeaderBytesMax];
    private readonly XxHash3 _hash = new((long)salt);
    private Header _header = Header.None;
    private long _fileBytes = copy0.Length + copy1.Length;

    private sealed record Header(long Number, int Count, ulong BodyHash, long Position, int Pages, ulong[] Regions)
    {
        public static readonly Header None = new(0, 0, 0, 0, 0, []);
    }

    /// <summary>The last checkpoint, the one under way included.</summary>
    public long Number => _header.Number;

    /// <summary>The WAL sequence up to which the data file holds everything after this checkpoint; -1 when a directory of an older format
    /// did not say.</summary>
    public long Position => _header.Position;

    /// <summary>Pages of the data file after this checkpoint.</summary>
    public int Pages => _header.Pages;

    /// <summary>Nothing is to be repeated.</summary>
    public bool IsEmpty => _header.Count == 0;

    public string CurrentPath => FileOf(Number).Path;

    /// <summary>Any thread.</summary>
    public long FileBytes => Volatile.Read(ref _fileBytes);

    /// <summary>The first header of a new directory: checkpoint 0 of no page.</summary>
    public static void WriteFirst(IStorageFile copy0, IStorageFile copy1, ulong dataId, ulong salt)
    {
        var copies = new CheckpointCopies(copy0, copy1, dataId, salt, pieceBytes: 0);
        copies.Allocate();
        copies.WriteHeader();
        copy1.Sync();
    }

    /// <summary>Finds the last checkpoint.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">No header counts.</exception>
    public void Load()
    {
        Header? found = null;
        foreach (IStorageFile copy in new[] { copy0, copy1 })
        {
            foreach (long at in new long[] { 0, SecondHeaderAt })
            {
                if (ReadHeader(copy, at) is { } header && (found is null || header.Number > found.Number))
                    found = header;
            }
        }

        _header = found ?? throw Damage.In(copy0.Path, 0, "neither copy has a valid header");
    }

    /// <summary>The first number of a directory of the previous format. Its copies have this one's headers from now on, and nothing is to
    /// be repeated. Until the manifest says so, the header of before counts: it is in the other copy.</summary>
    public void Begin(long number, PageHashes data)
    {
        Allocate();
        _header = new Header(number - 1, 0, 0, Position: -1, data.Count, data.Regions());
        WriteEmpty();
    }

    /// <summary>Body and header of the next checkpoint, each synced. Says how many bytes were written.</summary>
    /// <param name="pages">Those that change, with their checksums.</param>
    /// <param name="after">All pages as they are after it.</param>
    /// <param name="position">The WAL sequence in it.</param>
    public long Write(SortedDictionary<long, byte[]> pages, PageHashes after, long position)
    {
        IStorageFile file = FileOf(Number + 1);
        int tableBytes = TableBytes(pages.Count), filled = 0;
        file.Reserve(0, BodyAt + tableBytes + ((long)pages.Count * PageBytes));     // the header too: it must not find the disk full
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

        _header = new Header(Number + 1, pages.Count, _hash.GetCurrentHashAsUInt64(), position, after.Count, after.Regions());
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

    /// <summary>The end of a clean run: the next number, of the same data file, with nothing to repeat.</summary>
    public void WriteEmpty()
    {
        _header = _header with { Number = Number + 1, Count = 0, BodyHash = 0 };
        WriteHeader();
    }

    /// <summary>From the next number on the copies are those of another data file, which needs nothing repeated. Until the manifest
    /// names it, the headers of before count: they are in the other copy.</summary>
    public CheckpointCopies HandOver(ulong toDataId, PageHashes data)
    {
        var copies = new CheckpointCopies(copy0, copy1, toDataId, salt, pieceBytes) { _header = _header with { Pages = data.Count, Regions = data.Regions() } };
        copies.WriteEmpty();
        return copies;
    }

    /// <summary>Both headers of the current number, synced. In whole blocks: the system need not read what it writes over.</summary>
    public void WriteHeader()
    {
        int length = FixedHeaderBytes + 8 * _header.Regions.Length;
        Span<byte> header = _headerBytes.AsSpan(0, (length + 4095) / 4096 * 4096);
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], _header.Count);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], _header.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], dataId);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], _header.BodyHash);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], _header.Position);
        BinaryPrimitives.WriteInt32LittleEndian(header[48..], _header.Pages);
        BinaryPrimitives.WriteInt32LittleEndian(header[52..], _header.Regions.Length);
        for (int region = 0; region < _header.Regions.Length; region++)
            BinaryPrimitives.WriteUInt64LittleEndian(header[(FixedHeaderBytes + 8 * region)..], _header.Regions[region]);
        BinaryPrimitives.WriteUInt64LittleEndian(header, XxHash3.HashToUInt64(header[8..length], (long)salt));
        IStorageFile file = FileOf(Number);
        file.Write(0, header);
        file.Write(SecondHeaderAt, header);
        file.Sync();
    }

    /// <summary>The pages of the last checkpoint; null when they are not whole.</summary>
    public SortedDictionary<long, byte[]>? TryReadBody()
    {
        IStorageFile file = FileOf(Number);
        byte[] table = new byte[TableBytes(_header.Count)];
        bool isWhole = file.ReadAround(BodyAt, table, out _) == table.Length;
        var pages = new SortedDictionary<long, byte[]>();
        _hash.Reset();
        _hash.Append(table);
        long at = BodyAt + table.Length;
        for (int i = 0; i < _header.Count && isWhole; i++, at += PageBytes)
        {
            byte[] page = GC.AllocateUninitializedArray<byte>(PageBytes);
            isWhole = file.ReadAround(at, page, out _) == PageBytes;
            _hash.Append(page);
            pages[MemoryMarshal.Cast<byte, uint>(table)[i]] = page;
        }

        return isWhole && _hash.GetCurrentHashAsUInt64() == _header.BodyHash ? pages : null;
    }

    public Engine.Errors.CorruptStorageException DamagedBody() => Damage.In(
        CurrentPath, BodyAt, $"the body of checkpoint {Number} does not fit its header, and the data file does not hold that checkpoint either");

    /// <summary>The first page of a region that is not as the last checkpoint left it; null when all are.</summary>
    public int? FindOther(PageHashes data)
    {
        ulong[] regions = data.Regions();
        for (int region = 0; region < regions.Length; region++)
        {
            if (regions[region] != _header.Regions[region])
                return region * PageHashes.RegionPages(data.Count);
        }

        return null;
    }

    /// <summary>Both headers and the blocks between them stand apart on the disk too, when the file was written at once up to there.</summary>
    private void Allocate()
    {
        foreach (IStorageFile copy in new[] { copy0, copy1 })
        {
            long length = copy.Length;
            if (length < BodyAt)
                copy.Write(length, new byte[BodyAt - length]);
        }
    }

    private static int TableBytes(int count) => (count * 4 + PageBytes - 1) / PageBytes * PageBytes;

    private IStorageFile FileOf(long number) => number % 2 == 0 ? copy0 : copy1;

    private Header? ReadHeader(IStorageFile file, long at)
    {
        Span<byte> header = _headerBytes;
        if (file.ReadAround(at, header, out _) < FixedHeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != Magic
            || BinaryPrimitives.ReadUInt64LittleEndian(header[24..]) != dataId)         // of another data file: never applied
            return null;

        int pages = BinaryPrimitives.ReadInt32LittleEndian(header[48..]), count = BinaryPrimitives.ReadInt32LittleEndian(header[52..]);
        if (pages is < 0 or > PagesMax || count != PageHashes.RegionsOf(pages)
            || BinaryPrimitives.ReadUInt64LittleEndian(header) != XxHash3.HashToUInt64(header[8..(FixedHeaderBytes + 8 * count)], (long)salt))
            return null;

        return new Header(
            BinaryPrimitives.ReadInt64LittleEndian(header[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(header[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[40..]),
            pages,
            MemoryMarshal.Cast<byte, ulong>(header.Slice(FixedHeaderBytes, 8 * count)).ToArray());
    }
}
