using System.Buffers.Binary;
using System.IO.Hashing;

namespace Raft.Host.Storage;

/// <summary>What one sector of the log holds.</summary>
internal enum SectorState
{
    /// <summary>Never written: the log is made of zeros.</summary>
    Zero,

    /// <summary>A sector of some record, of now or of before.</summary>
    Whole,

    /// <summary>Neither: no write that was cut off leaves that behind.</summary>
    Changed,
}

/// <summary>
/// Records on the disk: 504 bytes of each sector of 512 are content, then <c>check u32 | sequence u32</c>. The check (XxHash3, seeded with
/// the salt and the sector's place) covers content and sequence. So each sector says by itself whether it is whole and of which record; a
/// disk that loses power leaves each sector old or new, and a changed bit is neither.
/// </summary>
internal static class WalSectors
{
    public const int SectorBytes = 512;
    public const int ContentBytes = 504;
    private const ulong PlaceFactor = 0x9E37_79B9_7F4A_7C15;

    /// <summary>On the disk, filled up to whole blocks.</summary>
    public static int PhysicalBytes(int bytes) => WalRecord.RoundUp((bytes + ContentBytes - 1) / ContentBytes * SectorBytes);

    /// <summary>The content that fits into so many bytes on the disk.</summary>
    public static int ContentOf(int physicalBytes) => physicalBytes / SectorBytes * ContentBytes;

    /// <summary>Spreads a record over the sectors of its own buffer, which is large enough. Hot path.</summary>
    /// <param name="buffer">As many bytes as on the disk; the record at its start.</param>
    /// <param name="bytes">Of the record.</param>
    /// <param name="place">Of the first sector.</param>
    /// <param name="sequence">Of the record.</param>
    /// <param name="salt">The directory's.</param>
    public static void Spread(Span<byte> buffer, int bytes, ulong place, long sequence, ulong salt)
    {
        // From the end: no sector is written over content that is still to be moved.
        for (int sector = buffer.Length / SectorBytes - 1; sector >= 0; sector--)
        {
            int from = sector * ContentBytes, count = Math.Clamp(bytes - from, 0, ContentBytes);
            Span<byte> target = buffer.Slice(sector * SectorBytes, SectorBytes);
            if (count > 0)
                buffer.Slice(from, count).CopyTo(target);
            target[count..ContentBytes].Clear();
            BinaryPrimitives.WriteUInt32LittleEndian(target[(ContentBytes + 4)..], (uint)sequence);
            BinaryPrimitives.WriteUInt32LittleEndian(target[ContentBytes..], Check(target, place + (ulong)(sector * SectorBytes), salt));
        }
    }

    public static SectorState StateOf(ReadOnlySpan<byte> sector, ulong place, ulong salt, out uint sequence)
    {
        sequence = BinaryPrimitives.ReadUInt32LittleEndian(sector[(ContentBytes + 4)..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(sector[ContentBytes..]) == Check(sector, place, salt))
            return SectorState.Whole;
        return sector.ContainsAnyExcept((byte)0) ? SectorState.Changed : SectorState.Zero;
    }

    /// <summary>Puts the content of these sectors together again.</summary>
    public static void Gather(ReadOnlySpan<byte> sectors, Span<byte> content)
    {
        for (int at = 0; !content.IsEmpty; at += SectorBytes)
        {
            int count = Math.Min(ContentBytes, content.Length);
            sectors.Slice(at, count).CopyTo(content);
            content = content[count..];
        }
    }

    private static uint Check(ReadOnlySpan<byte> sector, ulong place, ulong salt)
    {
        uint sequence = BinaryPrimitives.ReadUInt32LittleEndian(sector[(ContentBytes + 4)..]);
        return (uint)XxHash3.HashToUInt64(sector[..ContentBytes], (long)(salt ^ ((place + ((ulong)sequence << 40)) * PlaceFactor)));
    }
}
