namespace Raft.Host.Storage;

/// <summary>A sector that cannot be read any more is damage, like one whose bytes have changed; and a sector that nobody needs is neither.</summary>
internal static class Unreadable
{
    private const int BlockBytes = 4096;
    private const byte NoSuchContent = 0xA5;

    /// <summary>What the block layer and file systems return when the medium cannot give the bytes: EIO, ENODATA, EBADMSG, EUCLEAN, EREMOTEIO.
    /// A missing right, too many open files and the like say nothing of the bytes.</summary>
    public static bool IsProvenBy(StorageFailedException error) =>
        error is { Operation: "pread" or "open" or "lseek" or "stat" or "list", Errno: 5 or 61 or 74 or 117 or 121 };

    /// <summary>As <see cref="IStorageFile.Read"/>, but blocks that cannot be read come as bytes that fit no hash.</summary>
    /// <param name="file">From where.</param>
    /// <param name="offset">A multiple of 4,096.</param>
    /// <param name="buffer">Whither.</param>
    /// <param name="failure">The first such failure; null when there was none.</param>
    public static int ReadAround(this IStorageFile file, long offset, Span<byte> buffer, out StorageFailedException? failure)
    {
        failure = null;
        try
        {
            return file.Read(offset, buffer);
        }
        catch (StorageFailedException error) when (IsProvenBy(error))
        {
            failure = error;
        }

        int done = 0;
        while (done < buffer.Length)
        {
            Span<byte> block = buffer.Slice(done, Math.Min(BlockBytes, buffer.Length - done));
            int count = block.Length;
            try
            {
                count = file.Read(offset + done, block);
            }
            catch (StorageFailedException error) when (IsProvenBy(error))
            {
                block.Fill(NoSuchContent);
            }

            done += count;
            if (count < block.Length)
                break;
        }

        return done;
    }
}
