using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Host.Hosting;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host.Memory;

/// <summary>Says when the memory budget is used up, and tells the leader when this node holds more than its own.</summary>
/// <remarks>
/// A follower must take what is committed whatever its own budget is: refusing entries would cost the quorum. So a leader refuses what
/// makes the state larger while a live voter says that it is over its budget: the smallest voter decides. A learner only
/// alarms. Thread-safe, but for <see cref="Look"/> and <see cref="CareFor"/>.
/// </remarks>
public sealed class MemoryWatch(NodeSettings settings, StateBudget budget, PeerTransport peers, ILogger<MemoryWatch> log)
{
    /// <summary>Below, a write of the largest size may be refused.</summary>
    private readonly long _margin = Math.Max(settings.Raft.Limits.MaxCommandBytes, budget.MaxBytes / 32);
    private volatile string? _shortage;

    /// <summary>What is the matter, for people; null while there is room.</summary>
    public string? Shortage => _shortage;

    /// <summary>The others brought more than this node would have accepted.</summary>
    public bool IsOverBudget => budget.StateBytes > budget.MaxBytes;

    /// <summary>Of the caretaker.</summary>
    public void Look()
    {
        long bytes = budget.StateBytes, left = budget.MaxBytes - bytes;
        bool isLow = left < (_shortage is null ? _margin : 2 * _margin);
        string? before = _shortage;
        _shortage = isLow
            ? string.Create(CultureInfo.InvariantCulture, $"The states of all groups take {bytes} bytes of memory on '{settings.Raft.NodeId}'; Raft:Limits:MaxStateBytes is {budget.MaxBytes}.")
            : null;
        if (isLow && before is null)
            log.LacksMemory(_shortage!);
        else if (!isLow && before is not null)
            log.HasMemoryAgain(bytes, budget.MaxBytes);
        peers.LacksMemory = IsOverBudget;
    }

    /// <summary>While this node leads the group: what a live voter cannot hold is not proposed.</summary>
    public void CareFor(HostedGroup group)
    {
        if (group.Gate is { } gate)
            gate.PeerShortage = group.Server.Role == Role.Leader ? ShortageOf(group.Server.Configuration) : null;
    }

    private string? ShortageOf(Configuration configuration)
    {
        PeerStatus? voter = peers.Peers.FirstOrDefault(peer => peer.IsAlive && peer.LacksMemory
            && configuration.All.Any(member => member.Kind == MemberKind.Voter && member.Node == peer.Node && member.Storage == peer.Storage));
        return voter is null ? null
            : $"'{voter.Node}', a voter of this group, holds more than its Raft:Limits:MaxStateBytes: give it as much memory as the others have.";
    }
}
