namespace Raft.Engine.Protocol;

// Removed servers: they are notified, and stop campaigning. Rule 8.
//
// Two ways lead to a removed server. The leader's log, as to any member, for a few election time-outs: then its own log
// says it, also after a restart. And a notice, for those that the log cannot reach: a server in a higher term than the
// leader's refuses its appends, and one behind the compacted log needs a snapshot, which is not sent to a stranger.
public sealed partial class RaftProtocol
{
    /// <summary>A server that was removed is notified for this many election time-outs.</summary>
    private const long DepartingElections = 4;

    private bool _wasMember;                     // a configuration of the log that is in force no more named this server

    // Committed, as a member that does not count us among the members told us; zero: none did.
    private (LogIndex Index, Term Term) _removedBy;

    /// <summary>How this server stands to its group, as far as it knows. Not durable: it is found out again after a restart.</summary>
    public Standing Standing =>
        IsNotified ? Standing.Removed
        : Configuration.Current.Count == 0 ? Standing.Unknown
        : Configuration.Contains(_self) ? Standing.Member
        : _wasMember ? (ConfigurationIndex <= _commitIndex ? Standing.Removed : Standing.Leaving)
        : Standing.Outside;

    /// <summary>
    /// A member said that this server is none, as of an entry that is committed, and our log lacks that entry. Such a log wins
    /// no election: a majority of every later configuration has the entry. So nothing is lost when its server does not
    /// campaign, whatever became of the members since; and what a leader appends here ends this.
    /// </summary>
    private bool IsNotified =>
        _removedBy.Index > LogIndex.Zero
        && (_removedBy.Index > _log.LastIndex || (_log.TermAt(_removedBy.Index) is { } term && term != _removedBy.Term));

    /// <summary>To a server that asks for votes and is not a member by what is committed here; whoever knows that says it.</summary>
    /// <remarks>A server that became a member by an entry that we lack has that entry, and so ours: the notice says nothing to it.</remarks>
    private void NotifyOfRemoval(ServerId stranger)
    {
        if (Configuration.Contains(stranger) || !Configuration.HasVoters || ConfigurationIndex > _commitIndex || _log.TermAt(_commitIndex) is not { } term)
            return;
        SendAtOnce(AppendRequest.RemovalNotice(_self, stranger, _commitIndex, term, ConfigurationIndex, Configuration));
    }

    /// <summary>It asks for nothing, makes no leader known and moves no term.</summary>
    private void OnRemovalNotice(AppendRequest notice)
    {
        if (_role == Role.Leader || Configuration.Current.Count == 0 || !IsRemovalNoticeForUs(notice))
            return;

        if (_log.TermAt(notice.PreviousIndex) == notice.PreviousTerm)
        {
            // Same index and term: our log is the same up to there, and so that much is committed. PhD 3.5
            if (notice.PreviousIndex > _commitIndex)
                SetCommitIndex(notice.PreviousIndex);
        }
        else if (notice.PreviousIndex > _removedBy.Index)
        {
            _removedBy = (notice.PreviousIndex, notice.PreviousTerm);
        }

        if (_role != Role.Follower && !MayCampaign)
            BecomeFollower(_term);
    }

    private bool IsRemovalNoticeForUs(AppendRequest notice)
    {
        try
        {
            var configuration = Configuration.Decode(notice.Entries[0].Payload.Span);
            return configuration.HasVoters && !configuration.Contains(_self) && notice.PreviousIndex <= notice.CommitIndex;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    /// <summary>It campaigns and is not a member: it was away when it was removed, and gets the log that says so.</summary>
    private void TellOfRemoval(ServerId stranger)
    {
        _tracker!.Tell(stranger, _log.LastIndex.Next, DepartingElections * _settings.ElectionTicks); // a leader has a tracker
        _isReplicationDue = true;
    }

    /// <summary>Those that were removed get the log until they know it. Rule 8</summary>
    private void TickDeparting()
    {
        foreach (Progress departing in _tracker!.Departing) // a leader has a tracker
        {
            bool knows = departing.DepartedAt > LogIndex.Zero && departing.CommitKnown >= departing.DepartedAt;
            if (knows || --departing.DepartingTicks <= 0)
                _tracker.Forget(departing);
            else if (departing.State == ProgressState.Snapshot)
                NotifyOfRemoval(departing.Id);
            else
                TickPeer(departing);
        }
    }
}

/// <summary>How a server stands to its group.</summary>
public enum Standing : byte
{
    /// <summary>It knows no configuration: it is new.</summary>
    Unknown = 0,

    /// <summary>The configuration in force names it.</summary>
    Member = 1,

    /// <summary>The last configuration of its log leaves it out, and is not known to be committed here: it may be undone.</summary>
    Leaving = 2,

    /// <summary>It was removed: that is committed, or a member has said so.</summary>
    Removed = 3,

    /// <summary>No configuration that it knows names it: it is about to be added and catches up, or was removed and its log does not
    /// reach back to that time.</summary>
    Outside = 4,
}
