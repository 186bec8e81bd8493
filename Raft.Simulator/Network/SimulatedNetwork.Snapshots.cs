using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

// Chunks of snapshots: on a way of their own, so that they neither delay messages nor wait for them.
internal sealed partial class SimulatedNetwork
{
    private readonly Dictionary<Transfer, long> _transfers = [];

    /// <summary>One snapshot on its way from one server to another. The id is the sender's.</summary>
    internal readonly record struct Transfer(ServerId From, ServerId To, string SnapshotId);

    /// <summary>Bytes of content that were sent, repeated and lost ones included.</summary>
    public IReadOnlyDictionary<Transfer, long> Transfers => _transfers;

    /// <summary>Called with the receiver and each chunk that is sent; false loses it, and its sender waits for
    /// <see cref="CallTimeout"/>.</summary>
    public Func<ServerId, SnapshotChunk, bool>? ChunkFilter { get; set; }

    /// <summary>How much longer a chunk takes.</summary>
    public Func<ServerId, SnapshotChunk, TimeSpan>? ChunkDelay { get; set; }

    /// <summary>Called with each answer to a chunk; false loses it: the chunk arrived, and its sender will not know.</summary>
    public Func<SnapshotChunk, SnapshotReply, bool>? ChunkReplyFilter { get; set; }

    /// <summary>How much longer the answer to a chunk takes.</summary>
    public Func<SnapshotChunk, SnapshotReply, TimeSpan>? ChunkReplyDelay { get; set; }

    /// <summary>All bytes of content that were sent to this server.</summary>
    public long SnapshotBytesTo(ServerId server) => _transfers.Where(transfer => transfer.Key.To == server).Sum(transfer => transfer.Value);

    internal sealed partial class Endpoint
    {
        public Task<SnapshotReply> SendSnapshotAsync(ServerId to, SnapshotChunk chunk, CancellationToken cancellation) => AskAsync<SnapshotReply>(
            to,
            (target, reply) => Send(target, chunk, reply),
            cancellation);

        private void Send(Endpoint target, SnapshotChunk chunk, Waiting<SnapshotReply> reply)
        {
            var transfer = new Transfer(Server, target.Server, chunk.Snapshot.SnapshotId);
            network._transfers[transfer] = network._transfers.GetValueOrDefault(transfer) + chunk.Bytes.Length;
            if (network.IsLost() || network.ChunkFilter?.Invoke(target.Server, chunk) == false)
                return;

            Deliver(target, chunk, reply);
            if (network.Doubling > 0 && network.Random.NextDouble() < network.Doubling)
                Deliver(target, chunk, reply);
        }

        private void Deliver(Endpoint target, SnapshotChunk chunk, Waiting<SnapshotReply> reply)
        {
            // A copy: the sender may use its buffer again once the call has ended, also when the chunk is still under way.
            byte[] bytes = chunk.Bytes.ToArray();
            TimeSpan extra = network.ChunkDelay?.Invoke(target.Server, chunk) ?? TimeSpan.Zero;
            network.Schedule(network.Delay() + extra, () => target.Hear(this, chunk with { Bytes = bytes, SenderStart = StartCount }, bytes, reply));
        }

        private void Hear(Endpoint from, SnapshotChunk chunk, byte[] bytes, Waiting<SnapshotReply> reply)
        {
            if (IsGone)
                reply.TrySetException(new TransportException("The connection ended."));
            else if (network.IsOpen(from.Server, Server) && network.IsAccepted(from, this))
                _ = AnswerAsync(from, Handler?.ReceiveSnapshotAsync(from.Server, chunk), chunk, bytes, reply);
        }

        /// <param name="from">Who sends.</param>
        /// <param name="answer">Null when the group does not run here.</param>
        /// <param name="chunk">The chunk.</param>
        /// <param name="bytes">Its bytes, which are ours.</param>
        /// <param name="reply">Where its sender waits.</param>
        private async Task AnswerAsync(Endpoint from, Task<SnapshotReply>? answer, SnapshotChunk chunk, byte[] bytes, Waiting<SnapshotReply> reply)
        {
            SnapshotReply? value = answer is null ? null : await answer;
            // They were borrowed: whoever still reads them reads garbage, as from a buffer that is used again.
            bytes.AsSpan().Fill(0xDD);
            if (value is not null)
                network.ChunkAnswered?.Invoke(Server, chunk, value);
            if (value is not null && (network.IsLost() || network.ChunkReplyFilter?.Invoke(chunk, value) == false))
                return;
            TimeSpan extra = value is null ? TimeSpan.Zero : network.ChunkReplyDelay?.Invoke(chunk, value) ?? TimeSpan.Zero;
            network.Schedule(network.Delay() + extra, () =>
            {
                if (IsGone || from.IsGone || !network.IsOpen(Server, from.Server))
                    return;
                if (value is not null)
                    reply.TrySetResult(value);
                else
                    reply.TrySetException(new DestinationNotAliveException(Server, "The group does not run there; nothing was done."));
            });
        }
    }
}
