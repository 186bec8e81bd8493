namespace Raft.Host.StateMachine;

/// <summary>A state machine that can be told that the stamps of its log are ahead of the clocks. Every replica is told at the same command.</summary>
internal interface ICorrectedTime
{
    /// <summary>From here on stamps are that far ahead.</summary>
    /// <param name="offsetMs">Milliseconds; more than before.</param>
    /// <param name="timeMs">The stamp of the correction.</param>
    void Correct(long offsetMs, long timeMs);

    /// <summary>The state is of a snapshot that was taken under this offset.</summary>
    void RestoreOffset(long offsetMs);
}
