using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Entries for one follower are held up in the network until its leader has given it up and sent a snapshot: they arrive
/// while the snapshot is being written, and are acknowledged before it is installed.</summary>
/// <remarks>Chunks of snapshots have a connection of their own, so nothing keeps the two in order.</remarks>
internal sealed class LateEntriesFault : IFault
{
    public string Name => "late-entries";
    public int Weight => 4;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedGroup group = MemberCalls.AnyGroup(nemesis, random);
        SimulatedNode follower = nemesis.AnyNode(random);
        TimeSpan longest = Nemesis.Between(random, 1000, 4000);
        TimeSpan overlap = Nemesis.Between(random, 0, 10);
        TimeSpan pause = Nemesis.Between(random, 20, 150);
        TimeSpan syncTime = Nemesis.Between(random, 20, 150);
        if (nemesis.Cluster.LeaderOf(group) is not { } leader || leader.Node == follower || follower.Find(group) is null || group.Network.Hold is not null)
            return;

        // Slow disks everywhere, so that much is appended and not committed yet.
        ISimulatedStorage[] disks = [.. nemesis.Cluster.Nodes.Select(node => node.Storage)];
        List<Action> held = [];
        SimulatedNetwork network = group.Network;
        Func<Message, Action, bool> hold = (message, deliver) =>
        {
            bool isLate = message is AppendRequest { Entries.Count: > 0 } && message.To.Node == follower.Id;
            if (isLate)
                held.Add(deliver);
            return isLate;
        };
        network.Hold = hold;
        network.ChunkFilter = (to, chunk) =>
        {
            if (to.Node == follower.Id && chunk.Offset + chunk.Bytes.Length >= chunk.Snapshot.SizeBytes)
                nemesis.After(overlap, Release);
            return true;
        };
        SetSyncTime(syncTime);
        nemesis.After(pause, TakeSnapshot);
        nemesis.After(longest, Release);

        void TakeSnapshot()
        {
            if (network.Hold != hold)
                return;
            if (nemesis.Cluster.LeaderOf(group) is { } now)
                nemesis.Call(() => now.Node.CallAsync(group, MemberCalls.Patience, (server, cancellation) => server.Server.TriggerSnapshotAsync(cancellation)));
            nemesis.After(pause, TakeSnapshot);
        }

        void Release()
        {
            if (network.Hold != hold)
                return;
            network.LetGo();
            foreach (Action deliver in held)
                deliver();
            nemesis.After(2 * syncTime, () => SetSyncTime(TimeSpan.FromMilliseconds(1)));
        }

        void SetSyncTime(TimeSpan time) => Array.ForEach(disks, disk => disk.SyncTimeMax = time);
    }
}
