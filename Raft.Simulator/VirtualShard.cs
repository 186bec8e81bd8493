using Raft.Engine.Errors;
using Raft.Engine.Shards;

namespace Raft.Simulator;

/// <summary>A shard that runs when the world lets it.</summary>
internal sealed class VirtualShard : IShard
{
    private readonly World _world;
    private readonly SynchronizationContext _context;
    private readonly Queue<(SendOrPostCallback Work, object? State)> _mailbox = new();
    private List<(SendOrPostCallback Work, object? State)> _deferred = [];
    private bool _isDead;
    private bool _isPaused;
    private int _itemsToLive = -1;
    private Action? _killed;

    public VirtualShard(World world)
    {
        _world = world;
        Clock = new VirtualClock(world.Time);
        _context = new ShardSynchronizationContext(this);
    }

    public bool IsCurrent { get; private set; }

    public TimeProvider Time => Clock;

    /// <summary>The node's own clocks, which may run fast or slow.</summary>
    public VirtualClock Clock { get; set; }

    /// <summary>Called after each turn in which something ran.</summary>
    public Action? TurnEnded { get; set; }

    public bool HasWork => !_isPaused && _mailbox.Count + _deferred.Count > 0;

    /// <summary>As SIGSTOP: nothing runs, nothing is lost.</summary>
    public bool IsPaused
    {
        get => _isPaused;
        set => _isPaused = value;
    }

    public bool Post(SendOrPostCallback work, object? state)
    {
        if (_isDead || !_world.CheckThread())
            return false;
        _mailbox.Enqueue((work, state));
        return true;
    }

    public IDisposable StartTimer(TimeSpan period, Action work)
    {
        if (!IsCurrent)
            throw new WrongShardException();
        var timer = new Timer(this, period, work);
        timer.Schedule();
        return timer;
    }

    public void Defer(SendOrPostCallback work, object? state)
    {
        if (!IsCurrent)
            throw new WrongShardException();
        _deferred.Add((work, state));
    }

    /// <summary>As SIGKILL.</summary>
    public void Kill()
    {
        _isDead = true;
        _mailbox.Clear();
        _deferred.Clear();
        _world.Forget(this);
    }

    /// <summary>As SIGKILL in the middle of the work: so many pieces of it still run, of whatever turn.</summary>
    public void KillAfter(int items, Action killed) => (_itemsToLive, _killed) = (items, killed);

    /// <summary>For who only looks: the caller counts as being on the shard.</summary>
    public void Look(Action look)
    {
        bool before = IsCurrent;
        IsCurrent = true;
        look();
        IsCurrent = before;
    }

    /// <summary>True when there was something to do.</summary>
    public bool RunTurn()
    {
        if (!HasWork)
            return false;

        SynchronizationContext? before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(_context);
        IsCurrent = true;
        try
        {
            for (int count = _mailbox.Count; count > 0 && !_isDead; count--)
            {
                (SendOrPostCallback work, object? state) = _mailbox.Dequeue();
                work(state);
                CountDown();
            }

            List<(SendOrPostCallback Work, object? State)> deferred = _deferred;
            _deferred = [];
            foreach ((SendOrPostCallback work, object? state) in deferred)
            {
                if (_isDead)
                    break;
                work(state);
                CountDown();
            }
        }
        finally
        {
            IsCurrent = false;
            SynchronizationContext.SetSynchronizationContext(before);
        }

        TurnEnded?.Invoke();
        return true;
    }

    private void CountDown()
    {
        if (_itemsToLive < 0 || --_itemsToLive >= 0)
            return;

        _itemsToLive = -1;
        _killed?.Invoke();
    }

    private sealed class Timer(VirtualShard shard, TimeSpan period, Action work) : IDisposable
    {
        private bool _isDisposed;

        public void Schedule() => shard._world.Schedule(shard.Clock.InTrueTime(period), () =>
        {
            if (_isDisposed || shard._isDead)
                return;
            if (!shard._isPaused)       // missed ticks are not made up for
                shard.Post(_ => { if (!_isDisposed) work(); }, null);
            Schedule();
        });

        public void Dispose() => _isDisposed = true;
    }
}
