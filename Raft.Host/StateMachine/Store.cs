using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>What is read of the journal at once.</summary>
/// <param name="From">The index of the first entry.</param>
public readonly record struct JournalPage(long From, JournalEntry[] Entries, long FirstIndex, long LastIndex);

/// <summary>A range of keys. <paramref name="IsCut"/>: there are more.</summary>
public readonly record struct KeyRange(IReadOnlyList<KeyValue> Items, bool IsCut);

/// <summary>Numbers of a store, all of the same moment.</summary>
/// <param name="AppliedIndex">The last command applied: the hash is of this index.</param>
public readonly record struct StoreStatus(
    long AppliedIndex, UInt128 StateHash, long JournalFirstIndex, long JournalLastIndex, long JournalBytes, int Keys, long KeyValueBytes, int IdempotencyKeys);

/// <summary>The built-in state machine: a journal and a key-value map over one log.</summary>
/// <remarks>
/// Commands come on the group's shard, reads from any thread: one lock, held for a batch by the one, for a look-up by the
/// others, and for a slice of keys by a picture that is being written. What a read gives is immutable. All limits that decide
/// anything travel in the commands, so replicas never differ because their configuration does.
/// </remarks>
public sealed partial class Store : IStateMachine, IHashedState, IMeasuredState, ICorrectedTime
{
    private const string JsonType = "application/json";

    private readonly Lock _lock = new();
    private readonly ContentTypes _contentTypes = new();
    private StoreState _state = new();
    private bool _isPictureOpen;
    private long _stateBytes;

    public StoreStatus Status
    {
        get
        {
            lock (_lock)
            {
                return new StoreStatus(
                    _state.AppliedIndex, _state.Hash, _state.Journal.FirstIndex, _state.Journal.LastIndex, _state.Journal.Bytes,
                    _state.Map.Count, _state.Map.Bytes, _state.Idempotency.Count);
            }
        }
    }

    public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(commands);
        object?[] results = new object?[commands.Count];
        lock (_lock)
        {
            for (int i = 0; i < results.Length; i++)
                results[i] = Apply(commands[i]);
            Volatile.Write(ref _stateBytes, _state.MemoryBytes);
        }

