namespace Raft.Engine.Protocol;

// What a poll gives, and the way of committed entries to the state machine.
public sealed partial class RaftProtocol
{
    private const int ApplyReadBytes = 4 << 20;

    /// <summary>Whether a poll would give anything.</summary>
    public bool HasOutput =>
        _isReplicationDue
        || _sendAtOnce.Count > 0
        || _sendWhenDurable.Count > 0
        || IsPersistDue
        || _commitIndex != _reportedCommit
        || _readToApply.Count > 0
        || IsApplyDue
        || _readsReady.Count > 0
        || _readsFailed.Count > 0
        || _entriesWanted.Count > 0
        || !ReferenceEquals(Configuration, _reportedConfiguration)
        || _reportedRole != new RoleChange(_role, _term, _leader);

    private bool IsPersistDue =>
        _handedIndex < _log.LastIndex || _truncateFrom is not null || _handedTermAndVote != new TermAndVote(_term, _vote);

    /// <summary>The last index that may be applied: committed, and durable here. Rule 2</summary>
    private LogIndex ApplyBound => LogIndex.Min(_commitIndex, _durableIndex);

    private bool IsApplyDue =>
        _handedToApply < ApplyBound
        && (_handedToApply.Next >= _log.FirstInMemory
            || (!_isApplyReading && !_isApplyReadBlocked && _appliedIndex >= _applyReadGate));

    public OutputBatch TakeOutput()
    {
        if (_role == Role.Leader)
        {
            StartReadRound();
            Replicate();
        }

        _isReplicationDue = false;
        Entry[] toApply = TakeEntriesToApply();
        PersistRequest? persist = TakePersistRequest();
        _acknowledgementSlot = -1;

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
            SnapshotToLoad: null,
            SnapshotsToSend: [],
            AbortTransfers: false,
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
        var request = new PersistRequest(termAndVote != _handedTermAndVote ? termAndVote : null, _truncateFrom, entries);
        _handedTermAndVote = termAndVote;
        _handedIndex = _log.LastIndex;
        _truncateFrom = null;
        _underWay.Add(new BatchUnderWay { Number = _batchNumber, LastIndex = _handedIndex, TermAndVote = termAndVote });
        return request;
    }

    private Entry[] TakeEntriesToApply()
    {
        if (!IsApplyDue)
            return Taken(_readToApply);

        if (_handedToApply.Next < _log.FirstInMemory)
        {
            // After a start most of the log is on disk only. One read is under way at a time, and the next one starts
            // when the state machine has come to the last one's entries: memory stays bounded.
            LogIndex last = LogIndex.Min(ApplyBound, _log.FirstInMemory.Previous);
            _entriesWanted.Add(new EntriesWanted(_self, _handedToApply.Next, last, ApplyReadBytes));
            _isApplyReading = true;
            return Taken(_readToApply);
        }

        // What came from the disk goes before what memory has.
        int read = _readToApply.Count;
        var toApply = new Entry[read + (ApplyBound - _handedToApply)];
        _readToApply.CopyTo(toApply);
        _readToApply.Clear();
        for (int i = read; i < toApply.Length; i++)
            toApply[i] = _log[_handedToApply + (i - read + 1)];
        _handedToApply = ApplyBound;
        return toApply;
    }

    private void OnEntriesReadToApply(LogIndex from, IReadOnlyList<Entry> entries)
    {
        if (!_isApplyReading || from != _handedToApply.Next)
            return;

        _isApplyReading = false;
        _isApplyReadBlocked = entries.Count == 0;
        _applyReadGate = _handedToApply;
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
}
