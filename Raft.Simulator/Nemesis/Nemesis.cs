using Raft.Engine.Errors;

namespace Raft.Simulator;

/// <summary>Makes things go wrong as the plan says, and what faults have in common.</summary>
internal sealed class Nemesis(SimulatedCluster cluster, Operator @operator)
{
    private readonly Dictionary<string, IFault> _faults = Faults.All.ToDictionary(fault => fault.Name, StringComparer.Ordinal);
    private bool _isOver;

    public SimulatedCluster Cluster => cluster;
    public Operator Operator => @operator;
    public World World => cluster.World;

    public void Strike(PlannedEvent planned)
    {
        if (World.Time.Now < cluster.DelicateUntil)
            return;
        World.Trace($"-- #{planned.Number} {planned.Kind}");
        _faults[planned.Kind].Strike(this, planned.NewRandom());
    }

    /// <summary>Often one that leads: there most can go wrong.</summary>
    public SimulatedNode AnyNode(Random random)
    {
        SimulatedNode drawn = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        SimulatedGroup group = cluster.Groups[random.Next(cluster.Groups.Count)];
        return random.Next(3) == 0 && cluster.LeaderOf(group) is { } leader ? leader.Node : drawn;
    }

    /// <summary>Node numbers in some order.</summary>
    public int[] Shuffled(Random random)
    {
        int[] numbers = [.. Enumerable.Range(1, cluster.Nodes.Count)];
        random.Shuffle(numbers);
        return numbers;
    }

    /// <summary>Later, unless everything was healed before.</summary>
    public void After(TimeSpan delay, Action work) => World.Schedule(delay, () =>
    {
        if (!_isOver)
            work();
    });

    public static TimeSpan Between(Random random, int fromMs, int toMs) => TimeSpan.FromMilliseconds(fromMs + ((toMs - fromMs) * random.NextDouble()));

    /// <summary>Changes the links, and changes them back after a while.</summary>
    public void DisturbLinks(TimeSpan howLong, Action<Links> disturb, Action<Links> heal)
    {
        disturb(cluster.Links);
        cluster.LinksChanged();
        After(howLong, () =>
        {
            heal(cluster.Links);
            cluster.LinksChanged();
        });
    }

    /// <summary>An operator's call on some node. That it fails is no news; that it fails in a way that nobody declared is.</summary>
    public void Call(Func<Task> call) => _ = TryAsync(call);

    private async Task TryAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
        {
            World.Trace($"an operator is told: {error.Message}");
        }
        catch (Exception error)
        {
            World.Violate($"ErrorsAreDeclared: {error}");
        }
    }

    /// <summary>The faults stop: what was broken is whole again, what was down starts.</summary>
    public void Heal()
    {
        World.Trace($"-- the faults stop");
        _isOver = true;
        Operator.IsWatching = true;
        cluster.Links.Heal();
        cluster.LinksChanged();
        foreach (SimulatedGroup group in cluster.Groups)
            group.Network.LetGo();
        foreach (SimulatedNode node in cluster.Nodes)
        {
            node.Heal();
            Operator.Replace(node);
        }
    }
}
