using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Memory;

namespace Raft.Host.StateMachine;

/// <summary>What the host gives to each group's server: the state machine of the user, or the store, and around it the host's own state.</summary>
/// <remarks>
/// Keeps the host's commands (<see cref="CommittedCommand.IsSystem"/>) from the inner state machine: groups that are created,
/// and checks of the state hash. Records the state hash of the inner one at the same commands on every replica, if it is an
/// <see cref="IHashedState"/>. Events are raised on the group's shard: handlers return at once and never throw.
/// Hot path: a batch that holds nothing for the host is handed on as it is.
/// </remarks>
public sealed class GroupStateMachine(GroupId group, IStateMachine inner, ILogger<GroupStateMachine> log) : IStateMachine
{
    private readonly IHashedState? _hashed = inner as IHashedState;
    private readonly IMeasuredState? _measured = inner as IMeasuredState;
    private readonly ICorrectedTime? _inner = inner as ICorrectedTime;
    private readonly List<CommittedCommand> _piece = [];
    private HashRecords _records = new();
    private LogIndex _checkedThrough;       // the highest index that a check spoke of
    private LogIndex _appliedIndex;
    private long _countedBytes;             // of the inner state, in the budget
    private long _timeOffsetMs;
    private volatile IReadOnlyList<CreatedGroup> _createdGroups = [];
    private volatile HashCheck? _pendingHashCheck;
    private volatile HashAlarm? _hashAlarm;

    public IStateMachine Inner { get; } = inner;

    /// <summary>The node's budget that the inner state is counted in, if it is an <see cref="IMeasuredState"/>; null: none.</summary>
    public StateBudget? Budget { get; init; }

    /// <summary>The state machine can be told that stamps are ahead of the clocks.</summary>
    public bool CanCorrectTime => _inner is not null;

    /// <summary>By how much the stamps of the log are ahead of the clocks: <see cref="TimeCorrection"/>. From any thread.</summary>
    public long TimeOffsetMs
    {
        get => Volatile.Read(ref _timeOffsetMs);
        private set => Volatile.Write(ref _timeOffsetMs, value);
    }

    /// <summary>Groups that this group's log created, in its order. From any thread; the list never changes, a new one takes its place.</summary>
    public IReadOnlyList<CreatedGroup> CreatedGroups => _createdGroups;

    /// <summary>Each created group once: after its command was applied, or a snapshot that holds it was loaded.</summary>
    public event Action<CreatedGroup>? GroupCreated;

    /// <summary>The newest state hash that no entry has spoken of yet: what a leader should put into the log. From any thread.</summary>
    public HashCheck? PendingHashCheck => _pendingHashCheck;

    /// <summary>Set for good when the leader's state hash was another than the own one. From any thread.</summary>
    public HashAlarm? HashAlarm => _hashAlarm;

    /// <summary>Once, when <see cref="HashAlarm"/> is set.</summary>
    public event Action<HashAlarm>? HashAlarmRaised;

    public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(commands);
        if (commands[0].Index <= _appliedIndex)
            throw new InvalidOperationException($"Index {commands[0].Index} was applied already; the last is {_appliedIndex}.");

