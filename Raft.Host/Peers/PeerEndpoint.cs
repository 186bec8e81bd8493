using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What the endpoint needs of the groups of this node.</summary>
internal interface IInboundEvents
{
    PeerRpc? FindGroup(ReadOnlySpan<byte> name);

    /// <summary>A stream was accepted, perhaps in place of an older one.</summary>
    void Accepted(InboundStream stream, string url, bool isReplacement);

    /// <summary>An accepted stream ended, and no newer one has its place.</summary>
    void Ended(InboundStream stream, string reason);

    /// <summary>A message of a server came to which we have no stream of our own.</summary>
    void Answerable(ServerId server, string url);
}

/// <summary>The inbound half: streams that peers open. Whatever comes, it ends at most its own connection.</summary>
internal sealed class PeerEndpoint(PeerContext context, InboundStreams streams, LivenessExchange liveness, PeerDirectory directory, IInboundEvents events)
{
    /// <summary>Calls of one stream that may wait for their answers here.</summary>
    private const int MaxOpenCalls = 65_536;

    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);

    public Task ServeAsync(HttpContext http, StreamKind stream) => new Session(this, http, stream).RunAsync();

    private sealed class Session(PeerEndpoint endpoint, HttpContext http, StreamKind stream)
    {
        private readonly PeerContext _context = endpoint.Context;
        private readonly Dictionary<PeerRpc, List<Message>> _received = [];
        private readonly string _remote = $"{http.Connection.RemoteIpAddress}:{http.Connection.RemotePort}";
        private int _openCalls;
        private TagList _tags;
        private NodeIdentity _caller = null!; // set by the handshake, before anything reads it
        private NodeIdentity _self = null!;   // likewise
        private string _url = "";
        private ushort _version;
        private uint _source;
        private uint _destination;

        public async Task RunAsync()
        {
            if (http.Request.Protocol != HttpProtocol.Http2)
            {
                http.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
                return;
            }

            // The body goes on for days, mostly in silence.
            if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
                size.MaxRequestBodySize = null;
            if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
                rate.MinDataRate = null;

            using var abort = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _context.Stopping.Token);
            var frames = new FrameReader(PeerHandshake.MaxFrameBytes);
            try
            {
                if (_context.Stopping.IsCancellationRequested)
                {
                    // As good as gone: who waits for our sign of life need not wait longer.
                    var goodbye = new Welcome(Refusal.Stopping, "This node stops.", PeerHandshake.MaxVersion, _context.Identity);
                    await AnswerAsync(writer => PeerHandshake.Write(writer, goodbye), http.RequestAborted);
                    return;
                }

                if (await HearHelloAsync(frames, abort.Token) is not { } hello || !await WelcomeAsync(hello, abort.Token))
                    return;

                await ServeAsync(new InboundStream(_caller, stream, abort), abort.Token);
            }
            catch (BadFrameException error)
            {
                Report(error);
            }
            catch (Exception error) when (IsEnd(error))
            {
                // gone before it was accepted
            }
        }

        private async Task<Hello?> HearHelloAsync(FrameReader frames, CancellationToken cancellation)
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timeout.CancelAfter(_context.Settings.ConnectTimeout * 2);
            PipeReader input = http.Request.BodyReader;
            while (true)
            {
                ReadResult result = await input.ReadAsync(timeout.Token);
                ReadOnlySequence<byte> buffer = result.Buffer;
                Hello? hello = frames.TryRead(ref buffer, out Frame frame) ? PeerHandshake.ReadHello(frame) : null;
                // What follows the hello stays in the pipe, unexamined, for the reader of frames.
                input.AdvanceTo(buffer.Start, hello is null ? buffer.End : buffer.Start);
                if (hello is not null || result.IsCompleted)
                    return hello;
            }
        }

        private async Task<bool> WelcomeAsync(Hello hello, CancellationToken cancellation)
        {
            NodeIdentity? self = _context.Identity;
            (Refusal reason, string text) = self is null
                ? (Refusal.Forming, "This node belongs to no cluster yet.")
                : hello.Stream != default && hello.Stream != stream
                    ? (Refusal.Malformed, "The hello is for another kind of stream.")
                    : PeerHandshake.Judge(hello, self, _context.Seen);

            ushort version = Math.Min(hello.MaxVersion, PeerHandshake.MaxVersion);
            await AnswerAsync(writer => PeerHandshake.Write(writer, new Welcome(reason, text, version, self)), cancellation);
            if (reason == Refusal.None)
            {
                _caller = hello.Caller;
                _self = self!; // not null: else it was refused
                _url = hello.Url;
                _version = version;
                _source = FrameAddress.HashOf(_caller.Server);
                _destination = FrameAddress.HashOf(_self.Server);
                _tags = PeerMetrics.Tags(_caller.Node.Value, stream);
                return true;
            }

            _context.Metrics.Refused(PeerMetrics.LabelOf(reason));
            string node = hello.Caller.Node.Value ?? "unknown";
            if (reason is not (Refusal.Forming or Refusal.Stopping) && _context.Repeats.IsNew($"refused-{reason}", node))
                _context.Logger.RefusedPeer(_remote, node, text);
            await LetThemHearAsync(cancellation);
            return false;
        }

        /// <summary>Ending a request that still sends resets its stream, and the reset may overtake our last words: the
        /// peer, having heard them, ends it. What it sends until then is thrown away.</summary>
        private async Task LetThemHearAsync(CancellationToken cancellation)
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timeout.CancelAfter(LastWords);
            PipeReader input = http.Request.BodyReader;
            try
            {
                while (true)
                {
                    ReadResult result = await input.ReadAsync(timeout.Token);
                    input.AdvanceTo(result.Buffer.End);
                    if (result.IsCompleted)
                        return;
                }
            }
            catch (Exception error) when (IsEnd(error))
            {
                // it has gone, or does not listen
            }
        }

        private async Task ServeAsync(InboundStream inbound, CancellationToken cancellation)
        {
            if (!endpoint.Streams.TryReplace(inbound, out bool isReplacement))
                return; // a later start of this server is here already

            string reason = "it was replaced or we stop";
            try
            {
                _context.Logger.Accepted(_caller.Server, stream, _caller.StartCount);
                endpoint.Events.Accepted(inbound, _url, isReplacement);
                reason = stream == StreamKind.Snapshot
                    ? await NewInbox().RunAsync(http.Request.BodyReader, cancellation)
                    : await ReadFramesAsync(cancellation);
            }
            catch (BadFrameException error)
            {
                reason = error.Message;
                Report(error);
                await AnswerAsync(writer => WriteGoodbye(writer, error.Message), cancellation);
                await LetThemHearAsync(cancellation);
            }
            catch (Exception error) when (error is IOException or ConnectionAbortedException or BadHttpRequestException or InvalidOperationException or ObjectDisposedException)
            {
                reason = error.Message;
            }
            catch (OperationCanceledException)
            {
                // as the reason says, or the connection broke
            }
            finally
            {
                _context.Logger.Ended(_caller.Server, stream, reason);
                if (endpoint.Streams.Remove(inbound))
                    endpoint.Events.Ended(inbound, reason);
            }
        }

        private SnapshotInbox NewInbox() => new(_context, _caller, _self, _tags, http.Response.BodyWriter, endpoint.Events);

        /// <summary>All frames of one read, then their messages, group by group.</summary>
        private async Task<string> ReadFramesAsync(CancellationToken cancellation)
        {
            PipeReader input = http.Request.BodyReader;
            var frames = new FrameReader(_context.Settings.MaxFrameBytes);
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
                        Take(frame);
                    }
                }
                finally
                {
                    // What was good before a bad frame came in good order: it is handed over.
                    Deliver();
                    input.AdvanceTo(buffer.Start, buffer.End);
                }

                _context.Metrics.Received(_tags, count, bytes);
                if (result.IsCompleted || result.IsCanceled)
                    return "the peer closed it";
            }
        }

        private void Take(in Frame frame)
        {
            switch (frame.Kind)
            {
                case FrameKind.Sequence when frame.Payload.Length == 8:
                    _context.Seen.Vouched(_caller.Storage, BinaryPrimitives.ReadInt64LittleEndian(frame.Payload.Span));
                    return;
                case FrameKind.Liveness:
                    endpoint.Liveness.Receive(_caller.Server, _caller.StartCount, _version, frame);
                    return;
                case < FrameKind.AppendRequest or > FrameKind.NoSuchGroup:
                    throw BadFrameException.Malformed($"{(byte)frame.Kind} is no kind of frame here");
            }

            if (frame.Source != _source)
                throw new BadFrameException(BadFrame.Foreign, $"a frame is not of {_caller.Server}, whose connection this is");
            if (frame.Destination != _destination)
                throw new BadFrameException(BadFrame.Foreign, $"a frame is not for {_self.Server}");

            PeerRpc? group = endpoint.Events.FindGroup(frame.Group);
            switch (frame.Kind)
            {
                case FrameKind.Call:
                    TakeCall(group, frame);
                    break;
                case FrameKind.CallReply:
                    (ulong id, LeaderReply? reply) = CallCodec.ReadReply(frame.Payload);
                    endpoint.Directory.Find(_caller.Server)?.Calls.Complete(id, reply);
                    break;
                case FrameKind.NoSuchGroup:
                    endpoint.Directory.Find(_caller.Server)?.Calls.Unheard(MessageCodec.ReadNoSuchGroup(frame.Payload), Encoding.UTF8.GetString(frame.Group));
                    break;
                default:
                    TakeMessage(group, frame);
                    break;
            }
        }

        private void TakeMessage(PeerRpc? group, in Frame frame)
        {
            // Entries are slices of their frame: it must outlive the read.
            Frame kept = frame.Kind == FrameKind.AppendRequest ? frame.Owned() : frame;
            Message message = MessageCodec.Read(kept.Kind, kept.Payload, _caller.Server, _self.Server, _caller.StartCount);
            if (group is null)
            {
                _context.Metrics.Dropped("unknown-group");
                return;
            }

            if (!_received.TryGetValue(group, out List<Message>? messages))
                _received.Add(group, messages = []);
            messages.Add(message);
        }

        private void TakeCall(PeerRpc? group, in Frame frame)
        {
            (ulong id, LeaderCall? call) = CallCodec.ReadCall(frame.Owned().Payload);
            endpoint.Events.Answerable(_caller.Server, _url);
            if (group is null)
                RefuseCall(frame.Group.ToArray(), id);
            else if (call is null)
                group.Answer(_caller.Server, id, new CallRefusedReply(CallRefusal.Stopped, $"The release of {_self.Node} does not know this call; nothing was done."));
            else
                _ = AnswerCallAsync(group, id, call);      // throws nothing
        }

        /// <summary>At once: else the caller would wait for its own time-out, and not know that nothing was done.</summary>
        private void RefuseCall(byte[] group, ulong id)
        {
            _context.Metrics.Dropped("unknown-group");
            SendQueue? queue = endpoint.Directory.Find(_caller.Server)?.Bulk.Queue;
            if (queue?.Add(new NoSuchGroupFrame(id, new FrameAddress(group, _destination, _source)), out _) == Queued.Yes)
                queue.Wake();
            else
                _context.Metrics.Dropped("reply");
        }

        private async Task AnswerCallAsync(PeerRpc group, ulong id, LeaderCall call)
        {
            if (Interlocked.Increment(ref _openCalls) <= MaxOpenCalls)
                await group.AnswerAsync(_caller.Server, id, call);
            else
                group.Answer(_caller.Server, id, new CallRefusedReply(CallRefusal.Overloaded, $"{MaxOpenCalls} calls wait here already."));
            Interlocked.Decrement(ref _openCalls);
        }

        private void Deliver()
        {
            if (_received.Count == 0)
                return;

            endpoint.Events.Answerable(_caller.Server, _url);
            foreach ((PeerRpc group, List<Message> messages) in _received)
                group.Receive(_caller.Server, messages);
            _received.Clear();
        }

        private async Task AnswerAsync(Action<FrameWriter> write, CancellationToken cancellation)
        {
            using var writer = new FrameWriter();
            write(writer);
            if (!http.Response.HasStarted)
                http.Response.ContentType = "application/octet-stream";
            await http.Response.BodyWriter.WriteAsync(writer.Written, cancellation);
        }

        private static void WriteGoodbye(FrameWriter writer, string text)
        {
            writer.Begin(FrameKind.Goodbye);
            writer.Text(text);
            writer.End();
        }

        private void Report(BadFrameException error)
        {
            _context.Metrics.BadFrame(PeerMetrics.LabelOf(error.Reason));
            string node = _caller?.Node.Value ?? "unknown";
            if (_context.Repeats.IsNew($"bad-frame-{error.Reason}", node))
                _context.Logger.BadFrame(node, _remote, stream, error.Reason, error.Message);
        }
    }

    /// <summary>What a stream ends with whose peer has gone.</summary>
    public static bool IsEnd(Exception error) => error is IOException or OperationCanceledException or ConnectionAbortedException
        or BadHttpRequestException or InvalidOperationException or ObjectDisposedException;

    private PeerContext Context => context;
    private InboundStreams Streams => streams;
    private LivenessExchange Liveness => liveness;
    private PeerDirectory Directory => directory;
    private IInboundEvents Events => events;
}
