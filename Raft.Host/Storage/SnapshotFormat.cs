using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Raft.Host.Storage;

/// <summary>
/// Bytes of a snapshot file: a header, the content in blocks of 64 KiB, each behind its hash, and a footer. So a read at any
/// place detects damage without the rest of the file. Every hash is seeded with the directory's salt and the file's own id:
/// what stood at the same place before, in this or another file, never counts.
/// Header: hash u64 | magic u32 | format u32 | block bytes u32 | 0 u32. Block: hash u64 | content.
/// Footer: hash u64 | magic u32 | 0 u32 | size of the content u64 | its XxHash128.
/// </summary>
internal static class SnapshotFormat
{
    public const int HeaderBytes = 24;
    public const int FooterBytes = 40;
    public const int BlockBytes = 64 << 10;
    public const int HashBytes = 8;
    public const int StoredBlockBytes = HashBytes + BlockBytes;
    private const uint HeaderMagic = 0x3150_4E53;       // "SNP1"
    private const uint FooterMagic = 0x4650_4E53;       // "SNPF"
    private const uint FormatVersion = 1;

    public static ulong Seed(string id, ulong salt) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(id), (long)salt);

    public static long OffsetOfBlock(long block) => HeaderBytes + block * StoredBlockBytes;

    public static long BlocksOf(long size) => (size + BlockBytes - 1) / BlockBytes;

    public static long OffsetOfFooter(long size) => HeaderBytes + size + HashBytes * BlocksOf(size);

    public static long FileBytes(long size) => OffsetOfFooter(size) + FooterBytes;

    public static ulong HashOfBlock(ReadOnlySpan<byte> content, long block, ulong seed) =>
        XxHash3.HashToUInt64(content, (long)(seed + (ulong)block));

    public static byte[] Header(ulong seed)
    {
        byte[] bytes = new byte[HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), HeaderMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), FormatVersion);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(16), BlockBytes);
        return Seal(bytes, seed);
    }

    public static byte[] Footer(long size, UInt128 hash, ulong seed)
    {
        byte[] bytes = new byte[FooterBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), FooterMagic);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), size);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes.AsSpan(24), hash);
        return Seal(bytes, seed);
    }

    private static byte[] Seal(byte[] bytes, ulong seed)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, XxHash3.HashToUInt64(bytes.AsSpan(HashBytes), (long)seed));
        return bytes;
    }
}
