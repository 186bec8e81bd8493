using System.Collections.Concurrent;
using System.Text;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>The network of one group: <see cref="IRaftRpc"/> on the streams that all groups share.</summary>
internal sealed class PeerRpc(GroupId group, PeerContext context, PeerDirectory directory, InboundStreams inbound, LivenessExchange liveness) : IRaftRpc
{
    /// <summary>A peer that stays down is reported this often while messages to it are dropped.</summary>
    private static readonly TimeSpan ReportAgain = TimeSpan.FromMilliseconds(50);

    private readonly byte[] _name = Encoding.UTF8.GetBytes(group.Value);
    private readonly ConcurrentDictionary<ServerId, Route> _routes = new();
    private readonly Lock _delivery = new();
    private IRaftRpcHandler? _handler;
    private volatile bool _isStopped;

    public GroupId Group => group;

    public void Start(IRaftRpcHandler handler)
    {
        lock (_delivery)
            _handler = handler;
    }

    public void Stop()
    {
        lock (_delivery)
        {
            _isStopped = true;
            _handler = null;
        }

        liveness.Forget(group);
        directory.Remove(group);
    }

    public void ConfigurationChanged(Configuration configuration)
    {
        if (!_isStopped)
            directory.Set(group, configuration);
    }

    public void Send(IReadOnlyList<Message> messages)
    {
        if (_isStopped)
            return;

        SendQueue? touched = null;
        for (int i = 0; i < messages.Count; i++)
        {
            Message message = messages[i];
            Route route = RouteTo(message.To);
            PeerLink? link = route.LinkFor(message);
            Queued queued = link is null || message.From != context.Identity?.Server
                ? Queued.Closed
                : link.Queue.Add(new MessageFrame(message, route.Address!), out _); // not null: set before the link
            if (queued != Queued.Yes)
            {
                Drop(route, link, queued);
                continue;
            }

            route.IsReported = false;
            if (touched != link!.Queue) // not null: it was queued there
            {
                touched?.Wake();
                touched = link.Queue;
            }
        }

        touched?.Wake();
    }

    public async Task<SnapshotReply> SendSnapshotAsync(ServerId to, SnapshotChunk chunk, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Route route = RouteTo(to);
        if (_isStopped || route.Peer is not { } peer)
            throw new DestinationNotAliveException(to);

        // Not on the shard: it copies the whole chunk.
        return await Task.Run(() => peer.Snapshot.SendAsync(route.Address!, chunk, cancellation), CancellationToken.None); // not null: it has a peer
    }

    public async Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Route route = RouteTo(to);
        if (_isStopped || route.Peer is not { } peer)
            throw new DestinationNotAliveException(to);

