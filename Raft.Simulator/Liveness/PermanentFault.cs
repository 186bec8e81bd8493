using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>A fault that stays until the liveness phase is over. All kinds: <see cref="PermanentFaults"/>.</summary>
/// <param name="Name">As --permanent names it.</param>
/// <param name="Lost">The nodes that may not count: each set is one way to lose some, and without any one of them there must be a
/// quorum left. A dead node is one set; a cut link is two, because whoever leads can do without either of its ends.</param>
/// <param name="Strike">Lets it happen.</param>
internal sealed record PermanentFault(string Name, IReadOnlyList<IReadOnlyList<SimulatedNode>> Lost, Action<Nemesis> Strike)
{
    /// <summary>Its node is chosen when it happens, from those that can be lost then.</summary>
    public bool IsChosenLater { get; init; }

    /// <summary>How much longer everything may take, because every disk is slow.</summary>
    public int Slowness { get; init; } = 1;

    public bool Affects(SimulatedNode node) => Lost.Any(set => set.Contains(node));

    public override string ToString() => $"{Name} {string.Join(" or ", Lost.Select(set => string.Join(" and ", set.Select(node => node.Id))))}".TrimEnd();
}

/// <summary>All kinds of faults that can stay. The order is part of what a seed means.</summary>
internal static class PermanentFaults
{
    /// <summary>As long as a write takes on a disk that is slower than an election timeout.</summary>
    private static readonly TimeSpan SlowWrite = TimeSpan.FromMilliseconds(600);

    private static readonly (string Name, Func<SimulatedCluster, SimulatedNode, Random, PermanentFault?> Draw)[] _all =
    [
        ("member-gone", static (_, node, _) => Of("member-gone", node, _ => node.Crash("it never comes back"))),
        ("process-stopped", static (_, node, _) => Of("process-stopped", node, _ => node.Pause(true))),
        ("disk-hangs", static (_, node, _) => Of("disk-hangs", node, _ => node.Storage.IsHung = true)),
        ("disk-hangs-when-asked-to-lead", static (_, _, _) => new PermanentFault("disk-hangs-when-asked-to-lead", [], HangFirstAsked) { IsChosenLater = true }),
        ("disk-slow", static (_, node, random) =>
        {
            TimeSpan time = Nemesis.Between(random, 300, 2000);
            return Of("disk-slow", node, _ => (node.Storage.SyncTimeMin, node.Storage.SyncTimeMax) = (time, time));
        }),
        ("disks-slow", static (cluster, _, _) => new PermanentFault("disks-slow", [], _ =>
        {
            foreach (SimulatedNode node in cluster.Nodes)
                (node.Storage.SyncTimeMin, node.Storage.SyncTimeMax) = (SlowWrite, SlowWrite);
        }) { Slowness = 3 }),
        ("link-cut-one-way", static (cluster, node, random) => DrawLink(cluster, node, random)),
        ("node-mute", static (cluster, node, _) => Of("node-mute", node, nemesis => CutAll(nemesis, node, isFrom: true))),
        ("node-deaf", static (cluster, node, _) => Of("node-deaf", node, nemesis => CutAll(nemesis, node, isFrom: false))),
    ];

    /// <summary>As --permanent asks for none.</summary>
    public const string None = "none";

    public static IEnumerable<string> Names => _all.Select(one => one.Name);

    /// <summary>One that every group can bear now; null when there is none.</summary>
    /// <param name="name">The kind; null: any.</param>
    public static PermanentFault? Draw(SimulatedCluster cluster, string? name, Random random)
    {
        int[] kinds = [.. Enumerable.Range(0, _all.Length).Where(kind => name is null || _all[kind].Name == name)];
        int[] nodes = [.. Enumerable.Range(0, cluster.Nodes.Count)];
        random.Shuffle(kinds);
        random.Shuffle(nodes);
        foreach (int kind in kinds)
        {
            foreach (int node in nodes)
            {
                if (_all[kind].Draw(cluster, cluster.Nodes[node], random) is { } fault && Tolerance.CanBear(cluster, fault.Lost))
                    return fault;
            }
        }

        return null;
    }

    private static PermanentFault Of(string name, SimulatedNode node, Action<Nemesis> strike) => new(name, [[node]], strike);

    /// <summary>Nothing comes from the one to the other; all other ways are open.</summary>
    private static PermanentFault? DrawLink(SimulatedCluster cluster, SimulatedNode from, Random random)
    {
        SimulatedNode to = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        return to == from ? null : new PermanentFault("link-cut-one-way", [[from], [to]], nemesis =>
        {
            nemesis.Cluster.Links.Cut(from.Number, to.Number);
            nemesis.Cluster.LinksChanged();
        });
    }

    private static void CutAll(Nemesis nemesis, SimulatedNode node, bool isFrom)
    {
        foreach (SimulatedNode other in nemesis.Cluster.Nodes)
            nemesis.Cluster.Links.Cut(isFrom ? node.Number : other.Number, isFrom ? other.Number : node.Number);
        nemesis.Cluster.LinksChanged();
    }

    /// <summary>Whoever is asked first to take leadership over: it has everything until then, so that it looks the best.</summary>
    private static void HangFirstAsked(Nemesis nemesis)
    {
        SimulatedCluster cluster = nemesis.Cluster;
        foreach (SimulatedGroup group in cluster.Groups)
        {
            group.Delivered = message =>
            {
                SimulatedNode asked = cluster.NodeOf(message.To);
                if (message is not TimeoutNow || asked.Server != message.To || cluster.Lost.Count > 0 || !Tolerance.CanBear(cluster, [[asked]]))
                    return;
                nemesis.World.Trace($"{asked.Id} is asked to take over, and its disk hangs from now on");
                cluster.Lost.Add(asked);
                asked.Storage.IsHung = true;
            };
        }
    }
}
