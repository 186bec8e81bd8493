namespace Raft.Engine.Protocol;

// The follower's side of replication: match, conflict hints, acknowledgements. PhD 3.5; rules 1 and 5.
public sealed partial class RaftProtocol
{
    /// <summary>A message of the leader of our term.</summary>
    private void OnLeaderMessage(Message message)
    {
        Invariant.Holds(message.Term == _term);
        if (_role == Role.Leader)
            return; // nobody else leads our term: a confused message
        if (!MakeLeaderKnown(message.From, message.SenderStart))
            return;

        switch (message)
        {
            case AppendRequest request:
                OnAppend(request);
                break;
            case ReadQuorumRequest request:
                FollowCommit(request.CommitIndex);
                Answer(new ReadQuorumReply(_self, request.From, _term, request.ReadId));
                break;
            case TimeoutNow:
                OnTimeoutNow();
                break;
        }
    }

    private void OnAppend(AppendRequest request)
    {
        int count = request.Entries.Count;
        if (count > 0 && (request.Entries[0].Index != request.PreviousIndex.Next || request.Entries[^1].Index != request.PreviousIndex + count))
            return; // malformed

        // They would have to wait for the write that puts the snapshot in the log's place; the leader sends them again.
        if (_isResetDue && count > 0)
            return;

        // What is committed, or lies inside the snapshot, is in every later leader's log: it matches. PhD 3.6.3
        if (request.PreviousIndex > _commitIndex && _log.TermAt(request.PreviousIndex) != request.PreviousTerm)
        {
            Answer(RejectionOf(request));
            return;
        }

        if (!TryAppendMissing(request))
            return;

        _matchedIndex = LogIndex.Max(_matchedIndex, request.PreviousIndex + count);
        FollowCommit(request.CommitIndex);

        // It leaves with this batch, so all that matches is durable by then. A later acknowledgement says more.
        var reply = new AppendReply(_self, request.From, _term, _matchedIndex, _matchedIndex, _commitIndex, Rejection: null)
        {
            SenderStart = _settings.StartCount,
        };
        if (_acknowledgementSlot >= 0 && _sendWhenDurable[_acknowledgementSlot].Term == _term)
        {
            _sendWhenDurable[_acknowledgementSlot] = reply;
            return;
        }

        _acknowledgementSlot = _sendWhenDurable.Count;
        _sendWhenDurable.Add(reply);
    }

    /// <summary>Appends what we lack, after removing what conflicts; what matches is left alone, however often it comes.</summary>
    private bool TryAppendMissing(AppendRequest request)
    {
        IReadOnlyList<Entry> entries = request.Entries;
        int missing = 0;
        while (missing < entries.Count && IsHere(entries[missing]))
            missing++;
        if (missing == entries.Count)
            return true;
        if (!IsWellFormed(request, missing, out List<Configuration>? configurations))
            return false;

        LogIndex first = entries[missing].Index;
        if (first <= _log.LastIndex)
            TruncateFrom(first);
        int decoded = 0;
        for (int i = missing; i < entries.Count; i++)
            Append(entries[i], entries[i].Kind == EntryKind.Configuration ? configurations![decoded++] : null); // one for each
        return true;
    }

    private bool IsHere(Entry entry)
    {
        Term? term = _log.TermAt(entry.Index);
        bool isCommitted = entry.Index <= _commitIndex;

        // A leader has every committed entry. One that has another is beyond what Raft can mend: stop, don't diverge.
        Invariant.Holds(!isCommitted || term is null || term == entry.Term);
        return isCommitted || term == entry.Term;
    }

    /// <summary>Input, not an invariant: contiguous, terms that do not fall, configurations that this release can read.</summary>
    private static bool IsWellFormed(AppendRequest request, int from, out List<Configuration>? configurations)
    {
        configurations = null;
        Term term = request.PreviousTerm;
        for (int i = 0; i < request.Entries.Count; i++)
        {
            Entry entry = request.Entries[i];
            if (entry.Index != request.PreviousIndex + (i + 1) || entry.Term < term || entry.Term > request.Term)
                return false;
            term = entry.Term;
            if (i < from || entry.Kind != EntryKind.Configuration)
                continue;

            try
            {
                var configuration = Configuration.Decode(entry.Payload.Span);
                if (!configuration.IsAllowed)
                    return false; // of a release that could append one: it never commits, and without it the group lives on
                (configurations ??= []).Add(configuration);
            }
            catch (InvalidDataException)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Never beyond what is verified: our tail may still be another leader's. PhD 3.5</summary>
    private void FollowCommit(LogIndex leaderCommit)
    {
        LogIndex index = LogIndex.Min(leaderCommit, _matchedIndex);
        if (index > _commitIndex)
            SetCommitIndex(index);
    }

    /// <summary>Tells a leader that its entries arrived although the disk still works on them. Rule 4</summary>
    private void AcknowledgeReceived()
    {
        if (_leader is not { } leader || _matchedIndex <= _durableIndex || !IsTermDurable)
            return;
        LogIndex durable = LogIndex.Min(_durableIndex, _matchedIndex);
        SendAtOnce(new AppendReply(_self, leader, _term, durable, _matchedIndex, _commitIndex, Rejection: null));
    }

    /// <summary>
    /// What of our log can match at all: nothing later than the append's previous term, since the leader's log has nothing later
    /// before it. So the hint is the last of the rest, and one round trip finds where the logs meet, mostly. PhD 3.5
    /// </summary>
    /// <remarks>
    /// The last index is the true one, whatever is skipped: rule 13 leans on it. A leader of an earlier release understands each
    /// form as well: at worst it asks once more.
    /// </remarks>
    private AppendReply RejectionOf(AppendRequest request)
    {
        LogIndex previous = request.PreviousIndex;
        LogIndex end = LogIndex.Min(previous, _log.LastIndex);
        LogIndex hint = _log.LastIndexWithTermAtMost(request.PreviousTerm, end);
        bool isSure = hint < _log.FirstIndex || _log.TermAt(hint) == request.PreviousTerm; // that term is one run, the same in every log
        LogIndex conflict = isSure ? hint.Next : hint;                                      // sure: the logs meet right before it
        bool hasConflict = conflict >= _log.FirstIndex && conflict <= end;
        var rejection = new AppendRejection(
            previous,
            _log.LastIndex,
            hasConflict ? _log.TermAt(conflict) : null,
            hasConflict ? _log.FirstIndexOfTermAt(conflict) : _log.LastIndex.Next);
        return new AppendReply(_self, request.From, _term, LogIndex.Zero, LogIndex.Zero, _commitIndex, rejection);
    }
}
