using System.Buffers.Binary;
using System.Diagnostics;
using Raft.Engine.Plugins;

namespace Raft.Host.StateMachine;

/// <summary>A picture of a store, written while commands go on. Layout: <see cref="StoreSnapshotFormat"/>.</summary>
/// <remarks>Journal and idempotency table share their chunks with it, which are read without the lock; the map is walked
/// under the lock, a slice at a time.</remarks>
internal sealed class StoreSnapshot : IStateSnapshot
{
    /// <summary>How many keys are visited while the lock is held.</summary>
    internal const int DefaultSliceKeys = 256;

    private const int JournalOverheadBytes = 40, KeyOverheadBytes = 40, OutcomeBytes = 120;

    private readonly Lock _lock;
    private readonly StoreState _state;
    private readonly Action _closed;
    private readonly long _appliedIndex;
    private readonly UInt128 _stateHash;
    private readonly long _forgottenThroughMs;
    private readonly ChunkedQueue<JournalEntry>.Picture _journal;
    private readonly ChunkedQueue<SettledKey>.Picture _outcomes;
    private readonly KeyValueWalk _walk;
    private bool _isDisposed;

    /// <summary>Taken under the lock.</summary>
    public StoreSnapshot(Lock @lock, StoreState state, Action closed)
    {
        _lock = @lock;
        _state = state;
        _closed = closed;
        _appliedIndex = state.AppliedIndex;
        _stateHash = state.Hash;
        _forgottenThroughMs = state.Idempotency.ForgottenThroughMs;
        _journal = state.Journal.TakePicture();
        _outcomes = state.Idempotency.TakePicture();
        EstimatedBytes = state.Journal.Bytes + (JournalOverheadBytes * (_journal.Next - _journal.First))
            + state.Map.Bytes + (KeyOverheadBytes * (long)state.Map.Count) + (OutcomeBytes * (_outcomes.Next - _outcomes.First));
        _walk = state.Map.BeginWalk(state.AppliedIndex);
    }

    /// <summary>Of journal and keys, with about what each takes beside its content.</summary>
    public long EstimatedBytes { get; }

    internal int SectionBytes { get; init; } = SectionWriter.DefaultSectionBytes;
    internal int SliceKeys { get; init; } = DefaultSliceKeys;

    /// <summary>Hears how long each slice held the lock; for the benchmark.</summary>
    internal Action<TimeSpan>? LockHeld { get; init; }

    public async Task WriteAsync(Stream target, CancellationToken cancellation)
    {
        var writer = new SectionWriter(target, cancellation, SectionBytes);
        await writer.WriteNameAsync(StoreSnapshotFormat.Name);
        WriteHead(writer.Take(StoreSnapshotFormat.Head, StoreSnapshotFormat.HeadBytes));
        await WriteJournalAsync(writer);
        await WriteOutcomesAsync(writer);
        long keys = await WriteKeysAsync(writer);
        await writer.FlushAsync();
        WriteEnd(writer.Take(StoreSnapshotFormat.End, StoreSnapshotFormat.EndBytes), keys);
        await writer.FlushAsync();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
                return;

            _isDisposed = true;
            _state.Journal.Close(_journal);
            _state.Idempotency.Close(_outcomes);
            _state.Map.End(_walk);
            _closed();
        }
    }

    private async ValueTask WriteJournalAsync(SectionWriter writer)
    {
        for (long index = _journal.First; index < _journal.Next; index++)
        {
            int bytes = StoreSnapshotFormat.BytesOf(_journal.At(index));
            if (!writer.HasRoom(StoreSnapshotFormat.JournalEntries, bytes))
                await writer.FlushAsync();
            StoreSnapshotFormat.Write(writer.Take(StoreSnapshotFormat.JournalEntries, bytes), _journal.At(index));
        }
    }

    private async ValueTask WriteOutcomesAsync(SectionWriter writer)
    {
        for (long number = _outcomes.First; number < _outcomes.Next; number++)
        {
            SettledKey key = _outcomes.At(number);
            int bytes = StoreSnapshotFormat.BytesOf(key);
            if (!writer.HasRoom(StoreSnapshotFormat.Outcomes, bytes))
                await writer.FlushAsync();
            StoreSnapshotFormat.Write(writer.Take(StoreSnapshotFormat.Outcomes, bytes), key);
        }
    }

    private async ValueTask<long> WriteKeysAsync(SectionWriter writer)
    {
        long count = 0;
        List<KeyValue> slice = [];
        for (bool isMore = true; isMore;)
        {
            slice.Clear();
            lock (_lock)
            {
                long began = LockHeld is null ? 0 : Stopwatch.GetTimestamp();
                isMore = _walk.Next(slice, SliceKeys);
                LockHeld?.Invoke(Stopwatch.GetElapsedTime(began));
            }

            count += slice.Count;
            foreach (KeyValue item in slice)
            {
                int bytes = StoreSnapshotFormat.BytesOf(item);
                if (!writer.HasRoom(StoreSnapshotFormat.Keys, bytes))
                    await writer.FlushAsync();
                StoreSnapshotFormat.Write(writer.Take(StoreSnapshotFormat.Keys, bytes), item);
            }
        }

        return count;
    }

    private void WriteHead(Span<byte> target)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target, _appliedIndex);
        BinaryPrimitives.WriteUInt128LittleEndian(target[8..], _stateHash);
        BinaryPrimitives.WriteInt64LittleEndian(target[24..], _journal.First);
        BinaryPrimitives.WriteInt64LittleEndian(target[32..], _forgottenThroughMs);
    }

    private void WriteEnd(Span<byte> target, long keys)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target, _journal.Next - _journal.First);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], _outcomes.Next - _outcomes.First);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], keys);
    }
}
