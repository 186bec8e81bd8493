using System.Collections.Concurrent;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One stream that a peer has opened to us.</summary>
internal sealed class InboundStream(NodeIdentity caller, StreamKind stream, CancellationTokenSource abort)
{
    public NodeIdentity Caller => caller;
    public StreamKind Stream => stream;

    /// <summary>Ends it from outside.</summary>
    public void Abort()
    {
        try
        {
            abort.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself at this very moment.
        }
    }
}

/// <summary>The streams that peers have opened to us: at most one of a kind from each server. Thread-safe.</summary>
internal sealed class InboundStreams
{
    private static readonly StreamKind[] Kinds = Enum.GetValues<StreamKind>();

    private readonly ConcurrentDictionary<(ServerId, StreamKind), InboundStream> _streams = new();

    // Taking a place looks at all streams of a server; the rest needs no lock.
    private readonly Lock _gate = new();

    public bool IsOpen(ServerId server, StreamKind stream) => _streams.ContainsKey((server, stream));

    /// <summary>Whether any stream of this server is open.</summary>
    public bool IsOpen(ServerId server)
    {
        foreach (StreamKind kind in Kinds)
        {
            if (IsOpen(server, kind))
                return true;
        }

        return false;
    }

    /// <summary>Takes the place of an older connection, which ends; so do the other streams of an earlier start: they speak
    /// for a process that is no more, or for a copy that must not count. False when a later start is here already.</summary>
    public bool TryReplace(InboundStream stream, out bool isReplacement)
    {
        ServerId server = stream.Caller.Server;
        List<InboundStream> ended = [];
        lock (_gate)
        {
            isReplacement = false;
            foreach (StreamKind kind in Kinds)
            {
                if (!_streams.TryGetValue((server, kind), out InboundStream? other))
                    continue;
                if (other.Caller.StartCount > stream.Caller.StartCount)
                    return false;

                isReplacement |= kind == stream.Stream;
                if (kind == stream.Stream || other.Caller.StartCount < stream.Caller.StartCount)
                    ended.Add(other);
            }

            _streams[(server, stream.Stream)] = stream;
        }

        foreach (InboundStream old in ended)
            old.Abort();
        return true;
    }

    /// <summary>False when a newer one has its place.</summary>
    public bool Remove(InboundStream stream) =>
        _streams.TryRemove(new KeyValuePair<(ServerId, StreamKind), InboundStream>((stream.Caller.Server, stream.Stream), stream));

    public void AbortAll()
    {
        foreach (InboundStream stream in _streams.Values)
            stream.Abort();
    }
}
