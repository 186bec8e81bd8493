using System.Collections.Concurrent;
using System.Threading.Channels;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One small frame per pair of nodes and ping interval speaks for all groups. Rule 4.</summary>
/// <remarks>
/// Outbound: what the shards announced, as a version number while nothing changed; news goes at once, as what differs from
/// the version before, or whole to whoever has missed that. Inbound: one <see cref="PeerSign"/> for each server, which the
/// shards read without a lock.
/// </remarks>
internal sealed class LivenessExchange(PeerContext context, Action<GroupId?> notify) : IFailureDetector
{
    private readonly OwnStatuses _own = new(context);
    private readonly ConcurrentDictionary<ServerId, PeerSign> _signs = new();
    private readonly ConcurrentDictionary<GroupId, View> _views = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private volatile bool _isPingDue;

    public IPeerLiveness ViewOf(GroupId group) => _views.GetOrAdd(group, static (key, self) => new View(self, key), this);

    public void Announce(GroupId group, GroupStatus status)
    {
        if (_own.Announce(group, status))
            SpeakNow();
    }

    /// <summary>The group has stopped here.</summary>
    public void Forget(GroupId group)
    {
        if (_own.Forget(group))
            SpeakNow();
    }

    public PeerSign? SignOf(ServerId server) => _signs.GetValueOrDefault(server);

    /// <summary>What a live server says of its groups; of ourselves, what our own shards say.</summary>
    public IEnumerable<KeyValuePair<GroupId, GroupStatus>> StatusesOf(ServerId server)
    {
        if (server == Self)
            return _own.Current();

        return SignOf(server) is { } sign && sign.Now is { IsGone: false } now && IsFresh(sign) ? now.Groups : [];
    }

    /// <summary>A frame soon, not only at the next ping: something changed, or a stream has come up.</summary>
    public void SpeakNow() => _news.Writer.TryWrite(true);

