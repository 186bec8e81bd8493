using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

// Calls of clients and operators: they end with the process, or when the caller's patience does.
internal sealed partial class SimulatedNode
{
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(500);

    private abstract class NodeCall
    {
        public abstract void Fail(Exception error);
    }

    private sealed class NodeCall<T> : NodeCall
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<T> Task => _done.Task;

        public override void Fail(Exception error) => _done.TrySetException(error);

        public async System.Threading.Tasks.Task FollowAsync(Task<T> call)
        {
            try
            {
                _done.TrySetResult(await call);
            }
            catch (Exception error)
            {
                _done.TrySetException(error);
            }
        }
    }

    /// <summary>Calls a server of this node, as a client of its process does.</summary>
    /// <exception cref="NodeDownException">The process is not there, or ended before it answered.</exception>
    /// <exception cref="NoAnswerException">It did not answer, though it was told until when the caller waits.</exception>
    public async Task<T> CallAsync<T>(SimulatedGroup group, TimeSpan patience, Func<SimulatedServer, CancellationToken, Task<T>> ask)
    {
        if (!IsUp || Find(group) is not { } server)
            throw new NodeDownException(Id);

        using var timeout = new CancellationTokenSource();
        bool hasEnded = false;
        var call = new NodeCall<T>();
        _calls.Add(call);
        World.Schedule(patience, () =>
        {
            if (!hasEnded)
                timeout.Cancel();
        });
        World.Schedule(patience + Grace, () => call.Fail(new NoAnswerException(Id)));
        _ = call.FollowAsync(ask(server, timeout.Token));
        try
        {
            return await call.Task;
        }
        finally
        {
            hasEnded = true;
            _calls.Remove(call);
        }
    }
}

/// <summary>The process ended, or never was: what was asked may have happened.</summary>
internal sealed class NodeDownException(NodeId node) : Exception($"{node} is down.");

/// <summary>The caller hung up.</summary>
internal sealed class NoAnswerException(NodeId node) : Exception($"{node} did not answer.");
