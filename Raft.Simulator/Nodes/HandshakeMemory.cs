using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Simulator;

/// <summary>What one process remembers of the disks that spoke to it, as the host's handshake judges them; gone with the process.</summary>
internal sealed class HandshakeMemory
{
    private static readonly ClusterUid Uid = new(1);

    private readonly SeenServers _seen = new();
    private readonly Dictionary<StorageId, (ulong Nonce, bool IsAccepted)> _judged = [];
    private readonly Dictionary<StorageId, long> _vouched = [];

    /// <summary>How far the disk has vouched for what it holds, as far as this process heard.</summary>
    public long Of(StorageId storage) => _vouched.GetValueOrDefault(storage, -1);

    /// <summary>A connection of a process on that disk; who is refused goes into quarantine.</summary>
    public bool Accepts(SimulatedNode caller, long start)
    {
        StorageId storage = caller.Storage.Id;
        if (_judged.TryGetValue(storage, out (ulong Nonce, bool IsAccepted) known) && known.Nonce == caller.StartNonce)
            return known.IsAccepted;

        (Refusal reason, string text) = _seen.Judge(new NodeIdentity(Uid, caller.Id, storage, start, caller.StartNonce, caller.OpeningSequence));
        _judged[storage] = (caller.StartNonce, reason == Refusal.None);
        if (reason == Refusal.None)
            return true;

        ISimulatedStorage refused = caller.Storage;
        caller.Cluster.World.Schedule(TimeSpan.Zero, () =>
        {
            if (caller.IsUp && caller.Storage == refused)
                caller.Quarantine(text);
        });
        return false;
    }

    /// <summary>A message came: it vouches for all that its sender's disk holds.</summary>
    public void Vouched(SimulatedNode sender)
    {
        _vouched[sender.Storage.Id] = sender.Storage.Sequence;
        _seen.Vouched(sender.Storage.Id, sender.Storage.Sequence);
    }
}
