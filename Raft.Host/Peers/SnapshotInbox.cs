using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>The receiving half of a snapshot stream: chunks go to their groups, answers into the response.</summary>
/// <remarks>
/// A group that is slow (the last chunk's answer waits until the state machine has loaded the snapshot) does not hold up
/// the others; what all of them hold is bounded by the size of the largest frame allowed, and above it nothing is read.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "Handlers still answer after the end; without a wait handle there is nothing to release.")]
internal sealed class SnapshotInbox(
    PeerContext context, NodeIdentity caller, NodeIdentity self, TagList tags, PipeWriter output, IInboundEvents events)
{
    /// <summary>The room for chunks is divided into so many parts; a chunk takes as many as it has bytes for.</summary>
    private const int Parts = 16;

    private readonly uint _source = FrameAddress.HashOf(caller.Server);
    private readonly uint _destination = FrameAddress.HashOf(self.Server);
    private readonly int _partBytes = (context.Settings.MaxFrameBytes / Parts) + 1;
    private readonly SemaphoreSlim _room = new(Parts);
    private readonly SemaphoreSlim _writing = new(1);
    private bool _hasEnded;

    /// <summary>Until the peer closes it.</summary>
    public async Task<string> RunAsync(PipeReader input, CancellationToken cancellation)
    {
        var frames = new FrameReader(context.Settings.MaxFrameBytes, isRenting: true);
        try
        {
            while (true)
            {
                ReadResult result = await input.ReadAsync(cancellation);
                ReadOnlySequence<byte> buffer = result.Buffer;
                long bytes = buffer.Length;
                int count = 0;
                try
                {
                    while (frames.TryRead(ref buffer, out Frame frame))
                    {
                        count++;
                        await TakeAsync(frame, cancellation);
                    }
                }
                finally
                {
                    input.AdvanceTo(buffer.Start, buffer.End);
                }

                context.Metrics.Received(tags, count, bytes);
                if (result.IsCompleted || result.IsCanceled)
                    return "the peer closed it";
            }
        }
        finally
        {
            frames.Abandon();
            // The response is not ours any more once this returns.
            await _writing.WaitAsync(CancellationToken.None);
            _hasEnded = true;
            _writing.Release();
        }
    }

    private async Task TakeAsync(Frame frame, CancellationToken cancellation)
    {
        int parts = 0;
        try
        {
            (ulong id, SnapshotChunk chunk) = Read(frame);
            PeerRpc? group = events.FindGroup(frame.Group);
            var address = new FrameAddress(frame.Group.ToArray(), _destination, _source);
            for (int wanted = Math.Min(Parts, 1 + (frame.Bytes.Length / _partBytes)); parts < wanted; parts++)
                await _room.WaitAsync(cancellation);

            _ = AnswerAsync(group, address, id, chunk, frame, parts, cancellation); // throws nothing
        }
        catch
        {
            frame.Return();
            if (parts > 0)
                _room.Release(parts);
            throw;
        }
    }

    private (ulong Id, SnapshotChunk Chunk) Read(in Frame frame)
    {
        if (frame.Kind != FrameKind.SnapshotChunk)
            throw BadFrameException.Malformed($"{(byte)frame.Kind} is no kind of frame on a snapshot stream");
        if (frame.Source != _source)
            throw new BadFrameException(BadFrame.Foreign, $"a frame is not of {caller.Server}, whose connection this is");
        if (frame.Destination != _destination)
            throw new BadFrameException(BadFrame.Foreign, $"a frame is not for {self.Server}");

        return SnapshotCodec.ReadChunk(frame.Payload, caller.StartCount);
    }

    private async Task AnswerAsync(
        PeerRpc? group, FrameAddress address, ulong id, SnapshotChunk chunk, Frame frame, int parts, CancellationToken cancellation)
    {
        bool isHeard = false;
        SnapshotReply? reply = null;
        if (group is not null)
            (isHeard, reply) = await group.HearSnapshotAsync(caller.Server, chunk);
        else
            context.Metrics.Dropped("unknown-group");

        frame.Return(); // the bytes were borrowed until now
        _room.Release(parts);
        using var writer = new FrameWriter();
        if (isHeard)
            SnapshotCodec.WriteReply(writer, address, id, reply);
        else
            MessageCodec.WriteNoSuchGroup(writer, address, id);
        await WriteAsync(writer.Written, cancellation);
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellation)
    {
        await _writing.WaitAsync(CancellationToken.None);
        try
        {
            if (!_hasEnded)
                await output.WriteAsync(frame, cancellation);
        }
        catch (Exception error) when (PeerEndpoint.IsEnd(error))
        {
            // The sender has gone: it hears of that from the stream's end.
        }
        finally
        {
            _writing.Release();
        }
    }
}
