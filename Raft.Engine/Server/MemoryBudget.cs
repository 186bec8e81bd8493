using System.Collections.Concurrent;

namespace Raft.Engine.Server;

/// <summary>One budget over all groups of a process, beside each group's own. Rule 7. Thread-safe.</summary>
/// <remarks>A sixteenth is kept for configuration and empty entries, which never ask: commands get the rest.</remarks>
public sealed class MemoryBudget(long maxTotalBytes)
{
    private readonly long _commandBytesMax = maxTotalBytes - (maxTotalBytes / 16);
    private readonly ConcurrentQueue<Action> _waiting = new();
    private long _chargedBytes;

    public long MaxTotalBytes { get; } = maxTotalBytes;

    public long ChargedBytes => Volatile.Read(ref _chargedBytes);

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

    /// <summary>Calls <paramref name="wake"/> once, on any thread, at the next release. One that comes just before is
    /// made up for by the group's tick, which tries again.</summary>
    internal void WakeAtRelease(Action wake) => _waiting.Enqueue(wake);
}