        return ValueTask.FromResult<IReadOnlyList<object?>>(results);
    }

    public UInt128 StateHash
    {
        get
        {
            lock (_lock)
                return _state.Hash;
        }
    }

    public int StateHashVersion => StateMachine.StateHash.Version;

    /// <summary>Deletions do. The outcome that an Idempotency-Key has from then on is bounded like all of them.</summary>
    public bool MakesRoom(ReadOnlySpan<byte> command) => StoreCommands.TryRead(command, out StoreCommand read, out _) && read.Kind == CommandKind.Delete;

    public IStateSnapshot TakeSnapshot() => TakeSnapshot(SectionWriter.DefaultSectionBytes, StoreSnapshot.DefaultSliceKeys);

    /// <summary>A picture with sections and slices of another size, for tests and benchmarks.</summary>
    internal IStateSnapshot TakeSnapshot(int sectionBytes, int sliceKeys, Action<TimeSpan>? lockHeld = null)
    {
        lock (_lock)
        {
            if (_isPictureOpen)
                throw new InvalidOperationException("A picture is open already: dispose it first.");
            _isPictureOpen = true;
            return new StoreSnapshot(_lock, _state, closed: () => _isPictureOpen = false)
            {
                SectionBytes = sectionBytes,
                SliceKeys = sliceKeys,
                LockHeld = lockHeld,
            };
        }
    }

    /// <summary>Where a snapshot is read; a simulation has no thread pool.</summary>
    internal Func<Func<Task<StoreState>>, CancellationToken, Task<StoreState>> RunAside { get; init; } = Task.Run;

    /// <exception cref="InvalidDataException">The content is no snapshot of a store, or not whole; the state is as it was.</exception>
    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        // The caller is a shard's only thread; nobody reads the new state before it is whole.
        StoreState loaded = await RunAside(() => StoreSnapshotReader.ReadAsync(content, cancellation), cancellation);
        lock (_lock)
        {
            _state = loaded;
            Volatile.Write(ref _stateBytes, loaded.MemoryBytes);
        }
    }

    /// <summary>The value of a key; null when it is not there.</summary>
    public KeyValue? Get(ReadOnlySpan<byte> key)
    {
        lock (_lock)
            return _state.Map.Find(key);
    }

    /// <summary>Keys in order: at least one if there is one, then until either limit.</summary>
    public KeyRange Range(byte[] prefix, byte[] after, int limit, long maxBytes)
    {
        lock (_lock)
        {
            List<KeyValue> items = _state.Map.Range(prefix, after, limit, maxBytes, out bool isCut);
            return new KeyRange(items, isCut);
        }
    }

    /// <summary>Journal entries from an index on (null: the oldest): at least one if there is one, then until either limit.
    /// Empty when the index is outside of what is kept.</summary>
    public JournalPage ReadJournal(long? from, int limit, long maxBytes)
    {
        lock (_lock)
        {
            long start = from ?? _state.Journal.FirstIndex;
            if (start < _state.Journal.FirstIndex || start > _state.Journal.LastIndex)
                return new JournalPage(start, [], _state.Journal.FirstIndex, _state.Journal.LastIndex);

            long last = Math.Min(_state.Journal.LastIndex, start + limit - 1);
            int count = 0;
            for (long bytes = 0; start + count <= last; count++)
            {
                bytes += _state.Journal.At(start + count).Payload.Length;
                if (count > 0 && bytes > maxBytes)
                    break;
            }

            var entries = new JournalEntry[count];
            for (int i = 0; i < count; i++)
                entries[i] = _state.Journal.At(start + i);
            return new JournalPage(start, entries, _state.Journal.FirstIndex, _state.Journal.LastIndex);
        }
    }

    /// <summary>What became of an idempotency key; null when it is not known.</summary>
    public SettledKey? FindSettled(string principal, string key)
    {
        byte[] scope = StoreCommands.Scope(principal, key);
        lock (_lock)
            return _state.Idempotency.Find(scope) is { } found ? found with { TimeMs = found.TimeMs - _state.Idempotency.OffsetMs } : null;
    }

    /// <summary>The hash computed from the whole state, for tests: must equal the incremental one.</summary>
    internal UInt128 RecomputeHash()
    {
        lock (_lock)
            return _state.RecomputeHash();
    }

    void ICorrectedTime.Correct(long offsetMs, long timeMs)
    {
        lock (_lock)
            _state.Idempotency.Correct(offsetMs, timeMs);
    }

    void ICorrectedTime.RestoreOffset(long offsetMs)
    {
        lock (_lock)
            _state.Idempotency.RestoreOffset(offsetMs);
    }

    /// <summary>What time it was, for people: the stamp without what it is ahead by.</summary>
    private long TimeOf(in CommittedCommand committed) => committed.TimeMs - _state.Idempotency.OffsetMs;

    private StoreResult Apply(in CommittedCommand committed)
    {
        if (committed.Index.Value <= _state.AppliedIndex)
            throw new InvalidOperationException($"Index {committed.Index} was applied already; the last is {_state.AppliedIndex}.");

        _state.AppliedIndex = committed.Index.Value;
        if (!StoreCommands.TryRead(committed.Command.Span, out StoreCommand command, out string? fault))
            return new Malformed(fault ?? "");
        if (command.IdempotencyScope.IsEmpty)
            return Execute(command, committed);
        if (_state.Idempotency.Admit(command, committed.TimeMs) is { } settled)
            return settled;

        StoreResult outcome = Execute(command, committed);
        if (outcome is not Malformed)
            _state.Idempotency.Settle(command, outcome, committed.TimeMs);
        return outcome;
    }

    private StoreResult Execute(in StoreCommand command, in CommittedCommand committed)
    {
        switch (command.Kind)
        {
            case CommandKind.Append:
                long index = _state.Journal.Append(new JournalEntry(committed.Term.Value, TimeOf(committed), _contentTypes.Of(command.ContentType), command.Payload.ToArray()));
                _state.Journal.Retain(command.JournalMaxEntries, command.JournalMaxBytes);
                return new Appended(index, index, committed.Index.Value, committed.Term);

            case CommandKind.AppendLines:
                return AppendLines(command, committed);

            default:
                return Write(command, committed);
        }
    }

    private StoreResult AppendLines(in StoreCommand command, in CommittedCommand committed)
    {
        // One copy of the batch; its entries are slices of it.
        byte[] batch = command.Payload.ToArray();
        long first = _state.Journal.LastIndex + 1;
        var lines = new Lines(batch);
        while (lines.MoveNext())
            _state.Journal.Append(new JournalEntry(committed.Term.Value, TimeOf(committed), JsonType, batch.AsMemory(lines.Current)));
        if (_state.Journal.LastIndex < first)
            return new Malformed("The batch has no lines.");

        _state.Journal.Retain(command.JournalMaxEntries, command.JournalMaxBytes);
        return new Appended(first, _state.Journal.LastIndex, committed.Index.Value, committed.Term);
    }

    private StoreResult Write(in StoreCommand command, in CommittedCommand committed)
    {
        KeyValue? existing = _state.Map.Find(command.Key);
        if (!command.Precondition.Holds(existing?.Revision ?? 0))
            return new PreconditionFailed(existing?.Revision ?? 0, committed.Index.Value, committed.Term);

        if (command.Kind == CommandKind.Put)
        {
            _state.Map.Put(existing, command.Key, command.Payload, _contentTypes.Of(command.ContentType), committed.Index.Value);
            return new Put(committed.Index.Value, existing is null, committed.Term);
        }

        if (existing is not null)
            _state.Map.Delete(existing);
        return new Deleted(existing is not null, committed.Index.Value, committed.Term);
    }
}
