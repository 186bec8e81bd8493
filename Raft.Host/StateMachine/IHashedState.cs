namespace Raft.Host.StateMachine;

/// <summary>A state machine that can say at any moment what its state amounts to: then the replicas compare it through the log.</summary>
public interface IHashedState
{
    /// <summary>A hash of the whole state as of the last applied command: equal on all replicas at the same index, whatever way
    /// they came there. Cheap: asked once in a thousand commands, on the shard, between two calls of ApplyAsync.</summary>
    UInt128 StateHash { get; }

    /// <summary>Changes when the same state gives another hash than before: hashes of different versions are not compared.</summary>
    int StateHashVersion => 1;
}
