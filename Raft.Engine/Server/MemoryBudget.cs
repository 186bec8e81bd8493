using System.Collections.Concurrent;

namespace Raft.Engine.Server;

/// <summary>One budget over all groups of a process, beside each group's own. Rule 7. Thread-safe.</summary>
/// <remarks>A sixteenth is kept for configuration and empty entries, which never ask: commands get the rest.</remarks>
public sealed class MemoryBudget
{
    private readonly long _commandBytesMax;
    private readonly ConcurrentQueue<Action> _waiting = new();
    private long _chargedBytes;
    private long _waitingBytes;

    /// <param name="maxTotalBytes">1 or more.</param>
    public MemoryBudget(long maxTotalBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxTotalBytes, 1);
        MaxTotalBytes = maxTotalBytes;
        MaxWaitingBytes = Math.Max(1, maxTotalBytes / 4);
        _commandBytesMax = maxTotalBytes - (maxTotalBytes / 16);
    }

    /// <summary>What is admitted and not yet applied, bytes.</summary>
    public long MaxTotalBytes { get; }

    /// <summary>What waits and is not admitted, bytes; more is refused with <see cref="Errors.OverloadedException"/>. Default: a
    /// quarter of <see cref="MaxTotalBytes"/>, on top of it.</summary>
    public long MaxWaitingBytes { get; init; }

    public long ChargedBytes => Volatile.Read(ref _chargedBytes);

    /// <summary>Bytes of calls that wait, of all groups.</summary>
    public long WaitingBytes => Volatile.Read(ref _waitingBytes);

    /// <summary>A command larger than the whole budget passes when nothing else is charged, or it could never pass.</summary>
    internal bool TryCharge(long bytes)
    {
        long charged = Volatile.Read(ref _chargedBytes);
        while (charged + bytes <= _commandBytesMax || charged == 0)
        {
            long seen = Interlocked.CompareExchange(ref _chargedBytes, charged + bytes, charged);
            if (seen == charged)
                return true;
            charged = seen;
        }

        return false;
    }

    internal void Release(long bytes)
    {
        Interlocked.Add(ref _chargedBytes, -bytes);
        while (_waiting.TryDequeue(out Action? wake))
            wake();
    }

    /// <summary>As <see cref="TryCharge"/>, for what waits.</summary>
    internal bool TryAddWaiting(int bytes, bool isCommand)
    {
        long after = Interlocked.Add(ref _waitingBytes, bytes);
        if (after <= Server.WaitingBytes.LimitOf(MaxWaitingBytes, isCommand) || after == bytes)
            return true;

        Interlocked.Add(ref _waitingBytes, -bytes);
        return false;
    }

    internal void RemoveWaiting(int bytes) => Interlocked.Add(ref _waitingBytes, -bytes);

    /// <summary>Calls <paramref name="wake"/> once, on any thread, at the next release. One that comes just before is
    /// made up for by the group's tick, which tries again.</summary>
    internal void WakeAtRelease(Action wake) => _waiting.Enqueue(wake);
}
