using System.Collections.Concurrent;
using System.Threading.Channels;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One small frame per pair of nodes and ping interval speaks for all groups. Rule 4.</summary>
/// <remarks>
/// Outbound: what the shards announced, as a version number while nothing changed; news goes at once. Inbound: one
/// <see cref="PeerSign"/> for each server, replaced whole, so that the shards read it without a lock.
/// </remarks>
internal sealed class LivenessExchange(PeerContext context, Action<GroupId?> notify) : IFailureDetector
{
    private readonly ConcurrentDictionary<GroupId, Announcement> _own = new();
    private readonly ConcurrentDictionary<ServerId, PeerSign> _signs = new();
    private readonly ConcurrentDictionary<GroupId, View> _views = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private List<(GroupId Group, GroupStatus Status)> _said = [];
    private long _version;

    public IPeerLiveness ViewOf(GroupId group) => _views.GetOrAdd(group, static (key, self) => new View(self, key), this);

    public void Announce(GroupId group, GroupStatus status)
    {
        Announcement own = _own.GetOrAdd(group, static _ => new Announcement());
        long now = context.Time.GetTimestamp();
        bool isNews = own.Status is not { } said || said.Status != status || !IsFresh(own);
        if (isNews)
            own.Status = new StatusBox(status);
        Volatile.Write(ref own.At, now);
        if (isNews)
            SpeakNow();
    }

    /// <summary>The group has stopped here.</summary>
    public void Forget(GroupId group)
    {
        if (_own.TryRemove(group, out _))
            SpeakNow();
    }

    public PeerSign? SignOf(ServerId server) => _signs.GetValueOrDefault(server);

    /// <summary>A frame soon, not only at the next ping: something changed, or a stream has come up.</summary>
    public void SpeakNow() => _news.Writer.TryWrite(true);