        // Index and time never fall: where the last command is not due, none is.
        CommittedCommand last = commands[^1];
        _appliedIndex = last.Index;
        ValueTask<IReadOnlyList<object?>> applied = IsRecordDue(last) || HoldsSystemCommand(commands)
            ? ApplyInPiecesAsync(commands, cancellation)
            : Inner.ApplyAsync(commands, cancellation);
        if (Budget is null || _measured is null)
            return applied;
        if (!applied.IsCompletedSuccessfully)
            return MeasureAsync(applied);
        Measure();
        return applied;
    }

    public bool MakesRoom(ReadOnlySpan<byte> command) => Inner.MakesRoom(command);

    public IStateSnapshot TakeSnapshot()
    {
        var header = new GroupSnapshotHeader(_appliedIndex, _checkedThrough, [.. _records.All], _createdGroups, TimeOffsetMs);
        return new Picture(header, Inner.TakeSnapshot());
    }

    /// <exception cref="InvalidDataException">The content is no snapshot of a group, or the inner state machine refuses its part.</exception>
    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        GroupSnapshotHeader header = await GroupSnapshotHeader.ReadAsync(content, cancellation);
        await Inner.LoadSnapshotAsync(content, cancellation);
        Measure();

        IReadOnlyList<CreatedGroup> before = _createdGroups;
        TimeOffsetMs = header.TimeOffsetMs;
        _inner?.RestoreOffset(header.TimeOffsetMs);
        _appliedIndex = header.AppliedIndex;
        _checkedThrough = header.CheckedThrough;
        _records = new HashRecords();
        foreach (HashRecord record in header.Records)
            _records.Add(record);
        _createdGroups = header.CreatedGroups;
        UpdatePendingCheck();
        log.LoadedSnapshot(group, header.AppliedIndex);
        foreach (CreatedGroup created in header.CreatedGroups)
        {
            if (!before.Any(known => known.Id == created.Id))
                GroupCreated?.Invoke(created);
        }
    }

    private async ValueTask<IReadOnlyList<object?>> MeasureAsync(ValueTask<IReadOnlyList<object?>> applied)
    {
        IReadOnlyList<object?> results = await applied;
        Measure();
        return results;
    }

    /// <summary>The node's budget counts what the inner state takes now.</summary>
    private void Measure()
    {
        if (Budget is null || _measured is null || _measured.StateBytes is var bytes && bytes == _countedBytes)
            return;

        Budget.Add(bytes - _countedBytes);
        _countedBytes = bytes;
    }

    private static bool HoldsSystemCommand(IReadOnlyList<CommittedCommand> commands)
    {
        for (int i = 0; i < commands.Count; i++)
        {
            if (commands[i].IsSystem)
                return true;
        }

        return false;
    }

    private bool IsRecordDue(in CommittedCommand command) => _hashed is not null && _records.IsDue(command.Index, command.TimeMs);

    /// <summary>Cuts the batch at the host's commands, and behind each command that a record is due at.</summary>
    private async ValueTask<IReadOnlyList<object?>> ApplyInPiecesAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        var results = new object?[commands.Count];
        for (int next = 0; next < commands.Count;)
        {
            if (commands[next].IsSystem)
            {
                results[next] = ApplySystem(commands[next]);
                next++;
                continue;
            }

            _piece.Clear();
            int first = next;
            bool isDue = false;
            for (; next < commands.Count && !commands[next].IsSystem && !isDue; next++)
            {
                _piece.Add(commands[next]);
                isDue = IsRecordDue(commands[next]);
            }

            IReadOnlyList<object?> answers = await Inner.ApplyAsync(_piece, cancellation);
            if (answers.Count != _piece.Count)
                throw new InvalidOperationException($"The state machine gave {answers.Count} results for {_piece.Count} commands.");
            for (int i = 0; i < answers.Count; i++)
                results[first + i] = answers[i];
            if (isDue)
                Record(commands[next - 1]);
        }

        _piece.Clear();
        return results;
    }

    private void Record(in CommittedCommand last)
    {
        IHashedState hashed = _hashed ?? throw new InvalidOperationException("No record is due without a hash.");
        _records.Add(new HashRecord(last.Index, last.TimeMs, hashed.StateHash, hashed.StateHashVersion));
        UpdatePendingCheck();
    }

    private void UpdatePendingCheck() =>
        _pendingHashCheck = _records.Newest is { } newest && newest.Index > _checkedThrough ? new HashCheck(newest.Index, newest.Hash, newest.Version) : null;

    private SystemResult ApplySystem(in CommittedCommand committed)
    {
        if (!SystemCommands.TryRead(committed.Command.Span, out SystemCommand? command, out string? fault))
        {
            log.PassedOver(group, committed.Index, fault);
            return new UnknownSystemCommand(fault);
        }

        return command switch
        {
            CreateGroup create => Create(create, committed.Index),
            HashCheck check => Check(check),
            TimeCorrection correction => Correct(correction, committed),
            _ => new UnknownSystemCommand($"{command.GetType().Name} is not for a group's log."),
        };
    }

    private GroupCreated Create(CreateGroup create, LogIndex index)
    {
        IReadOnlyList<CreatedGroup> groups = _createdGroups;
        foreach (CreatedGroup known in groups)
        {
            if (known.Id == create.Group)
                return new GroupCreated(known, IsNew: false);
        }

        var created = new CreatedGroup(create.Group, create.First, index);
        _createdGroups = [.. groups, created];
        log.CreatedGroup(group, created.Id, index);
        GroupCreated?.Invoke(created);
        return new GroupCreated(created, IsNew: true);
    }

    private TimeCorrected Correct(TimeCorrection correction, in CommittedCommand committed)
    {
        if (_inner is not null && correction.OffsetMs > TimeOffsetMs)
        {
            TimeOffsetMs = correction.OffsetMs;
            _inner.Correct(correction.OffsetMs, committed.TimeMs);
            log.CorrectedTime(group, committed.Index, correction.OffsetMs / 1000.0);
        }

        return new TimeCorrected(TimeOffsetMs);
    }

    private HashChecked Check(HashCheck check)
    {
        _checkedThrough = LogIndex.Max(_checkedThrough, check.Index);
        UpdatePendingCheck();
        if (_records.Find(check.Index) is not { } own || own.Version != check.HashVersion)
            return new HashChecked(HashCheckOutcome.NotCompared);
        if (own.Hash == check.Hash)
            return new HashChecked(HashCheckOutcome.Equal);

        if (_hashAlarm is null)
        {
            var alarm = new HashAlarm(check.Index, own.Hash, check.Hash);
            _hashAlarm = alarm;
            log.StateDiffers(group, alarm.Index, alarm.Own.ToString("x32"), alarm.Leaders.ToString("x32"));
            HashAlarmRaised?.Invoke(alarm);
        }

        return new HashChecked(HashCheckOutcome.Different);
    }

    /// <summary>The host's part first, then the inner picture to the end of the stream.</summary>
    private sealed class Picture(GroupSnapshotHeader header, IStateSnapshot inner) : IStateSnapshot
    {
        public long EstimatedBytes => inner.EstimatedBytes;

        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            await header.WriteAsync(target, cancellation);
            await inner.WriteAsync(target, cancellation);
        }

        public void Dispose() => inner.Dispose();
    }
}
