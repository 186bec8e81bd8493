using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Raft.Host.Storage;

/// <summary>
/// The hash of every page of the data file as the last checkpoint left it. A page's own checksum says that its bytes belong together, and
/// nothing of their age: a page of an older checkpoint fits its checksum too. This says which bytes each page must have now.
/// The header of a checkpoint keeps it as one hash for each region of the file, so that it stays small.
/// </summary>
internal sealed class PageHashes
{
    public const int RegionsMax = 1000;
    private const int ChecksumAt = 14;
    private const uint NoChecksum = 0xFFFF_FFFF;
    private readonly List<ulong> _hashes = [];

    public int Count => _hashes.Count;

    public ulong this[long number]
    {
        get => _hashes[(int)number];
        set
        {
            if (number == _hashes.Count)
                _hashes.Add(value);
            else
                _hashes[(int)number] = value;
        }
    }

    /// <summary>Of all bytes of a page but its checksum, and of its number. The checksum in the page is the lower half.</summary>
    public static ulong Of(long number, ReadOnlySpan<byte> page)
    {
        Span<byte> head = stackalloc byte[32];
        page[..32].CopyTo(head);
        BinaryPrimitives.WriteUInt32LittleEndian(head[ChecksumAt..], NoChecksum);
        return XxHash3.HashToUInt64(page[32..], (long)XxHash3.HashToUInt64(head, number));
    }

    public static bool HasChecksum(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt32LittleEndian(page[ChecksumAt..]) != NoChecksum;

    public static bool Fits(ulong hash, ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt32LittleEndian(page[ChecksumAt..]) == (uint)hash;

    public static void WriteChecksum(ulong hash, Span<byte> page) => BinaryPrimitives.WriteUInt32LittleEndian(page[ChecksumAt..], (uint)hash);

    /// <summary>As LiteDB knows the page.</summary>
    public static void RemoveChecksum(Span<byte> page) => BinaryPrimitives.WriteUInt32LittleEndian(page[ChecksumAt..], NoChecksum);

    /// <summary>Pages of a region: one as long as there are few pages, then twice as many again and again.</summary>
    public static int RegionPages(int pages)
    {
        int region = 1;
        while ((pages + region - 1) / region > RegionsMax)
            region *= 2;
        return region;
    }

    public static int RegionsOf(int pages) => (pages + RegionPages(pages) - 1) / RegionPages(pages);

    public ulong[] Regions()
    {
        ReadOnlySpan<ulong> hashes = CollectionsMarshal.AsSpan(_hashes);
        int pages = RegionPages(Count);
        var regions = new ulong[RegionsOf(Count)];
        for (int region = 0; region < regions.Length; region++)
        {
            int from = region * pages;
            regions[region] = XxHash3.HashToUInt64(MemoryMarshal.AsBytes(hashes[from..Math.Min(from + pages, Count)]));
        }

        return regions;
    }
}
