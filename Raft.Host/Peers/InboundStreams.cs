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
    private readonly ConcurrentDictionary<(ServerId, StreamKind), InboundStream> _streams = new();

    public bool IsOpen(ServerId server, StreamKind stream) => _streams.ContainsKey((server, stream));

    /// <summary>Takes the place of an older connection, which ends. Returns that one.</summary>
    public InboundStream? Replace(InboundStream stream)
    {
        InboundStream? old = null;
        _streams.AddOrUpdate(
            (stream.Caller.Server, stream.Stream),
            static (_, added) => added,
            (_, before, added) =>
            {
                old = before;
                return added;
            },
            stream);
        old?.Abort();

        // The other stream of an earlier start speaks for a process that is no more.
        StreamKind other = stream.Stream == StreamKind.Control ? StreamKind.Bulk : StreamKind.Control;
        if (_streams.TryGetValue((stream.Caller.Server, other), out InboundStream? sibling) && sibling.Caller.StartCount < stream.Caller.StartCount)
            sibling.Abort();

        return old;
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
