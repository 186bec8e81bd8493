using System.Collections.Concurrent;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Api.Tests.Peers;

/// <summary>Keeps what a transport tells.</summary>
internal sealed class RecordingPeerHandler : IRaftRpcHandler
{
    private readonly ConcurrentQueue<Message> _received = new();
    private int _unreachable;
    private int _chunks;
    private int _livenessChanges;

    public IReadOnlyCollection<Message> Received => _received;
    public int UnreachableCount => _unreachable;
    public int Chunks => _chunks;

    /// <summary>How chunks of snapshots are answered.</summary>
    public Func<ServerId, SnapshotChunk, Task<SnapshotReply>> AnswerChunk { get; set; } = Refuse;

    public int LivenessChanges => _livenessChanges;

    public void Receive(IReadOnlyList<Message> messages)
    {
        foreach (Message message in messages)
            _received.Enqueue(message);
    }

    public Task<SnapshotReply> ReceiveSnapshotAsync(ServerId from, SnapshotChunk chunk)
    {
        Interlocked.Increment(ref _chunks);
        return AnswerChunk(from, chunk);
    }

    public static Task<SnapshotReply> Refuse(ServerId from, SnapshotChunk chunk) =>
        Task.FromResult(new SnapshotReply(chunk.Term, SnapshotStatus.Refused, NextOffset: 0, LogIndex.Zero));

    public Task<LeaderReply> ReceiveCallAsync(ServerId from, LeaderCall call) =>
        Task.FromResult<LeaderReply>(new NotLeaderReply(null, Term.Zero));

    public void Unreachable(ServerId server) => Interlocked.Increment(ref _unreachable);

    public void LivenessChanged() => Interlocked.Increment(ref _livenessChanges);
}