        PendingCall pending = peer.Calls.Begin(out ulong id);
        try
        {
            // The reply comes on the peer's own stream: without one it would never come. After Begin, so that the
            // stream's end finds the call.
            if (!inbound.IsOpen(to, StreamKind.Bulk)
                || peer.Bulk.Queue.Add(new CallFrame(id, call, route.Address!), out SendSegment? segment) != Queued.Yes)
            {
                throw new DestinationNotAliveException(to);
            }

            pending.Segment = segment;
            peer.Bulk.Queue.Wake();
            return await pending.Reply.WaitAsync(cancellation);
        }
        finally
        {
            peer.Calls.Remove(id);
        }
    }

    /// <summary>Messages of one read, all of this group and one server.</summary>
    public void Receive(ServerId from, List<Message> messages)
    {
        Route route = RouteTo(from);
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i] is AppendReply { Rejection: null } reply)
                route.Acknowledged(reply.ReceivedIndex.Value);
        }

        lock (_delivery)
        {
            if (_handler is null)
                context.Metrics.Dropped("stopped");
            try
            {
                _handler?.Receive(messages);
            }
            catch (Exception error)
            {
                context.Logger.HandlerFailed(error, group, from);
            }
        }
    }

    /// <summary>A call of another server; the answer leaves on our own stream to it.</summary>
    public async Task AnswerAsync(ServerId from, ulong id, LeaderCall call)
    {
        LeaderReply? reply;
        try
        {
            Task<LeaderReply>? work;
            lock (_delivery)
                work = _handler?.ReceiveCallAsync(from, call);

            reply = work is null ? new CallRefusedReply(CallRefusal.Stopped, $"Group {group} does not run on this node.") : await work;
        }
        catch (Exception error)
        {
            context.Logger.HandlerFailed(error, group, from);
            reply = null;
        }

        Answer(from, id, reply);
    }

    public void Answer(ServerId from, ulong id, LeaderReply? reply)
    {
        Route route = RouteTo(from);
        if (route.Peer is { } peer && peer.Bulk.Queue.Add(new CallReplyFrame(id, reply, route.Address!), out _) == Queued.Yes)
            peer.Bulk.Queue.Wake();
        else
            context.Metrics.Dropped("reply");
    }

    /// <summary>A chunk of another server. Not heard: the group has stopped here. Without a reply: it failed.</summary>
    public async Task<(bool IsHeard, SnapshotReply? Reply)> HearSnapshotAsync(ServerId from, SnapshotChunk chunk)
    {
        try
        {
            Task<SnapshotReply>? work;
            lock (_delivery)
                work = _handler?.ReceiveSnapshotAsync(from, chunk);

            return work is null ? (false, null) : (true, await work);
        }
        catch (Exception error)
        {
            context.Logger.HandlerFailed(error, group, from);
            return (true, null);
        }
    }

    public void NotifyUnreachable(ServerId server)
    {
        lock (_delivery)
            _handler?.Unreachable(server);
    }

    public void NotifyLiveness()
    {
        lock (_delivery)
            _handler?.LivenessChanged();
    }

    private void Drop(Route route, PeerLink? link, Queued queued)
    {
        context.Metrics.Dropped(queued == Queued.Full ? "full" : "down");
        if (queued == Queued.Full && context.Repeats.IsNew("full", route.Server.ToString()))
            context.Logger.QueueFull(route.Server, link!.Stream); // not null: its queue is full

        // The first loss after a message that left is always reported: the leader waits for no answer that cannot come.
        long now = context.Time.GetTimestamp();
        if (route.IsReported && context.Time.GetElapsedTime(route.ReportedAt, now) < ReportAgain)
            return;

        route.IsReported = true;
        route.ReportedAt = now;
        NotifyUnreachable(route.Server);
    }

    private Route RouteTo(ServerId server)
    {
        if (!_routes.TryGetValue(server, out Route? route))
            route = _routes.GetOrAdd(server, static (key, self) => new Route(key, self._name), this);
        if (route.Peer is null or { IsStopped: true })
            route.Connect(directory.Find(server), context.Identity);

        return route;
    }

    /// <summary>The way to one server. What is not volatile is the sender's, which is one thread.</summary>
    private sealed class Route(ServerId server, byte[] name)
    {
        private volatile Peer? _peer;
        private volatile FrameAddress? _address;
        private long _acknowledged;
        private long _bulkHighest;

        public ServerId Server => server;
        public Peer? Peer => _peer;
        public FrameAddress? Address => _address;
        public bool IsReported { get; set; }
        public long ReportedAt { get; set; }

        public void Connect(Peer? peer, NodeIdentity? self)
        {
            if (self is null)
                return;

            _address ??= new FrameAddress(name, FrameAddress.HashOf(self.Server), FrameAddress.HashOf(server));
            _peer = peer;
        }

        public void Acknowledged(long index)
        {
            if (index > Volatile.Read(ref _acknowledged))
                Volatile.Write(ref _acknowledged, index);
        }

        /// <summary>Entries go by bulk. An empty append goes by control, unless it leans on entries that may still be on
        /// their way by bulk: overtaking them, it would be rejected for nothing.</summary>
        public PeerLink? LinkFor(Message message)
        {
            Peer? peer = _peer;
            if (message is not AppendRequest append)
                return peer?.Control;

            if (append.Entries.Count > 0)
            {
                _bulkHighest = append.Entries[^1].Index.Value;
                return peer?.Bulk;
            }

            long previous = append.PreviousIndex.Value;
            return _bulkHighest == 0 || previous <= Volatile.Read(ref _acknowledged) ? peer?.Control : peer?.Bulk;
        }
    }
}
