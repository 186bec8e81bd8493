using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>Whether the liveness frames may say how far this leader has committed: then followers of an idle group, to which no
/// message goes, still know how fresh they are. Rule 4. Only on the shard.</summary>
/// <remarks>
/// Only when nothing has happened for a while, so that a group with a write now and then costs no frame of its own for each.
/// The word must be taken back before anything new can be committed: that is, before the first append request leaves.
/// </remarks>
internal sealed class QuietLeader
{
    /// <summary>A second at the default tick.</summary>
    public const int TicksUntilQuiet = 20;

    private LogIndex _last;
    private int _ticks;

    /// <summary>All that the leader has is committed, and has been for a while; null: it is at work, or not known.</summary>
    public LogIndex? Commit { get; private set; }

    public void OnTick(RaftProtocol protocol)
    {
        if (IsAtWork(protocol) || protocol.LastIndex != _last)
        {
            _last = protocol.LastIndex;
            _ticks = 0;
            Commit = null;
            return;
        }

        if (_ticks < TicksUntilQuiet && ++_ticks == TicksUntilQuiet)
            Commit = _last;
    }

    /// <summary>True when what was said is true no longer.</summary>
    public bool Ends(RaftProtocol protocol)
    {
        if (Commit is not { } commit || (protocol.Role == Role.Leader && protocol.LastIndex == commit))
            return false;

        _ticks = 0;
        Commit = null;
        return true;
    }

    private static bool IsAtWork(RaftProtocol protocol) => protocol.Role != Role.Leader || protocol.CommitIndex != protocol.LastIndex;
}
