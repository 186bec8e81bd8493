namespace Raft.Host.Hosting;

/// <summary>Which leadership to hand to whom, so that no node leads far more groups than its share. docs/operating.md.</summary>
/// <remarks>
/// A node's share is the number of groups over the number of live voters, rounded up; a tenth more is left alone. One that
/// leads more hands one group to the live voter that leads fewest. Since the others then have less than a share among them,
/// that one gains and nobody hands back.
/// </remarks>
internal static class LeaderSpreading
{
    /// <summary>How long a leadership is left alone after it began here, by whatever cause; and this node after a start or a drain.</summary>
    public static readonly TimeSpan RestTime = TimeSpan.FromSeconds(10);

    /// <summary>No two hand-overs of one node are closer.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    public static bool LeadsTooMany(int ownCount, int groups, int liveVoters)
    {
        if (groups < 2 || liveVoters < 2)
            return false;

        int share = (groups + liveVoters - 1) / liveVoters;
        return ownCount > share + (share / 10);
    }

    /// <summary>To whom; null when nobody would lead fewer than this node even with one more.</summary>
    /// <param name="ownCount">Groups that this node leads.</param>
    /// <param name="others">The group's other live voters, each with the number of groups that it leads.</param>
    public static T? TargetOf<T>(int ownCount, IEnumerable<(T Node, int LeadCount)> others)
        where T : struct
    {
        T? target = null;
        int fewest = ownCount - 1;
        foreach ((T node, int leads) in others)
        {
            if (leads < fewest)
                (target, fewest) = (node, leads);
        }

        return target;
    }
}
