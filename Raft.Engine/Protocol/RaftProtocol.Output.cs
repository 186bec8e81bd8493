namespace Raft.Engine.Protocol;

// What a poll gives, and the way of committed entries to the state machine.
public sealed partial class RaftProtocol
{
    /// <summary>Handed to the applier at once, about. Two hand-overs are under way at the most: memory stays bounded however slow
    /// the state machine is.</summary>
    private const int ApplyBytes = 4 << 20;

    /// <summary>Whether a poll would give anything.</summary>
    public bool HasOutput =>
        _isReplicationDue
        || _sendAtOnce.Count > 0
        || _sendWhenDurable.Count > 0
        || IsPersistDue
        || _commitIndex != _reportedCommit
        || _readToApply.Count > 0
        || IsLoadDue
        || IsApplyDue
        || _readsReady.Count > 0
        || _readsFailed.Count > 0
        || _entriesWanted.Count > 0
        || _snapshotsToSend.Count > 0
        || _lostData.Count > 0
        || _hasAbortedTransfers
        || !ReferenceEquals(Configuration, _reportedConfiguration)
        || _reportedRole != new RoleChange(_role, _term, _leader);

    private bool IsPersistDue =>
        _handedIndex < _log.LastIndex || _truncateFrom is not null || _isSnapshotDue || _handedTermAndVote != new TermAndVote(_term, _vote);

    /// <summary>The last index that may be applied: committed, and durable here. Rule 2</summary>
    private LogIndex ApplyBound => LogIndex.Min(_commitIndex, _durableIndex);

    private bool IsLoadDue => _snapshotToLoad is not null && _durableBatch >= _snapshotBatch;

    private bool IsApplyDue =>
        _handedToApply < ApplyBound
        && _snapshotToLoad is null
        && _appliedIndex >= _applyGate
        && (_handedToApply.Next >= _log.FirstInMemory || (!_isApplyReading && !_isApplyReadBlocked));

    public OutputBatch TakeOutput()
    {
        if (_role == Role.Leader)
        {
            StartReadRound();
            Replicate();
        }

        _isReplicationDue = false;
        SnapshotDescriptor? toLoad = IsLoadDue ? _snapshotToLoad : null;
        if (toLoad is not null)
            _snapshotToLoad = null;
        Entry[] toApply = TakeEntriesToApply();
        PersistRequest? persist = TakePersistRequest();
        _acknowledgementSlot = -1;
        bool abortsTransfers = _hasAbortedTransfers || persist?.TermAndVote is not null;
        _hasAbortedTransfers = false;

        LogIndex? commit = _commitIndex != _reportedCommit ? _commitIndex : null;
        _reportedCommit = _commitIndex;

        Configuration? configuration = null;
        if (!ReferenceEquals(Configuration, _reportedConfiguration))
            configuration = _reportedConfiguration = Configuration;

        var role = new RoleChange(_role, _term, _leader);
        RoleChange? roleChange = role != _reportedRole ? role : null;
        _reportedRole = role;

        return new OutputBatch(
            _batchNumber,
            Taken(_sendAtOnce),
            persist,
            Taken(_sendWhenDurable),
            commit,
            toApply,
            Taken(_readsReady),
            Taken(_readsFailed),
            Taken(_entriesWanted),
            toLoad,
            Taken(_snapshotsToSend),
            abortsTransfers,
            Taken(_lostData),
            configuration,
            roleChange);
    }

    /// <summary>The answer to EntriesWanted; an empty list when they could not be read (the peer is tried again at the next tick).</summary>
    public void OnEntriesRead(ServerId peer, LogIndex from, IReadOnlyList<Entry> entries)
    {
        if (peer == _self)
            OnEntriesReadToApply(from, entries);
        else
            OnEntriesReadForPeer(peer, from, entries);
    }

    private PersistRequest? TakePersistRequest()
    {
        _batchNumber++;
        if (!IsPersistDue)
            return null;

        var termAndVote = new TermAndVote(_term, _vote);
        Entry[] entries = _handedIndex < _log.LastIndex
            ? _log.Copy(_handedIndex.Next, _log.LastIndex, long.MaxValue, out _)
            : [];
        Invariant.Holds(!_isResetDue || entries.Length == 0);
        Invariant.Holds(LastConfigurationIn(entries) is not { } last || last == ConfigurationIndex); // in force is the last one in the log
        var request = new PersistRequest(termAndVote != _handedTermAndVote ? termAndVote : null, _truncateFrom, entries)
        {
            Snapshot = _isSnapshotDue ? Snapshot : null,
            DeleteThrough = _deleteThrough,
        };
        _handedTermAndVote = termAndVote;
        _handedIndex = _log.LastIndex;
        _truncateFrom = null;
        _deleteThrough = null;
        _isSnapshotDue = false;
        _isResetDue = false;
        _underWay.Add(new BatchUnderWay { Number = _batchNumber, LastIndex = _handedIndex, TermAndVote = termAndVote });
        return request;
    }

    private static LogIndex? LastConfigurationIn(Entry[] entries)
    {
        for (int i = entries.Length - 1; i >= 0; i--)
        {
            if (entries[i].Kind == EntryKind.Configuration)
                return entries[i].Index;
        }

        return null;
    }

    private Entry[] TakeEntriesToApply()
    {
        if (!IsApplyDue)
            return Taken(_readToApply);

        if (_handedToApply.Next < _log.FirstInMemory)
        {
            // After a start most of the log is on disk only, and a slow state machine falls behind what memory keeps.
            LogIndex last = LogIndex.Min(ApplyBound, _log.FirstInMemory.Previous);
            _entriesWanted.Add(new EntriesWanted(_self, _handedToApply.Next, last, ApplyBytes));
            _isApplyReading = true;
            return Taken(_readToApply);
        }

        // What came from the disk goes before what memory has.
        Entry[] fromMemory = _log.Copy(_handedToApply.Next, ApplyBound, ApplyBytes, out _);
        _applyGate = _handedToApply;
        _handedToApply = fromMemory[^1].Index;
        if (_readToApply.Count == 0)
            return fromMemory;
        Entry[] toApply = [.. _readToApply, .. fromMemory];
        _readToApply.Clear();
        return toApply;
    }

    private void OnEntriesReadToApply(LogIndex from, IReadOnlyList<Entry> entries)
    {
        if (!_isApplyReading || from != _handedToApply.Next)
            return;

        _isApplyReading = false;
        _isApplyReadBlocked = entries.Count == 0;
        _applyGate = _handedToApply;
        foreach (Entry entry in entries)
        {
            // Storage may give more than was asked for; what is applied is committed and durable, and no more.
            if (entry.Index > ApplyBound)
                break;
            Invariant.Holds(entry.Index == _handedToApply.Next);
            Invariant.Holds(entry.Term == _log.TermAt(entry.Index));
            _readToApply.Add(entry);
            _handedToApply = entry.Index;
        }
    }

    /// <summary>Hands over what a list holds; most are empty at most polls, and cost nothing.</summary>
    private static T[] Taken<T>(List<T> list)
    {
        if (list.Count == 0)
            return [];
        T[] taken = [.. list];
        list.Clear();
        return taken;
    }

    /// <summary>Answers at once if our term is durable, else with the batch that makes it so.</summary>
    private void Answer(Message message) => (IsTermDurable ? _sendAtOnce : _sendWhenDurable).Add(Signed(message));

    private void SendAtOnce(Message message) => _sendAtOnce.Add(Signed(message));

    private void SendWhenDurable(Message message) => _sendWhenDurable.Add(Signed(message));

    private Message Signed(Message message) => message with { SenderStart = _settings.StartCount };
}
