namespace Raft.Engine.Protocol;

/// <summary>What the liveness frames say of this group's other servers; a view that the protocol asks, at any time. Rule 4.</summary>
/// <remarks>
/// A frame speaks of one start of one server, of each of its groups: role and term. It is fresh for the failure
/// detector's time-out. It never makes a leader known and never changes a term; it only keeps known, or takes away,
/// what an append made known.
/// </remarks>
public interface IPeerLiveness
{
    /// <summary>What is known of <paramref name="server"/> as the leader of <paramref name="term"/>, from the start
    /// <paramref name="start"/> whose append made it known.</summary>
    LeaderSign LeaderSign(ServerId server, long start, Term term);

    /// <summary>A fresh frame says that the server follows us in this very term.</summary>
    bool IsFollowing(ServerId server, Term term);

    /// <summary>A fresh frame of that server speaks of this group.</summary>
    bool IsAlive(ServerId server);

    /// <summary>What a fresh frame says of the leader of this very term: up to where all its log is committed, and how long ago the frame
    /// came. Null: it is at work, or nothing fresh is known. Followers of an idle group know by it how fresh they are; an
    /// implementation that never knows only makes them look staler than they are.</summary>
    /// <remarks>The age is that of the frame or older; never that of a newer one.</remarks>
    QuietWord? QuietWord(ServerId server, Term term) => null;

    /// <summary>What the wall clock of that server says now, milliseconds since 1970 UTC, as a fresh frame tells; null: not known. A
    /// leader's clock is trusted no further than a quorum's confirm it; an implementation that never knows leaves it alone with
    /// its own (<see cref="Server.RaftServerSettings.ClockConfirmation"/>).</summary>
    long? ClockOf(ServerId server) => null;
}

/// <summary>An idle leader's word.</summary>
/// <param name="Commit">All up to here is committed, and there is nothing more.</param>
/// <param name="Age">How long ago the word came, at least.</param>
public readonly record struct QuietWord(LogIndex Commit, TimeSpan Age);

/// <summary>What a liveness frame says about a leader.</summary>
public enum LeaderSign : byte
{
    /// <summary>Nothing fresh, or something of an older term: it neither confirms nor denies.</summary>
    Silent = 0,

    /// <summary>A fresh frame of this start: it leads in this term or a later one.</summary>
    Leads = 1,

    /// <summary>A fresh frame, of this term or a later one, in which it does not lead; or another start; or the process is known to be gone.</summary>
    Denies = 2,
}
