using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>Takes and makes the directory: <c>lock</c> above, everything else in <c>current/</c>, made whole as <c>new/</c>.</summary>
internal sealed class DataDirectory : IDisposable
{
    private readonly IDisposable _lock;

    private DataDirectory(string path, IDisposable @lock)
    {
        Path = path;
        _lock = @lock;
    }

    public string Path { get; }

    public string Current => System.IO.Path.Combine(Path, "current");

    /// <exception cref="DataDirectoryException">In use, or not usable.</exception>
    public static DataDirectory Take(string directory, IStorageFiles files)
    {
        string path = System.IO.Path.GetFullPath(directory);
        try
        {
            Make(path, files);
            IDisposable taken = files.TryLock(System.IO.Path.Combine(path, "lock"))
                ?? throw new DataDirectoryException($"The data directory {path} is in use by another process. Stop that process, or set Raft:DataDirectory to another directory.");
            return new DataDirectory(path, taken);
        }
        catch (StorageFailedException error)
        {
            throw new DataDirectoryException($"The data directory {path} cannot be used: {error.Message} Or set Raft:DataDirectory to another directory.", error);
        }
    }

    /// <summary>Makes a new, empty store: all of it is on the disk before it has its name.</summary>
    public Manifest CreateCurrent(NodeId node, StorageSettings settings)
    {
        string fresh = System.IO.Path.Combine(Path, "new");
        try
        {
            return CreateCurrent(fresh, node, settings);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            DeleteUnfinished(settings.Files);       // it would keep the room from whoever makes some
            throw;
        }
    }

    private Manifest CreateCurrent(string fresh, NodeId node, StorageSettings settings)
    {
        IStorageFiles files = settings.Files;
        files.CreateDirectory(fresh);
        var manifest = new Manifest(node, new StorageId(new UInt128(settings.Random(), settings.Random())), null, settings.Random(), settings.Random(), settings.SegmentBytes);

        byte[] zeros = new byte[Math.Min(1 << 20, settings.SegmentBytes)];
        for (int segment = 0; segment < Manifest.SegmentCount; segment++)
        {
            using IStorageFile file = files.Open(System.IO.Path.Combine(fresh, Manifest.SegmentFileName(segment)), create: true);
            for (long at = 0; at < settings.SegmentBytes; at += zeros.Length)
                file.Write(at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, settings.SegmentBytes - at)));
            file.Sync();
        }

        using (IStorageFile data = files.Open(System.IO.Path.Combine(fresh, manifest.DataFileName), create: true))
            data.Sync();
        using (IStorageFile copy0 = files.Open(System.IO.Path.Combine(fresh, "copy0"), create: true))
        using (IStorageFile copy1 = files.Open(System.IO.Path.Combine(fresh, "copy1"), create: true))
            CheckpointCopies.WriteFirst(copy0, copy1, manifest.DataId, manifest.Salt);
        files.CreateDirectory(System.IO.Path.Combine(fresh, "snapshots"));
        manifest.Write(files, fresh);               // syncs the directory too

        files.Rename(fresh, Current);
        files.SyncDirectory(Path);
        return manifest;
    }

    /// <summary>A <c>new/</c> that was never finished never held anything.</summary>
    public bool DeleteUnfinished(IStorageFiles files)
    {
        string fresh = System.IO.Path.Combine(Path, "new");
        if (!files.DirectoryExists(fresh))
            return false;
        files.DeleteDirectory(fresh);
        files.SyncDirectory(Path);
        return true;
    }

    /// <summary>Moves <c>current/</c> out of the way, for good: this node forgets what it promised there. So <c>former</c>, which
    /// says that it did promise, is on the disk before. Nothing happens when there is no <c>current/</c>.</summary>
    /// <returns>Where it is now; null when there was nothing to move.</returns>
    public string? MoveAside(Former former, StorageSettings settings)
    {
        IStorageFiles files = settings.Files;
        if (!files.DirectoryExists(Current))
            return null;
        new DiskReserve(Path, settings).ReleaseIfTight();       // this writes little, and a new directory much
        former.Write(files, Path);

        string name = System.IO.Path.Combine(Path, "damaged-" + settings.Time.GetUtcNow().ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture)), target = name;
        for (int n = 2; files.DirectoryExists(target); n++)
            target = $"{name}-{n}";
        files.Rename(Current, target);
        files.SyncDirectory(Path);
        return target;
    }

    public void Dispose() => _lock.Dispose();

    public static ulong RandomUInt64()
    {
        Span<byte> bytes = stackalloc byte[8];
        RandomNumberGenerator.Fill(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    private static void Make(string path, IStorageFiles files)
    {
        if (files.DirectoryExists(path))
            return;
        string? parent = System.IO.Path.GetDirectoryName(path);
        if (parent is not null)
            Make(parent, files);
        files.CreateDirectory(path);
        if (parent is not null)
            files.SyncDirectory(parent);
    }
}
