namespace Raft.Engine.Protocol;

/// <summary>One peer as the leader sees it.</summary>
public readonly record struct PeerProgress(
    ServerId Server, string State, LogIndex MatchIndex, LogIndex NextIndex, int InFlightAppends, long InFlightBytes, bool IsAlive);
