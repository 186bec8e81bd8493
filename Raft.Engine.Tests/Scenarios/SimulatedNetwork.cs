using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Scenarios;

/// <summary>The network between all servers of one group: what is lost, late or out of order comes from the seed.</summary>
internal sealed class SimulatedNetwork
{
    private static readonly TimeSpan PingTime = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan FrameTimeout = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ServerId, Endpoint> _endpoints = [];
    private readonly HashSet<(ServerId From, ServerId To)> _cuts = [];
    private readonly Dictionary<(ServerId From, ServerId To), long> _lastArrival = [];

    private readonly World _world;

    public SimulatedNetwork(World world) => _world = world;

    /// <summary>The share of one-way messages and frames that is lost.</summary>
    public double Loss { get; set; }

    /// <summary>Messages may overtake each other.</summary>
    public bool IsReordering { get; set; }

    /// <summary>The share of messages that arrive twice.</summary>
    public double Doubling { get; set; }

    public TimeSpan MinDelay { get; set; } = TimeSpan.FromMilliseconds(0.2);
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Called for each message that is sent; false loses it.</summary>
    public Func<Message, bool>? Filter { get; set; }

    /// <summary>False loses the call's reply: it arrived, and nobody will know.</summary>
    public Func<LeaderCall, bool>? ReplyFilter { get; set; }

    /// <summary>How much longer a call's reply takes.</summary>
    public Func<LeaderCall, TimeSpan>? ReplyDelay { get; set; }

    public Endpoint Connect(ServerId server, long start)
    {
        var endpoint = new Endpoint(this, server, start);
        _endpoints[server] = endpoint;
        endpoint.Ping();
        return endpoint;
    }

    /// <summary>The process is gone: the others' connections end at once, and the next ones are refused.</summary>
    public void Disconnect(ServerId server)
    {
        if (!_endpoints.Remove(server, out Endpoint? gone))
            return;

        gone.IsGone = true;
        foreach (Endpoint other in _endpoints.Values)
        {
            if (IsOpen(server, other.Server))
                _world.Schedule(Delay(), () => other.SeesGone(server));
        }
    }

    /// <summary>Nothing passes between this server and the others, in either direction.</summary>
    public void Isolate(ServerId server)
    {
        foreach (ServerId other in _endpoints.Keys)
        {
            Cut(server, other);
            Cut(other, server);
        }
    }

    public void Cut(ServerId from, ServerId to)
    {
        if (from != to)
            _cuts.Add((from, to));
    }

    /// <summary>Takes back what was cut between these two.</summary>
    public void Join(ServerId a, ServerId b)
    {
        _cuts.Remove((a, b));
        _cuts.Remove((b, a));
    }

    public void Heal() => _cuts.Clear();

    private bool IsOpen(ServerId from, ServerId to) => !_cuts.Contains((from, to));

    private TimeSpan Delay() => MinDelay + ((MaxDelay - MinDelay) * _world.Random.NextDouble());

    private bool IsLost() => Loss > 0 && _world.Random.NextDouble() < Loss;

    private TimeSpan DelayInOrder(ServerId from, ServerId to)
    {
        TimeSpan delay = Delay();
        if (IsReordering)
            return delay;

        long arrival = Math.Max(_world.Time.Ticks + delay.Ticks, _lastArrival.GetValueOrDefault((from, to)));
        _lastArrival[(from, to)] = arrival;
        return TimeSpan.FromTicks(arrival - _world.Time.Ticks);
    }

    private void Deliver(Endpoint from, ServerId to, Message message)
    {
        _world.Schedule(DelayInOrder(from.Server, to), () =>
        {
            if (IsOpen(from.Server, to) && _endpoints.TryGetValue(to, out Endpoint? endpoint))
                endpoint.Handler?.Receive([message]);
        });
    }

    /// <summary>One start of one server on the network.</summary>
    internal sealed class Endpoint(SimulatedNetwork network, ServerId server, long start) : IRaftRpc, IFailureDetector, IPeerLiveness
    {
        private readonly Dictionary<ServerId, Frame> _frames = [];
        private GroupStatus? _announced;
        private long _announcedAt;
        private bool _isStopped;

        private readonly record struct Frame(GroupStatus? Status, long Start, long At, bool IsGone);

        public ServerId Server { get; } = server;
        public bool IsGone { get; set; }
        public IRaftRpcHandler? Handler { get; private set; }
        public Configuration? Configuration { get; private set; }
        public bool IsPaused { get; set; }

        public void Start(IRaftRpcHandler handler) => Handler = handler;

