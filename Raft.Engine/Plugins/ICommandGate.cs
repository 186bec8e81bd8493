namespace Raft.Engine.Plugins;

/// <summary>Decides whether a command may enter the log, for reasons that lie outside of the protocol, such as the memory of this node.</summary>
/// <remarks>
/// Asked at admission, never at apply: by the leader before it appends, and by the server that was called before it forwards.
/// What is in the log is applied by every replica whatever its gate says, so replicas never differ because their gates do.
/// Configurations and system entries are not asked about. Hot path: called on the shard for every command; returns at once.
/// </remarks>
public interface ICommandGate
{
    /// <summary>Null: it may enter. Otherwise why not; nothing was submitted.</summary>
    /// <param name="command">As it was given to AddEntryAsync.</param>
    CommandRefusal? Check(ReadOnlyMemory<byte> command);

    /// <summary>Whether the gate can decide while so many entries of earlier leaders are not applied yet. False: a leader lets its
    /// commands wait until more is applied, because what it has is less than what is committed.</summary>
    /// <param name="unappliedEntries">Entries in the log, each as large as any command at most.</param>
    bool CanDecide(long unappliedEntries) => true;
}

/// <summary>Why a gate refuses a command.</summary>
/// <param name="Reason">Travels to a caller on another server.</param>
/// <param name="Detail">For people: what is exhausted, and where.</param>
public sealed record CommandRefusal(CallRefusal Reason, string Detail);
