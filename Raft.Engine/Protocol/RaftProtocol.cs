namespace Raft.Engine.Protocol;

/// <summary>
/// The protocol of one server of one group as a deterministic state machine: no I/O, no clock, no thread, no await.
/// Messages, ticks and completions go in; <see cref="TakeOutput"/> gives what is to be done. Replication is lazy:
/// entries added between two polls leave together. docs: ARCHITECTURE.md; rules: cited by number.
/// </summary>
public sealed partial class RaftProtocol
{
    public RaftProtocol(ProtocolSettings settings, PersistedState state, IPeerLiveness liveness, Random random) => throw new NotImplementedException();

    public Role Role => throw new NotImplementedException();
    public Term CurrentTerm => throw new NotImplementedException();

    /// <summary>The leader of the current term, when one is known and counts as alive.</summary>
    public ServerId? Leader => throw new NotImplementedException();
    public LogIndex CommitIndex => throw new NotImplementedException();

    /// <summary>The last index that this server's disk holds for certain.</summary>
    public LogIndex DurableIndex => throw new NotImplementedException();
    public LogIndex LastIndex => throw new NotImplementedException();
    public LogIndex FirstIndex => throw new NotImplementedException();

    /// <summary>In force: the last one in the log, committed or not.</summary>
    public Configuration Configuration => throw new NotImplementedException();
    public LogIndex ConfigurationIndex => throw new NotImplementedException();

    /// <summary>The term of an entry; null above the log and below what is known.</summary>
    public Term? TermAt(LogIndex index) => throw new NotImplementedException();

    /// <summary>How the leader sees its peers; empty on others.</summary>
    public IReadOnlyList<PeerProgress> Peers => throw new NotImplementedException();

    /// <summary>Takes a message from another server. Any message, at any time, in any order, is safe.</summary>
    public void Step(Message message) => throw new NotImplementedException();

    /// <summary>One tick of logical time.</summary>
    public void Tick() => throw new NotImplementedException();

    /// <summary>Appends on the leader; null when this server does not lead or hands over leadership. Replicated at the next poll.</summary>
    public EntryId? AddEntry(EntryKind kind, ReadOnlyMemory<byte> payload, long timeMs) => throw new NotImplementedException();

    /// <summary>Starts, or joins, a read barrier; null when this server does not lead. Ends in ReadsReady or ReadsFailed. Rule 9.</summary>
    public ReadId? StartRead() => throw new NotImplementedException();

    /// <summary>Whether a poll would give anything.</summary>
    public bool HasOutput => throw new NotImplementedException();

    public OutputBatch TakeOutput() => throw new NotImplementedException();

    /// <summary>Storage has completed the batch of this number, and so all before it. Rule 1.</summary>
    public void OnDurable(long batchNumber) => throw new NotImplementedException();

    /// <summary>The answer to EntriesWanted; an empty list when they could not be read (the peer is tried again at the next tick).</summary>
    public void OnEntriesRead(ServerId peer, LogIndex from, IReadOnlyList<Entry> entries) => throw new NotImplementedException();

    /// <summary>The state machine has applied up to here; memory may let go of older entries.</summary>
    public void OnApplied(LogIndex index) => throw new NotImplementedException();

    /// <summary>A liveness frame brought news, or a connection ended: ask the view again now and not at the next tick.</summary>
    public void OnLivenessChanged() => throw new NotImplementedException();

    /// <summary>The transport could not deliver to this server: back to PROBE. Rule 5.</summary>
    public void OnUnreachable(ServerId server) => throw new NotImplementedException();

    /// <summary>Tells this peer of commit progress at once from now on, while it waits for forwarded calls. Rule 5.</summary>
    public void OnPeerWaits(ServerId server, LogIndex index) => throw new NotImplementedException();
}

/// <summary>One peer as the leader sees it.</summary>
public readonly record struct PeerProgress(
    ServerId Server, string State, LogIndex MatchIndex, LogIndex NextIndex, int InFlightAppends, long InFlightBytes, bool IsAlive);
