using System.Collections.Concurrent;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>The receiving end of a network under test: keeps all it hears.</summary>
internal sealed class RecordingHandler : IRaftRpcHandler
{
    private readonly ConcurrentQueue<Message> _received = new();
    private readonly ConcurrentDictionary<ServerId, int> _unreachable = new();
    private int _calls;
    private int _chunks;

    public IReadOnlyCollection<Message> Received => _received;

    public int Calls => _calls;

    public int Chunks => _chunks;

    /// <summary>How calls are answered.</summary>
    public Func<ServerId, LeaderCall, Task<LeaderReply>> Answer { get; set; } =
        (_, _) => Task.FromResult<LeaderReply>(new NotLeaderReply(null, Term.Zero));

    /// <summary>How chunks of snapshots are answered.</summary>
    public Func<ServerId, SnapshotChunk, Task<SnapshotReply>> AnswerChunk { get; set; } =
        (_, chunk) => Task.FromResult(new SnapshotReply(chunk.Term, SnapshotStatus.Refused, NextOffset: 0, LogIndex.Zero));

    public bool WasToldUnreachable(ServerId server) => _unreachable.ContainsKey(server);

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

    public Task<LeaderReply> ReceiveCallAsync(ServerId from, LeaderCall call)
    {
        Interlocked.Increment(ref _calls);
        return Answer(from, call);
    }

    public void Unreachable(ServerId server) => _unreachable[server] = 1;

    public void LivenessChanged()
    {
    }

    /// <summary>Repeats <paramref name="action"/>, because a network may lose what it is given, until the condition holds.</summary>
    public static async Task RepeatUntilAsync(Action action, Func<bool> condition, string what)
    {
        long end = Environment.TickCount64 + (long)Samples.Bound.TotalMilliseconds;
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < end, $"Waited {Samples.Bound.TotalSeconds} s for: {what}.");
            action();
            for (int n = 0; n < 20 && !condition(); n++)
                await Task.Delay(10);
        }
    }
}
