namespace Raft.Engine.Protocol;

// Snapshots: taken here, sent to a peer that is too far behind, installed. PhD 5; rule 6.
public sealed partial class RaftProtocol
{
    /// <summary>What a snapshot of the state as of <paramref name="index"/> (applied here) must say beside the state.</summary>
    public (Term Term, Configuration Configuration, LogIndex ConfigurationIndex) DescribeSnapshot(LogIndex index) =>
        throw new NotSupportedException();

    /// <summary>The newest snapshot in force here; perhaps still on its way to the disk.</summary>
    public SnapshotDescriptor? Snapshot { get; private set; }

    /// <summary>A snapshot of our own state is whole and synced: it comes into force with the next batch, and the log before it
    /// goes but for the trailing entries. An older one than what is in force changes nothing.</summary>
    public void OnSnapshotTaken(SnapshotDescriptor descriptor) => throw new NotSupportedException();

    /// <summary>A chunk of a leader's snapshot came: may it be received? It counts as a message of that leader.</summary>
    public SnapshotVerdict JudgeSnapshot(ServerId from, long senderStart, Term term, LogIndex commitIndex, SnapshotDescriptor descriptor) =>
        throw new NotSupportedException();

    /// <summary>A leader's snapshot is whole and synced here, under our own <see cref="SnapshotDescriptor.SnapshotId"/>. False when it
    /// is not wanted any more: another term, or all that it covers is committed. Else it comes into force with the next
    /// batch, is loaded (<see cref="OutputBatch.SnapshotToLoad"/>) when that is durable, and the answer follows
    /// <see cref="OnApplied"/>.</summary>
    public bool InstallSnapshot(ServerId from, Term term, SnapshotDescriptor descriptor) => throw new NotSupportedException();

    /// <summary>A transfer that <see cref="OutputBatch.SnapshotsToSend"/> asked for has ended: installed there with everything up to
    /// <paramref name="matchIndex"/>, or (null) not. In the second case it is asked for again after a tick, if it is still needed.</summary>
    public void OnSnapshotSent(ServerId peer, Term term, LogIndex? matchIndex) => throw new NotSupportedException();
}

/// <summary>What is to be done with a snapshot that a leader sends.</summary>
public enum SnapshotVerdict : byte
{
    /// <summary>Receive it.</summary>
    Wanted = 1,

    /// <summary>All that it covers is committed here already: answer Installed with the commit index.</summary>
    NotNeeded = 2,

    /// <summary>The sender does not lead (any more): answer Refused with our term.</summary>
    Refused = 3,
}
