using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>The network between all servers of one group: what is lost, late or out of order comes from the seed.</summary>
/// <param name="schedule">Runs work after a delay, one at a time.</param>
/// <param name="now">The time, in ticks.</param>
/// <param name="random">The seed's.</param>
internal sealed partial class SimulatedNetwork(Action<TimeSpan, Action> schedule, Func<long> now, Random random)
{
    private static readonly TimeSpan PingTime = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan FrameTimeout = TimeSpan.FromMilliseconds(400);

    private readonly Dictionary<ServerId, Endpoint> _endpoints = [];
    private readonly HashSet<(ServerId From, ServerId To)> _cuts = [];
    private readonly Dictionary<(ServerId From, ServerId To), long> _lastArrival = [];

    public SimulatedNetwork(World world)
        : this(world.Schedule, () => world.Time.Ticks, world.Random)
    {
    }

    /// <summary>The share of one-way messages and frames that is lost.</summary>
    public double Loss { get; set; }

    /// <summary>Messages may overtake each other.</summary>
    public bool IsReordering { get; set; }

    /// <summary>The share of messages that arrive twice.</summary>
    public double Doubling { get; set; }

    /// <summary>When the caller gives up on a connection that says nothing.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(2);

    public TimeSpan MinDelay { get; set; } = TimeSpan.FromMilliseconds(0.2);
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Called for each message that is sent; false loses it.</summary>
    public Func<Message, bool>? Filter { get; set; }

    /// <summary>Called with each message that is on its way, and with what lets it arrive; true: it waits until that is called.</summary>
    public Func<Message, Action, bool>? Hold { get; set; }

    /// <summary>False loses the call's reply: it arrived, and nobody will know.</summary>
    public Func<LeaderCall, bool>? ReplyFilter { get; set; }

    /// <summary>Answers a call in the place of the server that is asked; null: it is handed to the server.</summary>
    public Func<LeaderCall, LeaderReply?>? CallFilter { get; set; }

    /// <summary>How much longer a call's reply takes.</summary>
    public Func<LeaderCall, TimeSpan>? ReplyDelay { get; set; }

    /// <summary>Called with all that a server sends, lost or not, before it leaves.</summary>
    public Action<Message>? Sent { get; set; }

    /// <summary>Called with each answer to a chunk of a snapshot, lost or not, before it leaves: who answers, what, and what.</summary>
    public Action<ServerId, SnapshotChunk, SnapshotReply>? ChunkAnswered { get; set; }

    /// <summary>Called with each message that arrives.</summary>
    public Action<Message>? Delivered { get; set; }

    /// <summary>How much longer everything takes from the one to the other.</summary>
    public Func<ServerId, ServerId, TimeSpan>? LinkDelay { get; set; }

    /// <summary>Beside the cuts: whether anything passes from the one to the other.</summary>
    public Func<ServerId, ServerId, bool>? IsLinkOpen { get; set; }

    /// <summary>What the handshake of a connection decides: from whom, in which start, to whom. False: refused.</summary>
    public Func<ServerId, long, ServerId, bool>? Accepts { get; set; }

