using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>The ways between the nodes, the same for all groups and for whatever disk a node runs on.</summary>
internal sealed class Links(int nodes)
{
    private readonly bool[,] _isCut = new bool[nodes + 1, nodes + 1];
    private readonly TimeSpan[,] _delay = new TimeSpan[nodes + 1, nodes + 1];

    public double Loss { get; set; }
    public double Doubling { get; set; }
    public bool IsReordering { get; set; }
    public TimeSpan DelayMax { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>The share of answers to calls that get lost: what was asked for happened.</summary>
    public double ReplyLoss { get; set; }

    /// <summary>Nothing is cut, slow or lost.</summary>
    public bool AreWhole => Loss == 0 && !_isCut.Cast<bool>().Contains(true) && _delay.Cast<TimeSpan>().All(static delay => delay == TimeSpan.Zero);

    /// <summary>"n3" is node 3.</summary>
    public static int NumberOf(ServerId server) => server.Node.Value[1] - '0';

    public bool IsOpen(ServerId from, ServerId to) => !_isCut[NumberOf(from), NumberOf(to)];

    public TimeSpan Delay(ServerId from, ServerId to) => _delay[NumberOf(from), NumberOf(to)];

    public void Cut(int from, int to, bool isCut = true) => _isCut[from, to] = isCut && from != to;

    public void Slow(int from, int to, TimeSpan by) => _delay[from, to] = by;

    public void Heal()
    {
        Array.Clear(_isCut);
        Array.Clear(_delay);
        (Loss, Doubling, ReplyLoss, IsReordering) = (0, 0, 0, false);
        DelayMax = TimeSpan.FromMilliseconds(1);
    }
}
