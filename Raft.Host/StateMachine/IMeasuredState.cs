namespace Raft.Host.StateMachine;

/// <summary>A state machine that keeps its state in memory and knows how much it takes: then the node's budget counts it, and
/// refuses commands before the memory is used up (Raft:Limits:MaxStateBytes).</summary>
/// <remarks>The replicas need not agree on any of this: it decides what is proposed, never what is applied.</remarks>
public interface IMeasuredState
{
    /// <summary>Bytes of memory that the state takes, overhead included. Any thread; at no cost.</summary>
    long StateBytes { get; }

    /// <summary>Bytes by which a command would make the state larger; 0: it does not, and is never refused. Any thread.</summary>
    /// <param name="command">As it was given to AddEntryAsync; possibly not valid.</param>
    long GrowthOf(ReadOnlySpan<byte> command) => command.Length;

    /// <summary>No command of this length makes the state larger by more than this, so that most need not be looked into.</summary>
    /// <param name="commandBytes">The length of the command.</param>
    long GrowthMax(int commandBytes) => commandBytes;
}