    /// <summary>Something came over an accepted connection: from whom, in which start, to whom.</summary>
    public Action<ServerId, long, ServerId>? Heard { get; set; }

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
        gone.EndCalls(to: null);
        foreach (Endpoint other in _endpoints.Values)
        {
            if (IsOpen(server, other.Server))
                schedule(Delay(), () => other.SeesGone(server, gone.StartCount));
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

    /// <summary>Nothing is held or watched for any more; what was held is lost, unless who holds it lets it arrive.</summary>
    public void LetGo() => (Hold, ChunkFilter) = (null, null);

    private Random Random => random;

    private long Now => now();

    private void Schedule(TimeSpan delay, Action work) => schedule(delay, work);

    private bool IsOpen(ServerId from, ServerId to) => !_cuts.Contains((from, to)) && IsLinkOpen?.Invoke(from, to) != false;

    private TimeSpan Delay() => MinDelay + ((MaxDelay - MinDelay) * random.NextDouble());

    private bool IsLost() => Loss > 0 && random.NextDouble() < Loss;

    private TimeSpan DelayInOrder(ServerId from, ServerId to)
    {
        TimeSpan delay = Delay() + (LinkDelay?.Invoke(from, to) ?? TimeSpan.Zero);
        if (IsReordering)
            return delay;

        long arrival = Math.Max(now() + delay.Ticks, _lastArrival.GetValueOrDefault((from, to)));
        _lastArrival[(from, to)] = arrival;
        return TimeSpan.FromTicks(arrival - now());
    }

    private void Deliver(Endpoint from, ServerId to, Message message)
    {
        schedule(DelayInOrder(from.Server, to), () =>
        {
            if (!IsOpen(from.Server, to) || !_endpoints.TryGetValue(to, out Endpoint? endpoint) || !IsAccepted(from, endpoint))
                return;
            Delivered?.Invoke(message);
            endpoint.Handler?.Receive([message]);
        });
    }

    private bool IsAccepted(Endpoint from, Endpoint to)
    {
        if (Accepts is null)
            return true;
        if (!Accepts(from.Server, from.StartCount, to.Server) || !Accepts(to.Server, to.StartCount, from.Server))
            return false;
        Heard?.Invoke(from.Server, from.StartCount, to.Server);
        return true;
    }

    /// <summary>One start of one server on the network.</summary>
    internal sealed partial class Endpoint(SimulatedNetwork network, ServerId server, long start) : IRaftRpc, IFailureDetector, IPeerLiveness
    {
        private readonly Dictionary<ServerId, Frame> _frames = [];
        private readonly HashSet<IWaiting> _calls = [];
        private GroupStatus? _announced;
        private long _announcedAt;
        private bool _isStopped;

        /// <summary>A call, or a chunk of a snapshot, that waits for its reply.</summary>
        private interface IWaiting
        {
            ServerId To { get; }

            void Fail(Exception error);
        }

        private sealed class Waiting<T>(ServerId to) : TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously), IWaiting
        {
            public ServerId To { get; } = to;

            public void Fail(Exception error) => TrySetException(error);
        }

        private readonly record struct Frame(GroupStatus? Status, long Start, long At, bool IsGone, long? ClockMs = null);

        public ServerId Server { get; } = server;
        public long StartCount { get; } = start;
        public bool IsGone { get; set; }
        public IRaftRpcHandler? Handler { get; private set; }
        public Configuration? Configuration { get; private set; }

        /// <summary>Called when the server is about to ask another one; what it throws the server gets.</summary>
        public Action<LeaderCall>? Calling { get; set; }

        /// <summary>Called when the server stops it.</summary>
        public Action? Stopping { get; set; }
        public bool IsPaused { get; set; }

        /// <summary>What the frames say of the wall clock; null: nothing, as those of the release before.</summary>
        public TimeProvider? Clock { get; set; }

        public void Start(IRaftRpcHandler handler) => Handler = handler;

        public void Send(IReadOnlyList<Message> messages)
        {
            if (_isStopped || IsGone)
                return;

            foreach (Message message in messages)
            {
                network.Sent?.Invoke(message);
                if (!network._endpoints.ContainsKey(message.To))
                {
                    Handler?.Unreachable(message.To);
                    continue;
                }

                if (!network.IsOpen(Server, message.To) || network.IsLost() || network.Filter?.Invoke(message) == false)
                    continue;

                Message sent = message with { SenderStart = StartCount };
                if (network.Hold?.Invoke(message, () => network.Deliver(this, message.To, sent)) == true)
                    continue;

                network.Deliver(this, message.To, sent);
                if (network.Doubling > 0 && network.Random.NextDouble() < network.Doubling)
                    network.Deliver(this, message.To, sent);
            }
        }

        public Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation)
        {
            Calling?.Invoke(call);
            return AskAsync<LeaderReply>(
                to,
                (target, reply) => network.Schedule(network.DelayInOrder(Server, to), () => target.Hear(this, call, reply)),
                cancellation);
        }

        private async Task<T> AskAsync<T>(ServerId to, Action<Endpoint, Waiting<T>> send, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            if (_isStopped || IsGone || !network._endpoints.TryGetValue(to, out Endpoint? target))
                throw new DestinationNotAliveException(to);

            var reply = new Waiting<T>(to);
            _calls.Add(reply);
            using CancellationTokenRegistration gaveUp = cancellation.UnsafeRegister(_ => reply.TrySetCanceled(cancellation), null);
            network.Schedule(network.CallTimeout, () => reply.TrySetException(new TransportException("No reply came.")));
            send(target, reply);
            try
            {
                return await reply.Task;
            }
            finally
            {
                _calls.Remove(reply);
            }
        }

