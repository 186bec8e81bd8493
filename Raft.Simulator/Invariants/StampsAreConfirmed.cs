using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>No entry is stamped with a time that no quorum's clocks have come to: one clock that leaps moves the log's time by
/// seconds at the most.</summary>
/// <remarks>What a quorum has come to is taken over the whole run, since a log's time never falls: of each set of voters that is, or may
/// be, in force the highest clock that a majority of them has reached; of a sole voter that is its own.</remarks>
internal sealed class StampsAreConfirmed(GroupLedger ledger) : IInvariant
{
    /// <summary>What one clock may add: the leap that is allowed, what runs between two reviews on the fastest clock, and what
    /// frames that are late make of it.</summary>
    private const long SlackMs = 60_000;

    private long _confirmedMs = long.MinValue;
    private long _lastMs;

    /// <summary>The clocks of the nodes are about to be changed, or have just been.</summary>
    public void OnClocks(Func<ServerId, long?> clockOf)
    {
        foreach (Configuration configuration in ledger.LiveConfigurations)
        {
            Confirm(configuration.Current, clockOf);
            if (configuration.IsJoint)
                Confirm(configuration.Previous, clockOf);
        }
    }

    public string? OnPersisting(SimulatedServer server, PersistRequest request)
    {
        if (request.Entries.Count == 0 || request.Entries[^1].TimeMs <= _lastMs)
            return null;

        // The first stamp of a log is that of whoever leads first, unless others have told their clocks already.
        bool isFirst = _lastMs == 0;
        _lastMs = request.Entries[^1].TimeMs;
        OnClocks(server.Node.Cluster.ClockOf);
        if (isFirst)
            _confirmedMs = Math.Max(_confirmedMs, _lastMs);
        return _lastMs <= _confirmedMs + SlackMs
            ? null
            : $"{server} has an entry stamped {TimeSpan.FromMilliseconds(_lastMs - _confirmedMs)} ahead of what the clocks of any quorum have come to";
    }

    /// <summary>Where the clocks of a quorum have come at least.</summary>
    private void Confirm(IReadOnlyList<Member> members, Func<ServerId, long?> clockOf)
    {
        List<long> clocks = [];
        int voters = 0;
        foreach (Member member in members)
        {
            if (member.Kind != MemberKind.Voter)
                continue;
            voters++;
            if (clockOf(member.Id) is { } clock)
                clocks.Add(clock);
        }

        int quorum = Quorum.SizeOf(voters);
        if (voters == 0 || clocks.Count < quorum)
            return;
        clocks.Sort();
        _confirmedMs = Math.Max(_confirmedMs, clocks[^quorum]);
    }
}
