using System.Collections.Concurrent;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Embedded;

/// <summary>A network between servers of one process and one group: a message is a call of the other's handler.</summary>
/// <remarks>Nothing queues here, so nothing needs a bound: a handler returns at once, because it posts to its shard.</remarks>
public sealed class InProcessNetwork
{
    private readonly ConcurrentDictionary<ServerId, Endpoint> _endpoints = [];

    /// <summary>The endpoint of a server that starts; its former one must be disconnected.</summary>
    /// <param name="server">Which one.</param>
    /// <param name="startCount">How often that server was started on its disk, this start included.</param>
    public Endpoint Connect(ServerId server, long startCount)
    {
        var endpoint = new Endpoint(this, server, startCount);
        return _endpoints.TryAdd(server, endpoint) ? endpoint : throw new InvalidOperationException($"{server} is connected already.");
    }

    /// <summary>The server is gone, and the others are told.</summary>
    public void Disconnect(ServerId server)
    {
        if (!_endpoints.TryRemove(server, out Endpoint? gone))
            return;

        gone.End();
        foreach (Endpoint other in _endpoints.Values)
        {
            other.Handler?.LivenessChanged();
            other.Handler?.Unreachable(server);
        }
    }

    /// <summary>The network as one server sees it, and what it knows of the others' lives.</summary>
    public sealed class Endpoint(InProcessNetwork network, ServerId self, long startCount) : IRaftRpc, IFailureDetector, IPeerLiveness
    {
        /// <summary>A server whose shard has not ticked for so long is not alive.</summary>
        private static readonly TimeSpan _freshness = TimeSpan.FromMilliseconds(400);

        private sealed record Announcement(GroupStatus Status, long Timestamp);

        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile Announcement? _announced;

        internal IRaftRpcHandler? Handler { get; private set; }

        public void Start(IRaftRpcHandler handler) => Handler = handler;

        public void Stop() => Handler = null;

        public void Send(IReadOnlyList<Message> messages)
        {
            foreach (Message message in messages)
            {
                if (Handler is not null && Find(message.To) is { Handler: { } target })
                    target.Receive([message with { SenderStart = StartCount }]);
                else
                    Handler?.Unreachable(message.To);
            }
        }

        public Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation) =>
            AskAsync(to, target => target.ReceiveCallAsync(self, call), cancellation);

        public Task<SnapshotReply> SendSnapshotAsync(ServerId to, SnapshotChunk chunk, CancellationToken cancellation) =>
            AskAsync(to, target => target.ReceiveSnapshotAsync(self, chunk with { SenderStart = StartCount }), cancellation);

        /// <summary>Servers are found by their id here; a real network takes the addresses from it.</summary>
        public void ConfigurationChanged(Configuration configuration)
        {
        }

        public IPeerLiveness ViewOf(GroupId group) => this;

        public void Announce(GroupId group, GroupStatus status)
        {
            Announcement? before = _announced;
            _announced = new Announcement(status, Environment.TickCount64);
            if (before?.Status == status)
                return;

            foreach (Endpoint other in network._endpoints.Values)
            {
                if (other != this)
                    other.Handler?.LivenessChanged();
            }
        }

        LeaderSign IPeerLiveness.LeaderSign(ServerId server, long start, Term term)
        {
            Endpoint? other = Find(server);
            if (other is null || other.StartCount > start)
                return LeaderSign.Denies;       // gone, or it came back: the start that was known leads no more
            if (other.StartCount < start || other.FreshStatus is not { } status || status.Term < term)
                return LeaderSign.Silent;
            return status.IsLeader ? LeaderSign.Leads : LeaderSign.Denies;
        }

        bool IPeerLiveness.IsFollowing(ServerId server, Term term) =>
            Find(server)?.FreshStatus is { } status && status.Term == term && status.Follows == self;

        QuietWord? IPeerLiveness.QuietWord(ServerId server, Term term) =>
            Find(server)?.FreshStatus is { IsLeader: true, QuietCommit: { } commit } status && status.Term == term
                ? new QuietWord(commit, TimeSpan.Zero)
                : null;

        /// <summary>All servers of the process have one clock; a real network sends each node's with its liveness frames.</summary>
        long? IPeerLiveness.ClockOf(ServerId server) =>
            Find(server)?.FreshStatus is null ? null : TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

        bool IPeerLiveness.IsAlive(ServerId server) => Find(server)?.FreshStatus is not null;

        private long StartCount { get; } = startCount;

        private GroupStatus? FreshStatus =>
            _announced is { } announced && Environment.TickCount64 - announced.Timestamp < _freshness.TotalMilliseconds ? announced.Status : null;

        internal void End()
        {
            Stop();
            _ended.SetResult();
        }

        private async Task<T> AskAsync<T>(ServerId to, Func<IRaftRpcHandler, Task<T>> ask, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            if (Handler is null || Find(to) is not { Handler: { } handler } target)
                throw new DestinationNotAliveException(to);     // never sent: safe to ask again

            Task<T> answer = ask(handler);
            await Task.WhenAny(answer, target._ended.Task, _ended.Task).WaitAsync(cancellation);
            return answer.IsCompleted ? await answer : throw new TransportException($"{to} is gone; the call may have arrived.");
        }

        private Endpoint? Find(ServerId server) => network._endpoints.GetValueOrDefault(server);
    }
}
