namespace Raft.Engine.Protocol;

/// <summary>One peer as the leader sees it.</summary>
/// <param name="CaughtUpRounds">A member that joins: for how many rounds in a row it was close behind; at two it becomes a voter. Rule 8.</param>
public readonly record struct PeerProgress(
    ServerId Server, string State, LogIndex MatchIndex, LogIndex NextIndex, int InFlightAppends, long InFlightBytes, bool IsAlive, int CaughtUpRounds);
