using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What each disk has said of itself so far, by storage id. In memory only: a restart of ours forgets it. Thread-safe.</summary>
internal sealed class SeenServers
{
    // Only servers of our cluster uid get here; a bound all the same.
    private const int MaxServers = 10_000;

    private static readonly (Refusal, string) Accepted = (Refusal.None, "");
    private readonly Lock _gate = new();
    private readonly Dictionary<StorageId, Seen> _servers = [];

    /// <summary>Accepts and remembers, or refuses. Design 4.5.</summary>
    public (Refusal Reason, string Text) Judge(NodeIdentity caller)
    {
        lock (_gate)
        {
            if (!_servers.TryGetValue(caller.Storage, out Seen? seen))
            {
                if (_servers.Count < MaxServers)
                    _servers.Add(caller.Storage, new Seen(caller));
                return Accepted;
            }

            NodeIdentity last = seen.Identity;
            if (caller.StartCount < last.StartCount)
            {
                return (Refusal.LowerStart,
                    $"{caller.Node} says start {caller.StartCount} of storage {caller.Storage}; start {last.StartCount} was here already. It runs on an old copy of its disk: stop it, move the directory aside, and have it join again.");
            }

            if (caller.StartCount == last.StartCount)
            {
                return caller.StartNonce == last.StartNonce
                    ? Accepted
                    : (Refusal.Twin,
                        $"Two processes run on storage {caller.Storage} in start {caller.StartCount} ({last.Node} and {caller.Node}): one directory is a copy. Stop one, move its directory aside, and have it join again.");
            }

            // A start adds a record of its own: an old copy must not catch up by being started again and again.
            long starts = caller.StartCount - last.StartCount;
            if (caller.OpeningSequence - starts < seen.Sequence)
            {
                return (Refusal.OldDisk,
                    $"{caller.Node} opened storage {caller.Storage} at sequence {caller.OpeningSequence}, {starts} starts after the one that had vouched for {seen.Sequence}. An old disk was put back: stop it, move the directory aside, and have it join again.");
            }

            seen.Identity = caller;
            return Accepted;
        }
    }

    /// <summary>The disk vouches for everything up to here.</summary>
    public void Vouched(StorageId storage, long sequence)
    {
        lock (_gate)
        {
            if (_servers.TryGetValue(storage, out Seen? seen))
                seen.Sequence = Math.Max(seen.Sequence, sequence);
        }
    }

    public NodeIdentity? Find(StorageId storage)
    {
        lock (_gate)
            return _servers.GetValueOrDefault(storage)?.Identity;
    }

    private sealed class Seen(NodeIdentity identity)
    {
        public NodeIdentity Identity { get; set; } = identity;

        public long Sequence { get; set; } = identity.OpeningSequence;
    }
}
