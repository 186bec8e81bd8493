using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>What came of a snapshot of another server. It outlives its receivers, so that the next one can go on; not a restart.</summary>
internal sealed class PartialSnapshot(SnapshotDescriptor descriptor, string id)
{
    public SnapshotDescriptor Descriptor { get; } = descriptor;

    public string Id { get; } = id;

    /// <summary>When something came last, in the milliseconds of the store's clock.</summary>
    public long LastCameMs
    {
        get => Volatile.Read(ref _lastCameMs);
        set => Volatile.Write(ref _lastCameMs, value);
    }

    private long _lastCameMs;

    /// <summary>Made, and filled, on the snapshot writer thread.</summary>
    public SnapshotFileWriter? Writer { get; set; }

    /// <summary>Only the newest receiver may go on with it; null when it is abandoned or complete.</summary>
    public SnapshotReceiver? Owner
    {
        get => Volatile.Read(ref _owner);
        set => Volatile.Write(ref _owner, value);
    }

    private SnapshotReceiver? _owner;

    /// <summary>The same content, whoever sends it and whatever it is called there.</summary>
    public bool IsOf(SnapshotDescriptor other) =>
        (Descriptor.Index, Descriptor.Term, Descriptor.SizeBytes, Descriptor.Hash) == (other.Index, other.Term, other.SizeBytes, other.Hash);
}

/// <summary>A snapshot on its way in.</summary>
internal sealed class SnapshotReceiver(SnapshotFiles files, SnapshotThread thread, DurableStorage group, PartialSnapshot partial) : ISnapshotReceiver
{
    public long NextOffset => partial.Writer!.Size;         // made before this was handed out

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (NextOffset + chunk.Length > partial.Descriptor.SizeBytes)
            throw new InvalidDataException($"More came than the {partial.Descriptor.SizeBytes} bytes of the snapshot.");
        try
        {
            if (!await thread.RunAsync(() => TryWrite(chunk.Span), mayLackRoom: true))
                throw Overtaken();
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            throw files.GiveUp(group, partial, error);
        }

        files.Touch(partial);
    }

    public async Task<SnapshotFile> CompleteAsync(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        SnapshotDescriptor descriptor = partial.Descriptor;
        bool? isRight;
        try
        {
            isRight = await thread.RunAsync(() => partial.Owner == this ? files.TryComplete(group, partial) : (bool?)null, mayLackRoom: true);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            throw files.GiveUp(group, partial, error);
        }

        return isRight switch
        {
            true => new SnapshotFile(partial.Id, descriptor.SizeBytes, descriptor.Hash),
            false => throw new InvalidDataException($"What came is not the snapshot at entry {descriptor.Index}: its size or hash differs."),
            null => throw Overtaken(),
        };
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private bool TryWrite(ReadOnlySpan<byte> chunk)
    {
        SnapshotFileWriter writer = partial.Writer!;
        while (!chunk.IsEmpty)
        {
            if (partial.Owner != this)
                return false;
            chunk = chunk[writer.Fill(chunk)..];
            if (writer.IsFull)
                writer.WritePiece();
        }

        return partial.Owner == this;
    }

    private static OperationCanceledException Overtaken() =>
        new("Another receiver of this group has taken over, or the snapshot is not wanted any more.");
}
