using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>One group over all nodes: its network, what is known of its log, and the invariants that watch it.</summary>
internal sealed class SimulatedGroup
{
    private readonly SimulatedCluster _cluster;
    private readonly World _world;
    private readonly Links _links;
    private readonly IInvariant[] _invariants;
    private readonly Dictionary<ServerId, SimulatedServer> _running = [];

    public SimulatedGroup(SimulatedCluster cluster, GroupId id, Configuration first)
    {
        _cluster = cluster;
        _world = cluster.World;
        _links = cluster.Links;
        Id = id;
        First = first;
        Ledger = new GroupLedger();
        _invariants = Invariants.All(Ledger);
        Network = new SimulatedNetwork(_world)
        {
            IsLinkOpen = _links.IsOpen,
            LinkDelay = _links.Delay,
            Sent = OnSent,
            Delivered = OnDelivered,
            Accepts = cluster.Plan.HasOldDisks ? Accepts : null,
            Heard = OnHeard,
            ChunkAnswered = OnChunkAnswered,
            ReplyFilter = _ => _links.ReplyLoss == 0 || _world.Random.NextDouble() >= _links.ReplyLoss,
        };
        ApplyLinks();
    }

    public GroupId Id { get; }
    public Configuration First { get; }
    public SimulatedNetwork Network { get; }
    public GroupLedger Ledger { get; }

    /// <summary>Called with each message that arrives, before its receiver has read it.</summary>
    public Action<Message>? Delivered { get; set; }

    /// <summary>The links have changed.</summary>
    public void ApplyLinks()
    {
        Network.Loss = _links.Loss;
        Network.Doubling = _links.Doubling;
        Network.IsReordering = _links.IsReordering;
        Network.MaxDelay = _links.DelayMax;
    }

    public void ClocksChange()
    {
        foreach (IInvariant invariant in _invariants)
            (invariant as StampsAreConfirmed)?.OnClocks(_cluster);
    }

    public void Started(SimulatedServer server) => _running[server.Id] = server;

    public void Stopped(SimulatedServer server) => _running.Remove(server.Id);

    public void Violate(string invariant, string what) => _world.Violate($"{invariant}: group {Id}: {what}");

    public void OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        _world.Hash.Add(((long)now.Role << 32) | now.Term.Value, now.CommitIndex.Value);
        Ledger.OnStatus(server, before, now);
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnStatus(server, before, now));
    }

    public void OnPersisting(SimulatedServer server, PersistRequest request)
    {
        _world.Hash.Add(request.TermAndVote?.Term.Value ?? 0, request.Entries.Count);
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnPersisting(server, request));
    }

    public void OnDurable(SimulatedServer server, PersistRequest request)
    {
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnDurable(server, request));
    }

    public void OnApplied(SimulatedServer server, in CommittedCommand command)
    {
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnApplied(server, command));
    }

    public void OnState(SimulatedServer server, LogIndex index, UInt128 hash)
    {
        _world.Hash.Add(index.Value, (long)(ulong)hash);
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnState(server, index, hash));
    }

    /// <summary>A client was told that its write is committed as this entry.</summary>
    public void OnAcknowledged(SimulatedServer server, EntryId entry)
    {
        if (_cluster.Plan.IsAllForbidden)
            _world.Violate($"ForTests: {server} acknowledged {entry.Index}");
        server.Look(isLastWord: true);      // it may have stopped in the same moment
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnAcknowledged(server, entry));
    }

    private void OnSent(Message message)
    {
        if (!_running.TryGetValue(message.From, out SimulatedServer? sender))
            return;
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnSent(sender, message));
    }

    private bool Accepts(ServerId from, long start, ServerId to)
    {
        SimulatedNode caller = _cluster.NodeOf(from);
        // What is still under way from a process that has ended was accepted when its connection was.
        return caller.Server != from || caller.StartCount != start || _cluster.NodeOf(to).Memory.Accepts(caller, start);
    }

    /// <summary>Whatever comes vouches for all that its sender's disk holds.</summary>
    private void OnHeard(ServerId from, long start, ServerId to)
    {
        if (_cluster.NodeOf(from) is var sender && sender.Server == from && sender.StartCount == start)
            _cluster.NodeOf(to).Memory.Vouched(sender);
    }

    private void OnDelivered(Message message)
    {
        _world.Hash.Add((Links.NumberOf(message.From) << 8) | Links.NumberOf(message.To), message.Term.Value);
        if (_world.Tracing != Tracing.None)
            _world.Trace($"{message.To.Node} {Id} hears {message}");
        Delivered?.Invoke(message);
    }

    private void OnChunkAnswered(ServerId from, SnapshotChunk chunk, SnapshotReply reply)
    {
        if (!_running.TryGetValue(from, out SimulatedServer? sender))
            return;
        foreach (IInvariant invariant in _invariants)
            Report(invariant, invariant.OnChunkAnswered(sender, chunk, reply));
    }

    private void Report(IInvariant invariant, string? violation)
    {
        if (violation is not null)
            Violate(invariant.GetType().Name, violation);
    }
}
