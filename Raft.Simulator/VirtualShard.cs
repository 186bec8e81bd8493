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

    public VirtualShard(World world)
    {
        _world = world;
        _context = new ShardSynchronizationContext(this);
    }

    public bool IsCurrent { get; private set; }

    public TimeProvider Time => _world.Time;

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
    }

    /// <summary>True when there was something to do.</summary>
    public bool RunTurn()
    {
        if (_isPaused || _mailbox.Count + _deferred.Count == 0)
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
            }

            List<(SendOrPostCallback Work, object? State)> deferred = _deferred;
            _deferred = [];
            foreach ((SendOrPostCallback work, object? state) in deferred)
                work(state);
        }
        finally
        {
            IsCurrent = false;
            SynchronizationContext.SetSynchronizationContext(before);
        }

        return true;
    }

    private sealed class Timer(VirtualShard shard, TimeSpan period, Action work) : IDisposable
    {
        private bool _isDisposed;

        public void Schedule() => shard._world.Schedule(period, () =>
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
