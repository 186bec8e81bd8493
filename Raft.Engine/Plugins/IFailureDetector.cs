using Raft.Engine.Protocol;

namespace Raft.Engine.Plugins;

/// <summary>Says who is alive: for all groups of a node by one frame per pair of nodes. Rule 4.</summary>
/// <remarks>
/// Announce is called on the group's shard, at every tick and whenever the role changed; it must return at once.
/// A group whose last announcement is older than two ping intervals is left out of the frames: a dead group on a live
/// node is seen as dead. When something that the view answers changes, the group's handler hears
/// <see cref="IRaftRpcHandler.LivenessChanged"/>; it need not when only time has passed.
/// </remarks>
public interface IFailureDetector
{
    /// <summary>What the frames say of this group's servers. Cheap, lock-free or nearly so; asked on the shard's thread.</summary>
    IPeerLiveness ViewOf(GroupId group);

    /// <summary>What our next frames say of our own server of this group.</summary>
    void Announce(GroupId group, GroupStatus status);
}

/// <summary>What a server says of itself: its term, whether it leads, and whom it follows.</summary>
public readonly record struct GroupStatus(Term Term, bool IsLeader, ServerId? Follows)
{
    /// <summary>A leader's, when nothing has happened for a while: all its log up to here is committed. Null: it is at work, or does not
    /// lead.</summary>
    public LogIndex? QuietCommit { get; init; }
}