    /// <summary>Sends until the transport stops.</summary>
    public async Task RunAsync(Func<Dictionary<ServerId, Peer>> peers)
    {
        TimeSpan ping = context.Settings.Ping;
        using ITimer timer = context.Time.CreateTimer(static self => ((LivenessExchange)self!).SpeakNow(), this, ping, ping); // not null: this
        try
        {
            while (await _news.Reader.WaitToReadAsync(context.Stopping.Token))
            {
                _news.Reader.TryRead(out _);
                try
                {
                    Speak(peers());
                }
                catch (Exception error)
                {
                    context.Logger.LivenessFailed(error);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // the transport stops
        }
    }

    /// <summary>A handshake: this start of the server is there. Signs of an earlier one deny from now on.</summary>
    public void Heard(ServerId server, long start)
    {
        PeerSign sign = _signs.GetOrAdd(server, static key => new PeerSign(key));
        bool isNews;
        lock (sign)
        {
            PeerSign.State before = sign.Now;
            isNews = before.Start != start || before.IsGone;
            if (before.Start != start)
            {
                sign.ForgetFrames();
                sign.Now = new PeerSign.State(start, 0, [], IsGone: false);
            }
            else if (before.IsGone)
            {
                sign.Now = before with { IsGone = false };
            }
        }

        if (isNews)
            notify(null);
    }

    /// <summary>Its connection ended and nobody listens there any more.</summary>
    public void Gone(ServerId server)
    {
        if (!_signs.TryGetValue(server, out PeerSign? sign))
            return;

        lock (sign)
        {
            if (sign.Now.IsGone)
                return;

            sign.Now = sign.Now with { IsGone = true };
        }

        notify(null);
    }

    /// <summary>A frame of this start of the server.</summary>
    /// <exception cref="BadFrameException">It is none.</exception>
    public void Receive(ServerId server, long start, in Frame frame)
    {
        var reader = new PayloadReader(frame.Payload);
        long version = reader.Int64();
        long stamp = reader.Int64();
        long echo = reader.Int64();
        long heldTicks = reader.Int64();
        Dictionary<GroupId, GroupStatus>? groups = reader.Bool() ? ReadGroups(ref reader) : null;
        reader.End();
        if (!_signs.TryGetValue(server, out PeerSign? sign))
            return;

        bool wasFresh;
        PeerSign.State before;
        lock (sign)
        {
            before = sign.Now;
            if (before.Start != start || (groups is null && before.Version != version))
                return;

            wasFresh = IsFresh(sign);
            if (groups is not null)
                sign.Now = before with { Version = version, Groups = groups };
            sign.FrameCame(context.Time.GetTimestamp(), stamp);
        }

        Measure(server, sign, echo, heldTicks);
        Tell(before.Groups, groups, wasFresh);
    }

    public bool IsFresh(PeerSign sign)
    {
        long last = sign.LastFrame;
        return last != PeerSign.Never && context.Time.GetElapsedTime(last) <= context.Settings.LivenessTimeout;
    }

    private bool IsFresh(Announcement own) =>
        context.Time.GetElapsedTime(Volatile.Read(ref own.At)) <= 2 * context.Settings.Ping;

    private void Speak(Dictionary<ServerId, Peer> peers)
    {
        // A group whose shard is silent is left out: dead on a live node, it is seen as dead. Rule 4.
        var now = new List<(GroupId Group, GroupStatus Status)>(_said.Count);
        foreach ((GroupId group, Announcement own) in _own)
        {
            if (own.Status is { } box && IsFresh(own))
                now.Add((group, box.Status));
        }

        // From 1 on: a receiver that has heard nothing yet is at 0.
        if (_version == 0 || !now.SequenceEqual(_said))
        {
            _said = now;
            _version++;
        }

        foreach ((ServerId server, Peer peer) in peers)
        {
            SendQueue queue = peer.Control.Queue;
            int generation = queue.Generation;
            bool isFull = peer.SaidGeneration != generation || peer.SaidVersion != _version;
            long stamp = 0, heldTicks = 0;
            if (_signs.TryGetValue(server, out PeerSign? sign))
                (stamp, heldTicks) = sign.TakeStamp(context.Time);

            var frame = new LivenessFrame(_version, context.Time.GetTimestamp(), stamp, heldTicks, isFull ? _said : null);
            if (queue.Add(frame, out _, generation) != Queued.Yes)
                continue;

            peer.SaidGeneration = generation;
            peer.SaidVersion = _version;
            queue.Wake();
        }
    }

    private void Measure(ServerId server, PeerSign sign, long echo, long heldTicks)
    {
        if (echo == 0 || heldTicks < 0)
            return;

        TimeSpan roundTrip = context.Time.GetElapsedTime(echo) - new TimeSpan(heldTicks);
        // Anything else is no stamp of ours, or of an earlier start.
        if (roundTrip < TimeSpan.Zero || roundTrip > TimeSpan.FromMinutes(1))
            return;

        sign.RoundTrip = roundTrip;
        context.Metrics.RoundTrip(server.Node.Value, roundTrip);
    }

    private void Tell(Dictionary<GroupId, GroupStatus> before, Dictionary<GroupId, GroupStatus>? after, bool wasFresh)
    {
        foreach ((GroupId group, GroupStatus status) in after ?? before)
        {
            if (!wasFresh || (after is not null && (!before.TryGetValue(group, out GroupStatus old) || old != status)))
                notify(group);
        }

        if (after is null)
            return;

        foreach (GroupId group in before.Keys)
        {
            if (!after.ContainsKey(group))
                notify(group);
        }
    }

    private static Dictionary<GroupId, GroupStatus> ReadGroups(ref PayloadReader reader)
    {
        int count = reader.Int32();
        if (count < 0 || count > reader.Left / LivenessFrame.MinGroupBytes)
            throw BadFrameException.Malformed($"a liveness frame claims {count} groups in {reader.Left} bytes");

        var groups = new Dictionary<GroupId, GroupStatus>(count);
        for (int i = 0; i < count; i++)
        {
            var group = new GroupId(reader.Text());
            groups[group] = new GroupStatus(reader.Term(), reader.Bool(), MessageCodec.ReadServer(ref reader));
        }

        return groups;
    }

    /// <summary>What our own shard said last. A box, so that it is read whole.</summary>
    private sealed record StatusBox(GroupStatus Status);

    private sealed class Announcement
    {
        private volatile StatusBox? _status;

        public long At;

        public StatusBox? Status
        {
            get => _status;
            set => _status = value;
        }
    }

    private sealed class View(LivenessExchange exchange, GroupId group) : IPeerLiveness
    {
        public LeaderSign LeaderSign(ServerId server, long start, Term term)
        {
            if (exchange.SignOf(server) is not { } sign)
                return Engine.Protocol.LeaderSign.Silent;

            PeerSign.State now = sign.Now;
            // A lower start is merely old news: what made the leader known came later.
            if (now.Start > start || (now.Start == start && now.IsGone))
                return Engine.Protocol.LeaderSign.Denies;
            if (now.Start < start || !exchange.IsFresh(sign) || !now.Groups.TryGetValue(group, out GroupStatus status) || status.Term < term)
                return Engine.Protocol.LeaderSign.Silent;

            return status.IsLeader ? Engine.Protocol.LeaderSign.Leads : Engine.Protocol.LeaderSign.Denies;
        }

        public bool IsFollowing(ServerId server, Term term) =>
            Find(server) is { } status && status.Term == term && status.Follows is { } leader && leader == exchange.Self;

        public bool IsAlive(ServerId server) => Find(server) is not null;

        private GroupStatus? Find(ServerId server) =>
            exchange.SignOf(server) is { } sign && sign.Now is { IsGone: false } now && exchange.IsFresh(sign)
            && now.Groups.TryGetValue(group, out GroupStatus status)
                ? status
                : null;
    }

    private ServerId? Self => context.Identity?.Server;
}
