using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Raft.Host.Storage;

/// <summary>Reads the copy files of database format 1: headers of 40 bytes at 0 and 4,096, the body at 8,192, and nothing about the pages that
/// a checkpoint did not change. Goes when that format need no longer be read.</summary>
internal static class OldCheckpointCopies
{
    private const uint Magic = 0x31594350;      // "PCY1"
    private const int HeaderBytes = 40;
    private const int BodyAt = 8192;
    private const int PageBytes = CheckpointStream.PageBytes;

    /// <summary>The number of the last checkpoint, and its pages when it may have been cut off.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">No header counts, or its body is not whole.</exception>
    public static (long Number, SortedDictionary<long, byte[]>? Pages) Load(IStorageFile copy0, IStorageFile copy1, ulong dataId, ulong salt)
    {
        (IStorageFile File, byte[] Bytes)? found = null;
        foreach (IStorageFile copy in new[] { copy0, copy1 })
        {
            foreach (long at in new long[] { 0, 4096 })
            {
                byte[] header = new byte[HeaderBytes];
                if (copy.ReadAround(at, header, out _) == HeaderBytes
                    && BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)) == Magic
                    && BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(24)) == dataId
                    && BinaryPrimitives.ReadUInt64LittleEndian(header) == XxHash3.HashToUInt64(header.AsSpan(8), (long)salt)
                    && (found is null || NumberOf(header) > NumberOf(found.Value.Bytes)))
                    found = (copy, header);
            }
        }

        if (found is not { } last)
            throw Damage.In(copy0.Path, 0, "neither copy has a valid header");
        int count = BinaryPrimitives.ReadInt32LittleEndian(last.Bytes.AsSpan(12));
        return (NumberOf(last.Bytes), count == 0 ? null : ReadBody(last.File, count, BinaryPrimitives.ReadUInt64LittleEndian(last.Bytes.AsSpan(32)), salt));
    }

    private static long NumberOf(byte[] header) => BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16));

    private static SortedDictionary<long, byte[]> ReadBody(IStorageFile file, int count, ulong wanted, ulong salt)
    {
        byte[] table = new byte[(count * 4 + PageBytes - 1) / PageBytes * PageBytes];
        bool isWhole = file.Read(BodyAt, table) == table.Length;
        var hash = new XxHash3((long)salt);
        hash.Append(table);
        var pages = new SortedDictionary<long, byte[]>();
        long at = BodyAt + table.Length;
        for (int i = 0; i < count && isWhole; i++, at += PageBytes)
        {
            byte[] page = GC.AllocateUninitializedArray<byte>(PageBytes);
            isWhole = file.Read(at, page) == PageBytes;
            hash.Append(page);
            pages[MemoryMarshal.Cast<byte, uint>(table)[i]] = page;
        }

        return isWhole && hash.GetCurrentHashAsUInt64() == wanted ? pages : throw Damage.In(file.Path, BodyAt, "the body of the last checkpoint does not fit its header");
    }
}
