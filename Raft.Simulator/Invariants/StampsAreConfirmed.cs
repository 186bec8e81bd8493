using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>No entry tells a time (its stamp without the correction that the log holds) that no quorum's clocks have come to, and no
/// time that has passed since explains: one clock that leaps moves the log's time by seconds at the most.</summary>
/// <remarks>A log's time never falls, and goes on with the monotonic clock. So what a quorum has come to is taken over the whole run: of
/// each set of voters that is, or may be, in force the highest clock that a majority of them has reached (of a sole voter that is its
/// own), and the time since. A correction stays: from it on stamps are ahead of the clocks on purpose, by what it says. The highest that
/// any replica has applied counts, since whoever stamps with one has applied it. Whether a correction was due is not asked here.</remarks>
internal sealed class StampsAreConfirmed(GroupLedger ledger) : IInvariant
{
    /// <summary>What one clock may add: the leap that is allowed, what a fast clock gains between two reviews, and late frames.</summary>
    private const long SlackMs = 60_000;

    private long? _confirmedMs;
    private long _confirmedAtMs;
    private long _lastMs;
    private long _correctionMs;

    /// <summary>The clocks of the nodes are about to be changed, or have just been.</summary>
    public void OnClocks(SimulatedCluster cluster)
    {
        foreach (Configuration configuration in ledger.LiveConfigurations)
        {
            Confirm(configuration.Current, cluster);
            if (configuration.IsJoint)
                Confirm(configuration.Previous, cluster);
        }
    }

    public string? OnPersisting(SimulatedServer server, PersistRequest request)
    {
        _correctionMs = Math.Max(_correctionMs, server.Machine.TimeOffsetMs);
        if (request.Entries.Count == 0 || request.Entries[^1].TimeMs <= _lastMs)
            return null;

        // The first stamp of a log is that of whoever leads first, unless others have told their clocks already.
        bool isFirst = _lastMs == 0;
        _lastMs = request.Entries[^1].TimeMs;
        SimulatedCluster cluster = server.Node.Cluster;
        OnClocks(cluster);
        if (isFirst)
            Confirm(_lastMs - _correctionMs, NowMs(cluster));
        long aheadMs = _lastMs - _correctionMs - ConfirmedMs(NowMs(cluster)) ?? 0;
        return aheadMs <= SlackMs ? null : $"{server} has an entry stamped {TimeSpan.FromMilliseconds(aheadMs)} ahead of what the clocks of any quorum have come to";
    }

    private static long NowMs(SimulatedCluster cluster) => (long)cluster.World.Time.Now.TotalMilliseconds;

    private long? ConfirmedMs(long nowMs) => _confirmedMs + (nowMs - _confirmedAtMs);

    private void Confirm(long clockMs, long nowMs)
    {
        if (ConfirmedMs(nowMs) is not { } confirmed || clockMs > confirmed)
            (_confirmedMs, _confirmedAtMs) = (clockMs, nowMs);
    }

    /// <summary>Where the clocks of a quorum have come at least.</summary>
    private void Confirm(IReadOnlyList<Member> members, SimulatedCluster cluster)
    {
        List<long> clocks = [];
        int voters = 0;
        foreach (Member member in members)
        {
            if (member.Kind != MemberKind.Voter)
                continue;
            voters++;
            if (cluster.ClockOf(member.Id) is { } clock)
                clocks.Add(clock);
        }

        int quorum = Quorum.SizeOf(voters);
        if (voters == 0 || clocks.Count < quorum)
            return;
        clocks.Sort();
        Confirm(clocks[^quorum], NowMs(cluster));
    }
}
