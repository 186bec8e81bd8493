namespace Raft.Engine.Shards;

/// <summary>One thread, real or virtual, that owns a set of groups: all their code runs on it, so it needs no locks.</summary>
/// <remarks>
/// While work runs, <see cref="SynchronizationContext.Current"/> is the shard's, so every await comes back to it.
/// Work runs in the order in which it was posted.
/// </remarks>
public interface IShard
{
    /// <summary>Whether the caller is on the shard's thread.</summary>
    bool IsCurrent { get; }

    /// <summary>The only source of time.</summary>
    TimeProvider Time { get; }

    /// <summary>The way in, from any thread: returns at once, runs later. After the shard has stopped it is dropped, and false returned.</summary>
    bool Post(SendOrPostCallback work, object? state);

    /// <summary>Calls <paramref name="work"/> on the shard every <paramref name="period"/> until disposed. Missed ticks are not made up for; the first may come early, with those of other timers.</summary>
    IDisposable StartTimer(TimeSpan period, Action work);

    /// <summary>Runs once, after everything that is in the mailbox now: where a server asks for its output, so that
    /// what came together leaves together. Only on the shard.</summary>
    void Defer(SendOrPostCallback work, object? state);
}
