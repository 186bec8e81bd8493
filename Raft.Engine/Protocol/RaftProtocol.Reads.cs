namespace Raft.Engine.Protocol;

// Read barriers: a quorum confirms the term after the call came. PhD 6.4; rule 9. No clock takes part.
public sealed partial class RaftProtocol
{
    /// <summary>One question to the quorum. Its number changes with the configuration; whom it serves does not.</summary>
    private sealed record ReadRound(ReadId Serves, LogIndex Index, ReadId Number);

    /// <summary>Starts, or joins, a read barrier; null when this server does not lead. Ends in ReadsReady or ReadsFailed. Rule 9.</summary>
    public ReadId? StartRead()
    {
        if (_role != Role.Leader)
            return null;

        // All that come before the next round's first message leaves are served by it.
        _readWaiting ??= NextReadId();
        _isReplicationDue = true;
        return _readWaiting;
    }

    private ReadId NextReadId() => new(++_lastReadId);

    /// <summary>At a poll: the messages of a new round leave now, so every call that came before is served.</summary>
    private void StartReadRound()
    {
        // Until an entry of its own term is committed a leader does not know what is committed. PhD 6.4
        if (_readWaiting is not { } waiting || _readRound is not null || _log.TermAt(_commitIndex) != _term)
            return;

        _readWaiting = null;
        _readRound = new ReadRound(waiting, _commitIndex, NextReadId());
        AskReadQuorum();
    }

    private void AskReadQuorum()
    {
        ReadRound round = _readRound!; // callers have checked
        _tracker!.Self.ReadConfirmed = round.Number; // a leader has a tracker
        ResendReadRound();
        ReviewReadRound();
    }

    /// <summary>To those that have not answered, again at each tick.</summary>
    private void ResendReadRound()
    {
        if (_readRound is not { } round)
            return;
        foreach (Progress peer in _tracker!.Peers) // only a leader has a round
        {
            if (!peer.CanVote || peer.ReadConfirmed >= round.Number)
                continue;
            peer.IsAnswerDue = true;
            SendAtOnce(new ReadQuorumRequest(_self, peer.Id, _term, round.Number, LogIndex.Min(_commitIndex, peer.MatchIndex)));
        }
    }

    private void OnReadQuorumReply(ReadQuorumReply reply)
    {
        if (_readRound is not { } round || reply.ReadId != round.Number || _tracker!.Find(reply.From) is not { } peer)
            return;
        peer.ReadConfirmed = round.Number;
        ReviewReadRound();
    }

    private void ReviewReadRound()
    {
        if (_readRound is not { } round
            || !_tracker!.IsQuorum(round.Number, static (voter, number) => voter.ReadConfirmed == number && !voter.HasLostData))
            return;

        _readsReady.Add(new ReadReady(round.Serves, round.Index));
        _readRound = null;
        _isReplicationDue |= _readWaiting is not null;
    }

    /// <summary>Another configuration is another quorum: answers to the old number do not count. Rule 9</summary>
    private void RenumberReadRound()
    {
        if (_role != Role.Leader || _readRound is not { } round)
            return;
        _readRound = round with { Number = NextReadId() };
        AskReadQuorum();
    }

    private void FailReads()
    {
        if (_readRound is { } round)
            _readsFailed.Add(round.Serves);
        if (_readWaiting is { } waiting)
            _readsFailed.Add(waiting);
        _readRound = null;
        _readWaiting = null;
    }
}