    /// <summary>Sends until the transport stops.</summary>
    public async Task RunAsync(Func<Dictionary<ServerId, Peer>> peers)
    {
        TimeSpan ping = context.Settings.Ping;
        using ITimer timer = context.Time.CreateTimer(static self => ((LivenessExchange)self!).PingIsDue(), this, ping, ping); // not null: this
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
            if (start < before.Start)
                return; // a later one is here already

            isNews = before.Start != start || before.IsGone;
            if (before.Start != start)
            {
                sign.ForgetFrames();
                sign.Now = new PeerSign.State(start, 0, PeerSign.NoGroups(), IsGone: false);
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
    /// <param name="server">Whose.</param>
    /// <param name="start">Of that server.</param>
    /// <param name="version">What the stream speaks.</param>
    /// <param name="frame">The frame.</param>
    /// <exception cref="BadFrameException">It is none.</exception>
    public void Receive(ServerId server, long start, ushort version, in Frame frame)
    {
        var reader = new PayloadReader(frame.Payload);
        long statuses = reader.Int64();
        long stamp = reader.Int64();
        long echo = reader.Int64();
        long heldTicks = reader.Int64();
        bool lacksSpace = reader.Bool();
        var content = (LivenessContent)reader.Byte();
        List<(GroupId Group, GroupStatus? Status)> said = content switch
        {
            LivenessContent.Same => Nothing,
            LivenessContent.Whole or LivenessContent.Changes => ReadGroups(ref reader),
            _ => throw BadFrameException.Malformed($"{(byte)content} is no content of a liveness frame"),
        };
        long? clockMs = version >= PeerHandshake.ClockVersion ? reader.Int64() : null;
        bool lacksMemory = version >= PeerHandshake.ClockVersion && reader.Bool();
        reader.End();
        if (!_signs.TryGetValue(server, out PeerSign? sign))
            return;

        bool wasFresh;
        List<GroupId> changed;
        PeerSign.State now;
        lock (sign)
        {
            PeerSign.State before = sign.Now;
            // Of an earlier connection, perhaps: what leans on a version that is not the one here says nothing.
            if (before.Start != start || !Follows(before.Version, statuses, content))
                return;

            wasFresh = IsFresh(sign);
            changed = sign.Take(content, statuses, said);
            sign.FrameCame(context.Time.GetTimestamp(), stamp);
            sign.ClockDifferenceMs = clockMs - NowMs();
            sign.LacksSpace = lacksSpace;
            sign.LacksMemory = lacksMemory;
            now = sign.Now;
        }

        Measure(server, sign, echo, heldTicks);
        // After a silence everything is news.
        if (!wasFresh)
            changed.AddRange(now.Groups.Keys.Except(changed).ToList());
        foreach (GroupId group in changed)
            notify(group);
    }

    public bool IsFresh(PeerSign sign)
    {
        long last = sign.LastFrame;
        return last != PeerSign.Never && context.Time.GetElapsedTime(last) <= context.Settings.LivenessTimeout;
    }

    /// <summary>The monotonic clock.</summary>
    private long NowMs() => (long)context.Time.GetElapsedTime(0).TotalMilliseconds;

    private TimeSpan AgeOf(long frame) => context.Time.GetElapsedTime(frame);

    private static bool Follows(long before, long version, LivenessContent content) => content switch
    {
        LivenessContent.Same => version == before,
        LivenessContent.Changes => version == before + 1,
        _ => version >= before,
    };

    private void PingIsDue()
    {
        _isPingDue = true;
        SpeakNow();
    }

    private void Speak(Dictionary<ServerId, Peer> peers)
    {
        bool isPing = _isPingDue;
        _isPingDue = false; // set again meanwhile, it is followed by another turn
        _own.Collect(looksAtAll: isPing);
        long clockMs = context.Time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach ((ServerId server, Peer peer) in peers)
        {
            SendQueue queue = peer.Control.Queue;
            int generation = queue.Generation;
            LivenessContent content = peer.SaidGeneration != generation ? LivenessContent.Whole : (_own.Version - peer.SaidVersion) switch
            {
                0 => LivenessContent.Same,
                1 => LivenessContent.Changes,
                _ => LivenessContent.Whole,
            };
            if (content == LivenessContent.Same && !isPing)
                continue;

            long stamp = 0, heldTicks = 0;
            if (_signs.TryGetValue(server, out PeerSign? sign))
                (stamp, heldTicks) = sign.TakeStamp(context.Time);

            var frame = new LivenessFrame(content, context.Time.GetTimestamp(), stamp, heldTicks, context.LacksSpace, _own, peer.Control.Version >= PeerHandshake.ClockVersion ? clockMs : null)
            {
                LacksMemory = context.LacksMemory,
            };
            if (queue.Add(frame, out _, generation) != Queued.Yes)
                continue;

            peer.SaidGeneration = generation;
            peer.SaidVersion = _own.Version;
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

    private static readonly List<(GroupId Group, GroupStatus? Status)> Nothing = []; // never changed

    private static List<(GroupId Group, GroupStatus? Status)> ReadGroups(ref PayloadReader reader)
    {
        int count = reader.Items(LivenessFrame.MinGroupBytes);
        var groups = new List<(GroupId Group, GroupStatus? Status)>(count);
        for (int i = 0; i < count; i++)
            groups.Add(LivenessFrame.ReadGroup(ref reader));
        return groups;
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

        public long? ClockOf(ServerId server) =>
            exchange.SignOf(server) is { } sign && exchange.IsFresh(sign) && sign.ClockDifferenceMs is { } difference ? difference + exchange.NowMs() : null;

        public QuietWord? QuietWord(ServerId server, Term term)
        {
            if (exchange.SignOf(server) is not { } sign)
                return null;

            // The time first: a frame that comes in between makes the word newer than its time, and never older.
            long at = sign.LastFrame;
            return Find(server) is { IsLeader: true, QuietCommit: { } commit } status && status.Term == term && at != PeerSign.Never
                ? new QuietWord(commit, exchange.AgeOf(at))
                : null;
        }

        private GroupStatus? Find(ServerId server) =>
            exchange.SignOf(server) is { } sign && sign.Now is { IsGone: false } now && exchange.IsFresh(sign)
            && now.Groups.TryGetValue(group, out GroupStatus status)
                ? status
                : null;
    }

    private ServerId? Self => context.Identity?.Server;
}
