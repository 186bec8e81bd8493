namespace Raft.Engine.Server;

/// <summary>Bytes of the calls on one server that are not in its log: in the mailbox, waiting for room in admission or for a leader, or
/// on their way to the leader. Beside <see cref="Admission"/>, which counts what is in the log. Rule 7. Thread-safe.</summary>
/// <remarks>Charged before a call is posted, so that what a busy shard has not looked at yet is counted too.</remarks>
internal sealed class WaitingBytes(long max, MemoryBudget? shared)
{
    /// <summary>What a call costs beside its command: its promise, its registration, its places in queues.</summary>
    public const int CallBytes = 512;

    private long _bytes;

    public long Value => Volatile.Read(ref _bytes);

    /// <summary>The limit for calls without a command is a quarter higher: reads and operators get through while writers use it up.</summary>
    public static long LimitOf(long max, bool isCommand) => isCommand ? max : max + (max / 4);

    /// <summary>False: too much waits. A call larger than the limit passes when nothing else waits.</summary>
    public bool TryAdd(int bytes, bool isCommand)
    {
        long after = Interlocked.Add(ref _bytes, bytes);
        if ((after <= LimitOf(max, isCommand) || after == bytes) && shared?.TryAddWaiting(bytes, isCommand) != false)
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
