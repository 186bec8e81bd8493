using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>
/// The leader's byte budget: charged when an entry is appended here, released when it is applied and durable here, or
/// truncated. Writers wait in order. Rule 7.
/// </summary>
/// <remarks>
/// What fills it up is a group without quorum, or a state machine that lags behind: both stop new writes and nothing
/// else. Only on the shard. Hot path: one struct in a ring per entry.
/// </remarks>
internal sealed class Admission(long groupBytesMax, MemoryBudget? shared, Action wake) : IDisposable
{
    private readonly long _commandBytesMax = groupBytesMax - (groupBytesMax / 16);
    private readonly Queue<IAppend> _waiting = new();
    private Charge[] _charges = new Charge[256];   // a ring, ascending by index
    private int _head;
    private int _count;
    private bool _isWokenAtRelease;

    private readonly record struct Charge(LogIndex Index, Term Term, int Bytes);

    public long ChargedBytes { get; private set; }

    /// <summary>Writers that wait, those that gave up since the last tick included.</summary>
    public int WaitingCount => _waiting.Count;

    /// <summary>False: no room. A command larger than the group's budget passes alone.</summary>
    public bool TryReserve(int bytes)
    {
        if (ChargedBytes + bytes > _commandBytesMax && ChargedBytes > 0)
            return false;

        if (shared is not null && !shared.TryCharge(bytes))
        {
            if (!_isWokenAtRelease)
            {
                _isWokenAtRelease = true;
                shared.WakeAtRelease(wake);
            }

            return false;
        }

        ChargedBytes += bytes;
        return true;
    }

    /// <summary>Takes a reservation back: nothing was appended.</summary>
    public void Unreserve(int bytes) => Release(bytes);

    /// <summary>The reservation belongs to this entry from now on.</summary>
    public void Appended(EntryId entry, int bytes)
    {
        if (_count == _charges.Length)
            Grow();
        _charges[(_head + _count++) & (_charges.Length - 1)] = new Charge(entry.Index, entry.Term, bytes);
    }

    /// <summary>Applied and durable here up to this index. True when that made room.</summary>
    public bool ReleaseUpTo(LogIndex index)
    {
        long bytes = 0;
        while (_count > 0 && _charges[_head].Index <= index)
        {
            bytes += _charges[_head].Bytes;
            _head = (_head + 1) & (_charges.Length - 1);
            _count--;
        }

        Release(bytes);
        return bytes > 0;
    }

    /// <summary>Entries that the log no longer holds, because another leader's replaced them, are released. Asked at every poll: the log
    /// may lose entries that no batch has ever named.</summary>
    /// <param name="last">The last index of the log.</param>
    /// <param name="termAt">The term of an entry; null where the log does not tell, since a snapshot took its place: what that
    /// covers is released when it is applied.</param>
    public void ReleaseTruncated(LogIndex last, Func<LogIndex, Term?> termAt)
    {
        long bytes = 0;
        while (_count > 0 && _charges[(_head + _count - 1) & (_charges.Length - 1)] is var charge
            && (charge.Index > last || (termAt(charge.Index) is { } term && term != charge.Term)))
        {
            bytes += charge.Bytes;
            _count--;
        }

        Release(bytes);
    }

    public void Wait(IAppend append) => _waiting.Enqueue(append);

    /// <summary>The first that still waits; null when none does.</summary>
    public IAppend? Peek()
    {
        while (_waiting.TryPeek(out IAppend? next))
        {
            if (!next.HasEnded)
                return next;
            _waiting.Dequeue();
        }

        return null;
    }

    public void Dequeue() => _waiting.Dequeue();

    /// <summary>The wake-up has come: the next one is asked for when it is needed. One is under way at the most, however long
    /// nobody releases anything.</summary>
    public void OnWoken() => _isWokenAtRelease = false;

    /// <summary>Ends those whose deadline has passed, and forgets those that gave up: they may be many when the head is stuck.</summary>
    public void ExpireWaiting(long now)
    {
        for (int left = _waiting.Count; left > 0; left--)
        {
            IAppend append = _waiting.Dequeue();
            if (!append.HasEnded && now > append.Deadline)
                append.Expire();
            if (!append.HasEnded)
                _waiting.Enqueue(append);
        }
    }

    /// <summary>What this group held goes back to the others.</summary>
    public void Dispose() => Release(ChargedBytes);

    private void Release(long bytes)
    {
        if (bytes == 0)
            return;

        ChargedBytes -= bytes;
        Invariant.Holds(ChargedBytes >= 0);
        shared?.Release(bytes);
    }

    private void Grow()
    {
        var larger = new Charge[_charges.Length * 2];
        for (int i = 0; i < _count; i++)
            larger[i] = _charges[(_head + i) & (_charges.Length - 1)];
        _charges = larger;
        _head = 0;
    }
}

/// <summary>A command that wants into this leader's log: our own caller's, or a forwarded one.</summary>
internal interface IAppend : ICall
{
    EntryKind Kind { get; }
    ReadOnlyMemory<byte> Command { get; }

    /// <summary>Nobody waits for it any more; it must not be appended.</summary>
    bool HasEnded { get; }

    /// <summary>A time stamp of the shard's clock; admission gives up after it.</summary>
    long Deadline { get; }

    /// <summary>When admission made it wait; 0 when it did not.</summary>
    long WaitsSince { get; set; }

    void Appended(EntryId entry);

    /// <summary>This server does not lead (any more); nothing was appended.</summary>
    void NotLeader();

    void Expire();

    /// <summary>This server does not accept the command; nothing was appended.</summary>
    void Refuse(CommandRefusal refusal);
}