        private void Hear(Endpoint from, LeaderCall call, Waiting<LeaderReply> reply)
        {
            if (IsGone)
                reply.TrySetException(new TransportException("The connection ended."));
            else if (network.IsOpen(from.Server, Server) && network.IsAccepted(from, this))
                _ = AnswerAsync(from, network.CallFilter?.Invoke(call) is { } instead ? Task.FromResult(instead) : Handler?.ReceiveCallAsync(from.Server, call), call, reply);
        }

        /// <param name="from">Who asks.</param>
        /// <param name="answer">Null when the group does not run here.</param>
        /// <param name="call">The call.</param>
        /// <param name="reply">Where its caller waits.</param>
        private async Task AnswerAsync(Endpoint from, Task<LeaderReply>? answer, LeaderCall call, Waiting<LeaderReply> reply)
        {
            LeaderReply? value = answer is null ? null : await answer;
            if (network.ReplyFilter?.Invoke(call) == false)
                return;
            TimeSpan extra = network.ReplyDelay?.Invoke(call) ?? TimeSpan.Zero;
            network.Schedule(network.Delay() + extra, () =>
            {
                if (IsGone || from.IsGone || !network.IsOpen(Server, from.Server))
                    return;
                if (value is not null)
                    reply.TrySetResult(value);
                else
                    reply.TrySetException(new DestinationNotAliveException(Server, "The group does not run there; nothing was done."));
            });
        }

        /// <summary>The connection to this server (null: to all) ended: what is under way may have arrived.</summary>
        public void EndCalls(ServerId? to)
        {
            foreach (IWaiting call in _calls)
            {
                if (to is null || call.To == to)
                    call.Fail(new TransportException("The connection ended before the reply came."));
            }
        }

        public void ConfigurationChanged(Configuration configuration) => Configuration = configuration;

        public void Stop()
        {
            _isStopped = true;
            Handler = null;
            Stopping?.Invoke();
        }

        public IPeerLiveness ViewOf(GroupId group) => this;

        public void Announce(GroupId group, GroupStatus status)
        {
            _announced = status;
            _announcedAt = network.Now;
        }

        public void Ping()
        {
            if (IsGone)
                return;

            if (!IsPaused)
            {
                bool isFresh = _announced is not null && network.Now - _announcedAt <= 2 * PingTime.Ticks;
                foreach (Endpoint other in network._endpoints.Values)
                {
                    if (other == this || !network.IsOpen(Server, other.Server) || network.IsLost())
                        continue;
                    GroupStatus? status = isFresh ? _announced : null;
                    long? clockMs = Clock?.GetUtcNow().ToUnixTimeMilliseconds();
                    network.Schedule(network.Delay(), () =>
                    {
                        if (network.IsAccepted(this, other))
                            other.Sees(Server, status, StartCount, clockMs);
                    });
                }
            }

            network.Schedule(PingTime, Ping);
        }

        private void Sees(ServerId from, GroupStatus? status, long fromStart, long? clockMs)
        {
            Frame before = _frames.GetValueOrDefault(from);
            if (IsGone || fromStart < before.Start || (fromStart == before.Start && before.IsGone))
                return;

            _frames[from] = new Frame(status, fromStart, network.Now, IsGone: false, clockMs);
            if (before.Status != status || before.Start != fromStart)
                Handler?.LivenessChanged();
        }

        public void SeesGone(ServerId from, long fromStart)
        {
            Frame before = _frames.GetValueOrDefault(from);
            if (before.Start > fromStart)
                return;         // the next start is here already
            _frames[from] = before with { Start = fromStart, IsGone = true };
            EndCalls(from);
            Handler?.LivenessChanged();
            Handler?.Unreachable(from);
        }

        private bool IsFresh(Frame frame) => !frame.IsGone && frame.At > 0 && network.Now - frame.At <= FrameTimeout.Ticks;

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

        QuietWord? IPeerLiveness.QuietWord(ServerId server, Term term) =>
            _frames.TryGetValue(server, out Frame frame) && IsFresh(frame) && frame.Status is { IsLeader: true, QuietCommit: { } commit } status && status.Term == term
                ? new QuietWord(commit, TimeSpan.FromTicks(network.Now - frame.At))
                : null;

        long? IPeerLiveness.ClockOf(ServerId server) =>
            _frames.TryGetValue(server, out Frame frame) && IsFresh(frame) && frame.ClockMs is { } clock
                ? clock + ((network.Now - frame.At) / TimeSpan.TicksPerMillisecond)
                : null;

        bool IPeerLiveness.IsAlive(ServerId server) =>
            _frames.TryGetValue(server, out Frame frame) && IsFresh(frame) && frame.Status is not null;
    }
}
