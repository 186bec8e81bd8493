namespace Raft.Engine.Server;

/// <summary>Bytes of the calls on one server that are not in its log: in the mailbox, waiting for room in admission or for a leader, or
/// on their way to the leader. Beside <see cref="Admission"/>, which counts what is in the log. Rule 7. Thread-safe.</summary>
/// <remarks>Charged before a call is posted, so that what a busy shard has not looked at yet is counted too.</remarks>
internal sealed class WaitingBytes(long max, MemoryBudget? shared)
{
    /// <summary>What a call costs beside its command: its promise, its registration, its places in queues.</summary>
    public const int CallBytes = 512;

    /// <summary>Kept for calls without a command: reads and operators must get through while writers use up the limit.</summary>
    public const long Reserve = 4 << 20;

    private long _bytes;

    public long Value => Volatile.Read(ref _bytes);

    /// <summary>False: too much waits. A call larger than the limit passes when nothing else waits.</summary>
    public bool TryAdd(int bytes, bool isCommand)
    {
        long reserve = isCommand ? 0 : Reserve;
        long after = Interlocked.Add(ref _bytes, bytes);
        if ((after <= max + reserve || after == bytes) && shared?.TryAddWaiting(bytes, reserve) != false)
            return true;

        Interlocked.Add(ref _bytes, -bytes);
        return false;
    }

    public void Remove(int bytes)
    {
        Interlocked.Add(ref _bytes, -bytes);
        shared?.RemoveWaiting(bytes);
    }
}
