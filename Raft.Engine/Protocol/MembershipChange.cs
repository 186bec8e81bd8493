namespace Raft.Engine.Protocol;

/// <summary>What somebody wants of the configuration. Rule 8.</summary>
/// <remarks>
/// Either the whole wanted set, or what to add and remove. Who is to become a voter is added as joining first, and made a
/// voter by the leader when it has caught up; removals that come with it wait for that. The same change asked again has
/// nothing to do.
/// </remarks>
public sealed record MembershipChange
{
    /// <summary>The whole wanted set; null: see <see cref="Add"/> and <see cref="Remove"/>.</summary>
    public IReadOnlyList<Member>? Set { get; init; }

    /// <summary>Added, or, under a node id that is there, changed (kind, addresses, storage id).</summary>
    public IReadOnlyList<Member> Add { get; init; } = [];

    /// <summary>Removed. A storage id of zero: whatever disk the node is on.</summary>
    public IReadOnlyList<ServerId> Remove { get; init; } = [];

    /// <summary>New voters count at once, and a change that leaves no quorum of live voters is not refused.</summary>
    public bool IsForced { get; init; }

    /// <summary>Only if the configuration in force has this index; null: whatever it is.</summary>
    public LogIndex? ExpectedIndex { get; init; }
}
