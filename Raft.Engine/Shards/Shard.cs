using Raft.Engine.Errors;

namespace Raft.Engine.Shards;

/// <summary>One dedicated thread for a set of groups.</summary>
/// <remarks>
/// A turn: take all that is in the mailbox, run it, run the timers that are due, run what was deferred. Deferred work
/// thus sees the effect of everything that came together. The shard ends at the first exception that posted work lets
/// out: whose state it left half-way cannot be known, so <see cref="Completion"/> faults and the process should end.
/// </remarks>
public sealed class Shard : IShard, IAsyncDisposable
{
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(10);

    private readonly Mailbox _mailbox = new();
    private readonly ShardTimers _timers;
    private readonly Thread _thread;
    private readonly ShardSynchronizationContext _context;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private List<Mailbox.Item> _deferred = [];
    private List<Mailbox.Item> _deferredRunning = [];

    public Shard(string name, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        Name = name;
        Time = time;
        _timers = new ShardTimers(time);
        _context = new ShardSynchronizationContext(this);
        _thread = new Thread(Run) { Name = name, IsBackground = true };
        _thread.Start();
    }

    public string Name { get; }

    public TimeProvider Time { get; }

    public bool IsCurrent => Environment.CurrentManagedThreadId == _thread.ManagedThreadId;

    /// <summary>Ends when the thread has ended; faulted with what posted work let out.</summary>
    public Task Completion => _completion.Task;

    /// <summary>The shard failed, with what posted work let out. Raised on the shard's thread, once.</summary>
    public event Action<Exception>? Failed;

    public bool Post(SendOrPostCallback work, object? state)
    {
        ArgumentNullException.ThrowIfNull(work);
        return _mailbox.TryAdd(work, state);
    }

    public IDisposable StartTimer(TimeSpan period, Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        this.Verify();
        return _timers.Start(period, work);
    }

    public void Defer(SendOrPostCallback work, object? state)
    {
        ArgumentNullException.ThrowIfNull(work);
        this.Verify();
        _deferred.Add(new Mailbox.Item(work, state));
    }

    /// <summary>Stops after the work that runs now and what is already in the mailbox; later posts are dropped.</summary>
    public Task StopAsync()
    {
        _mailbox.Close();
        return Completion;
    }

    public async ValueTask DisposeAsync()
    {
        _mailbox.Close();
        if (!IsCurrent)
            await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Run()
    {
        SynchronizationContext.SetSynchronizationContext(_context);
        try
        {
            bool isLastTurn;
            do
            {
                isLastTurn = _mailbox.IsClosed;
                RunTurn();
            }
            while (!isLastTurn);
            _completion.SetResult();
        }
        catch (Exception error)
        {
            _mailbox.Close();
            Failed?.Invoke(error);
            _completion.SetException(error);
        }
    }

    private void RunTurn()
    {
        TimeSpan wait = _deferred.Count > 0 ? TimeSpan.Zero : _timers.UntilNext(WaitMax);
        Span<Mailbox.Item> items = _mailbox.Take(wait);
        for (int i = 0; i < items.Length; i++)
        {
            Mailbox.Item item = items[i];
            items[i] = default;     // the array lives on; what it named should not
            item.Work(item.State);
        }

        _timers.RunDue();

        if (_deferred.Count == 0)
            return;

        (_deferred, _deferredRunning) = (_deferredRunning, _deferred);
        foreach (Mailbox.Item item in _deferredRunning)
            item.Work(item.State);
        _deferredRunning.Clear();
    }
}

/// <summary>Brings every await on a shard back to it.</summary>
internal sealed class ShardSynchronizationContext(IShard shard) : SynchronizationContext
{
    public override void Post(SendOrPostCallback d, object? state) => shard.Post(d, state);

    public override void Send(SendOrPostCallback d, object? state)
    {
        if (!shard.IsCurrent)
            throw new NotSupportedException("A shard never blocks for another thread: use Post.");
        d(state);
    }

    public override SynchronizationContext CreateCopy() => this;
}

public static class ShardExtensions
{
    /// <exception cref="WrongShardException">The caller is not on the shard's thread.</exception>
    public static void Verify(this IShard shard)
    {
        if (!shard.IsCurrent)
            throw new WrongShardException();
    }
}