        public void Send(IReadOnlyList<Message> messages)
        {
            if (_isStopped || IsGone)
                return;

            foreach (Message message in messages)
            {
                if (!network._endpoints.ContainsKey(message.To))
                {
                    Handler?.Unreachable(message.To);
                    continue;
                }

                if (!network.IsOpen(Server, message.To) || network.IsLost() || network.Filter?.Invoke(message) == false)
                    continue;

                Message sent = message with { SenderStart = start };
                network.Deliver(this, message.To, sent);
                if (network.Doubling > 0 && network._world.Random.NextDouble() < network.Doubling)
                    network.Deliver(this, message.To, sent);
            }
        }

        public Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation)
        {
            var reply = new TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (!network._endpoints.TryGetValue(to, out Endpoint? target))
                return Task.FromException<LeaderReply>(new DestinationNotAliveException(to));

            network._world.Schedule(CallTimeout, () => reply.TrySetException(new TransportException("No reply came.")));
            network._world.Schedule(network.DelayInOrder(Server, to), () =>
            {
                if (target.IsGone)
                    reply.TrySetException(new TransportException("The connection ended."));
                else if (network.IsOpen(Server, to) && target.Handler is { } handler)
                    _ = AnswerAsync(target, handler.ReceiveCallAsync(Server, call), call, reply);
            });
            return reply.Task;
        }

        private async Task AnswerAsync(Endpoint target, Task<LeaderReply> answer, LeaderCall call, TaskCompletionSource<LeaderReply> reply)
        {
            LeaderReply value = await answer;
            if (network.ReplyFilter?.Invoke(call) == false)
                return;
            TimeSpan extra = network.ReplyDelay?.Invoke(call) ?? TimeSpan.Zero;
            network._world.Schedule(network.Delay() + extra, () =>
            {
                if (!target.IsGone && !IsGone && network.IsOpen(target.Server, Server))
                    reply.TrySetResult(value);
            });
        }

        public void ConfigurationChanged(Configuration configuration) => Configuration = configuration;

        public void Stop() => _isStopped = true;

        public IPeerLiveness ViewOf(GroupId group) => this;

        public void Announce(GroupId group, GroupStatus status)
        {
            _announced = status;
            _announcedAt = network._world.Time.Ticks;
        }

        public void Ping()
        {
            if (IsGone)
                return;

            if (!IsPaused)
            {
                bool isFresh = _announced is not null && network._world.Time.Ticks - _announcedAt <= 2 * PingTime.Ticks;
                foreach (Endpoint other in network._endpoints.Values)
                {
                    if (other == this || !network.IsOpen(Server, other.Server) || network.IsLost())
                        continue;
                    GroupStatus? status = isFresh ? _announced : null;
                    network._world.Schedule(network.Delay(), () => other.Sees(Server, status, start));
                }
            }

            network._world.Schedule(PingTime, Ping);
        }

        private void Sees(ServerId from, GroupStatus? status, long fromStart)
        {
            Frame before = _frames.GetValueOrDefault(from);
            if (IsGone || fromStart < before.Start || (fromStart == before.Start && before.IsGone))
                return;

            _frames[from] = new Frame(status, fromStart, network._world.Time.Ticks, IsGone: false);
            if (before.Status != status || before.Start != fromStart)
                Handler?.LivenessChanged();
        }

        public void SeesGone(ServerId from)
        {
            Frame before = _frames.GetValueOrDefault(from);
            _frames[from] = before with { IsGone = true };
            Handler?.LivenessChanged();
            Handler?.Unreachable(from);
        }

        private bool IsFresh(Frame frame) => !frame.IsGone && frame.At > 0 && network._world.Time.Ticks - frame.At <= FrameTimeout.Ticks;

        LeaderSign IPeerLiveness.LeaderSign(ServerId server, long start, Term term)
        {
            Frame frame = _frames.GetValueOrDefault(server);
            if (frame.Start > start || (frame.IsGone && frame.Start == start))
                return LeaderSign.Denies;
            if (!IsFresh(frame) || frame.Start != start)
                return LeaderSign.Silent;
            if (frame.Status is not { } status)
                return LeaderSign.Denies;       // its group is dead, the node is not
            if (status.Term < term)
                return LeaderSign.Silent;
            return status.IsLeader ? LeaderSign.Leads : LeaderSign.Denies;
        }

        bool IPeerLiveness.IsFollowing(ServerId server, Term term) =>
            _frames.TryGetValue(server, out Frame frame) && IsFresh(frame)
            && frame.Status is { } status && status.Term == term && status.Follows == Server;

        bool IPeerLiveness.IsAlive(ServerId server) =>
            _frames.TryGetValue(server, out Frame frame) && IsFresh(frame) && frame.Status is not null;
    }
}
