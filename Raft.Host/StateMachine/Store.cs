using System.Text;
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
/// Commands come on the group's shard, reads from any thread: one lock, held for a batch by the one and for a look-up by the
/// others. What a read gives is immutable. All limits that decide anything travel in the commands, so replicas never differ
/// because their configuration does.
/// </remarks>
public sealed class Store : IStateMachine
{
    private const string JsonType = "application/json";

    private readonly Lock _lock = new();
    private readonly Journal _journal = new();
    private readonly KeyValueMap _map = new();
    private readonly IdempotencyTable _idempotency = new();
    private readonly Dictionary<byte[], string> _contentTypes = new(ByteKeys.Comparer);
    private long _appliedIndex;

    public StoreStatus Status
    {
        get
        {
            lock (_lock)
            {
                return new StoreStatus(
                    _appliedIndex, CurrentHash(), _journal.FirstIndex, _journal.LastIndex, _journal.Bytes, _map.Count, _map.Bytes, _idempotency.Count);
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
        }

        return ValueTask.FromResult<IReadOnlyList<object?>>(results);
    }

    public IStateSnapshot TakeSnapshot() => throw new NotSupportedException();

    public ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation) => throw new NotSupportedException();

    /// <summary>The value of a key; null when it is not there.</summary>
    public KeyValue? Get(ReadOnlySpan<byte> key)
    {
        lock (_lock)
            return _map.Find(key);
    }

    /// <summary>Keys in order: at least one if there is one, then until either limit.</summary>
    public KeyRange Range(byte[] prefix, byte[] after, int limit, long maxBytes)
    {
        lock (_lock)
        {
            List<KeyValue> items = _map.Range(prefix, after, limit, maxBytes, out bool isCut);
            return new KeyRange(items, isCut);
        }
    }

    /// <summary>Journal entries from an index on (null: the oldest): at least one if there is one, then until either limit.
    /// Empty when the index is outside of what is kept.</summary>
    public JournalPage ReadJournal(long? from, int limit, long maxBytes)
    {
        lock (_lock)
        {
            long start = from ?? _journal.FirstIndex;
            if (start < _journal.FirstIndex || start > _journal.LastIndex)
                return new JournalPage(start, [], _journal.FirstIndex, _journal.LastIndex);

            long last = Math.Min(_journal.LastIndex, start + limit - 1);
            int count = 0;
            for (long bytes = 0; start + count <= last; count++)
            {
                bytes += _journal.At(start + count).Payload.Length;
                if (count > 0 && bytes > maxBytes)
                    break;
            }

            var entries = new JournalEntry[count];
            for (int i = 0; i < count; i++)
                entries[i] = _journal.At(start + i);
            return new JournalPage(start, entries, _journal.FirstIndex, _journal.LastIndex);
        }
    }

    /// <summary>What became of an idempotency key; null when it is not known.</summary>
    public SettledKey? FindSettled(string principal, string key)
    {
        byte[] scope = StoreCommands.Scope(principal, key);
        lock (_lock)
            return _idempotency.Find(scope);
    }

    /// <summary>The hash computed from the whole state, for tests: must equal the incremental one.</summary>
    internal UInt128 RecomputeHash()
    {
        lock (_lock)
        {
            UInt128 journal = 0;
            for (long index = _journal.FirstIndex; index <= _journal.LastIndex; index++)
                journal += StateHash.OfJournalEntry(index, _journal.At(index));
            return StateHash.Combine(_map.RecomputeHashSum(), journal, _journal.FirstIndex, _journal.LastIndex, _idempotency.RecomputeHashSum());
        }
    }

    private UInt128 CurrentHash() =>
        StateHash.Combine(_map.HashSum, _journal.HashSum, _journal.FirstIndex, _journal.LastIndex, _idempotency.HashSum);

    private StoreResult Apply(in CommittedCommand committed)
    {
        if (committed.Index.Value <= _appliedIndex)
            throw new InvalidOperationException($"Index {committed.Index} was applied already; the last is {_appliedIndex}.");

        _appliedIndex = committed.Index.Value;
        if (!StoreCommands.TryRead(committed.Command.Span, out StoreCommand command, out string? fault))
            return new Malformed(fault ?? "");
        if (command.IdempotencyScope.IsEmpty)
            return Execute(command, committed);
        if (_idempotency.Admit(command, committed.TimeMs) is { } settled)
            return settled;

        StoreResult outcome = Execute(command, committed);
        if (outcome is not Malformed)
            _idempotency.Settle(command, outcome, committed.TimeMs);
        return outcome;
    }

    private StoreResult Execute(in StoreCommand command, in CommittedCommand committed)
    {
        switch (command.Kind)
        {
            case CommandKind.Append:
                long index = _journal.Append(new JournalEntry(committed.Term.Value, committed.TimeMs, ContentTypeOf(command.ContentType), command.Payload.ToArray()));
                _journal.Retain(command.JournalMaxEntries, command.JournalMaxBytes);
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
        long first = _journal.LastIndex + 1;
        var lines = new Lines(batch);
        while (lines.MoveNext())
            _journal.Append(new JournalEntry(committed.Term.Value, committed.TimeMs, JsonType, batch.AsMemory(lines.Current)));
        if (_journal.LastIndex < first)
            return new Malformed("The batch has no lines.");

        _journal.Retain(command.JournalMaxEntries, command.JournalMaxBytes);
        return new Appended(first, _journal.LastIndex, committed.Index.Value, committed.Term);
    }

    private StoreResult Write(in StoreCommand command, in CommittedCommand committed)
    {
        KeyValue? existing = _map.Find(command.Key);
        if (!command.Precondition.Holds(existing?.Revision ?? 0))
            return new PreconditionFailed(existing?.Revision ?? 0, committed.Index.Value, committed.Term);

        if (command.Kind == CommandKind.Put)
        {
            _map.Put(existing, command.Key, command.Payload, ContentTypeOf(command.ContentType), committed.Index.Value);
            return new Put(committed.Index.Value, existing is null, committed.Term);
        }

        if (existing is not null)
            _map.Delete(existing);
        return new Deleted(existing is not null, committed.Index.Value, committed.Term);
    }

    /// <summary>Few types in use share their strings; a flood of others is not remembered.</summary>
    private string? ContentTypeOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return null;
        if (_contentTypes.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(bytes, out string? known))
            return known;

        string text = Encoding.ASCII.GetString(bytes);
        if (_contentTypes.Count < 256)
            _contentTypes.Add(bytes.ToArray(), text);
        return text;
    }
}
