using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>A history told operation by operation, with the times of both ends.</summary>
internal sealed class HistoriesStory
{
    public History History { get; } = new();

    /// <summary>The client asks at one time and is answered at another.</summary>
    public HistoriesStory Did(string client, long from, long to, Operation operation, Outcome outcome)
    {
        int id = History.Invoke(client, operation, from);
        History.Complete(id, outcome, to);
        return this;
    }

    /// <summary>The client asks and is never answered.</summary>
    public HistoriesStory Maybe(string client, long from, Operation operation)
    {
        History.Unknown(History.Invoke(client, operation, from), from + 1);
        return this;
    }

    /// <summary>The client asks, and what is asked provably never happens.</summary>
    public HistoriesStory Never(string client, long from, Operation operation)
    {
        History.NeverHappened(History.Invoke(client, operation, from), from + 1);
        return this;
    }

    public void IsGood() => Assert.Null(LinearizabilityChecker.Check(History));

    /// <summary>It is refused, the text has these words, and shows exactly these operations, by their number in the story.</summary>
    public void IsBad(string words, params int[] shown)
    {
        string? violation = LinearizabilityChecker.Check(History);
        Assert.Contains(words, violation);
        string[] lines = violation!.Split(Environment.NewLine)[1..];
        Assert.Equal(shown.Select(id => $"#{id}"), lines.Select(line => line.TrimStart().Split(' ')[0]));
    }
}
