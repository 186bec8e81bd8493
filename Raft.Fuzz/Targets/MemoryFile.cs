using Raft.Host.Storage;

namespace Raft.Fuzz.Targets;

/// <summary>A file of bytes.</summary>
internal sealed class MemoryFile(string path, byte[] bytes, Action<byte[]>? written = null) : IStorageFile
{
    public string Path => path;

    public long Length => bytes.Length;

    public int Read(long offset, Span<byte> buffer)
    {
        if (offset < 0 || offset >= bytes.Length)
            return 0;
        int count = (int)Math.Min(buffer.Length, bytes.Length - offset);
        bytes.AsSpan((int)offset, count).CopyTo(buffer);
        return count;
    }

    public void Write(long offset, ReadOnlySpan<byte> content)
    {
        if (written is not null)
            written(content.ToArray());
        else
            content.CopyTo(bytes.AsSpan((int)offset));
    }

    public void Sync()
    {
    }

    public void Dispose()
    {
    }
}

/// <summary>A directory with one file, which is replaced whole.</summary>
internal sealed class OneFile(string name, byte[] bytes) : IStorageFiles
{
    public byte[] Content { get; private set; } = bytes;

    public bool DirectoryExists(string path) => true;

    public bool FileExists(string path) => Path.GetFileName(path) == name;

    public IReadOnlyList<string> List(string directory) => [name];

    public void CreateDirectory(string path)
    {
    }

    public void DeleteDirectory(string path)
    {
    }

    public IStorageFile Open(string path, bool create) => new MemoryFile(path, Content, content => Content = content);

    public void Rename(string from, string to)
    {
    }

    public void Delete(string path)
    {
    }

    public void SyncDirectory(string path)
    {
    }

    public IDisposable? TryLock(string path) => null;
}
