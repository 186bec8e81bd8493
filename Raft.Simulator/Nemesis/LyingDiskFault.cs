namespace Raft.Simulator;

/// <summary>A disk acknowledges a synced write and returns something else at the next start: lost, stale and misdirected pages. The start
/// finds proof of that and its node is replaced, or nothing that was acknowledged is missing.</summary>
/// <remarks>Only on the real store: a model of it has no pages. Often the power goes in the middle of a file call first, so that a
/// checkpoint was half written.</remarks>
internal sealed class LyingDiskFault : IFault
{
    public const string FaultName = "lying-disk";

    private const int Attempts = 6;

    public string Name => FaultName;
    public int Weight => 6;
    public bool NeedsRealStorage => true;

    public void Strike(Nemesis nemesis, Random random) => Strike(nemesis, random, Attempts);

    private static void Strike(Nemesis nemesis, Random random, int attempts)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        if (node.IsUp && !node.Storage.IsDamaged && nemesis.Cluster.CanLose(node))
        {
            nemesis.Cluster.DiskLostAt = nemesis.World.Time.Now;    // it may have to be wiped: until then nobody else may leave
            ISimulatedStorage storage = node.Storage;
            if (random.Next(3) > 0)
                node.CrashSoon(random.Next(100), isInFileCall: true);
            nemesis.After(Nemesis.Between(random, 5, 200), () => Inject(nemesis, random, node, storage));
        }
        else if (attempts > 0)
        {
            nemesis.After(Nemesis.Between(random, 200, 1500), () => Strike(nemesis, random, attempts - 1));
        }
    }

    private static void Inject(Nemesis nemesis, Random random, SimulatedNode node, ISimulatedStorage storage)
    {
        nemesis.After(Nemesis.Between(random, 10, 1000), node.Start);
        if (node.Storage != storage || storage.IsDamaged || !nemesis.Cluster.CanLose(node))
            return;

        node.Crash("crash, and its disk has lied");
        if (storage.InjectFault(random) is not { } fault)
            return;

        nemesis.World.Trace($"{node.Server}: {fault}");
        nemesis.Cluster.DiskLostAt = nemesis.World.Time.Now;
        nemesis.After(Nemesis.Between(random, 1500, 3000), () =>
        {
            if (node.Storage != storage || !storage.IsDamaged)
                return;
            if (IsUnharmed(node))
            {
                nemesis.World.Trace($"{node.Server} is unharmed");
                storage.FoundIntact();
                return;
            }

            node.Wipe();
            node.Start();
            nemesis.Operator.Replace(node);
        });
    }

    /// <summary>It runs, and its state machines have read what they begin with: whatever is damaged would have been found.</summary>
    private static bool IsUnharmed(SimulatedNode node) => node.IsUp && node.Servers.Count > 0 && node.Servers.All(server =>
        server.Server.IsAlive && server.Status.AppliedIndex >= (server.Status.Snapshot?.Index ?? default));
}
