namespace Raft.Simulator;

/// <summary>What a scenario threw, with seed, virtual time and the last events.</summary>
internal sealed class ScenarioFailedException(int seed, TimeSpan at, IEnumerable<string> trace, Exception cause)
    : Exception($"{cause.Message}\nseed {seed}, virtual time {at.TotalMilliseconds:F2} ms; the last events:\n{string.Join('\n', trace)}", cause);
