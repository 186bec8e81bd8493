using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One outbound stream: connects, sends what its queue holds, connects again. For the peer's whole life.</summary>
/// <remarks>
/// A request whose body never ends, on a TCP connection of its own. 1. Connect, say hello, hear the welcome.
/// 2. Open the queue. 3. Write until either side ends it. 4. Close the queue and report what was lost. 5. Try again: at
/// once after a connection that had held (nobody listening means that the process is gone, and failover waits for that
/// news), else after a jittered, growing pause.
/// </remarks>
internal sealed class PeerLink(Peer peer, StreamKind stream, PeerContext context, IPeerEvents events)
{
    /// <summary>A connection that lived shorter has not earned an attempt without a pause.</summary>
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(1);

    // A sequence frame: its place in front of each control batch.
    private const int SequenceBytes = FrameWriter.LengthBytes + FrameWriter.HeaderBytes + 8;

    private readonly TagList _tags = PeerMetrics.Tags(peer.Server.Node.Value, stream);
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(context.Stopping.Token);
    private readonly Random _random = new();
    private volatile TaskCompletionSource _wake = NewWake();
    private volatile bool _isConnected;
    private volatile bool _isRefused;
    private volatile string? _lastError;
    private Task _loop = Task.CompletedTask;
    private bool _isReported;

    public StreamKind Stream => stream;

    public SendQueue Queue { get; } = new(
        context.Settings.MaxQueueBytes, context.Settings.MaxFrameBytes, headBytes: stream == StreamKind.Control ? SequenceBytes : 0);

    public bool IsConnected => _isConnected;

    /// <summary>At the last attempt nobody listened there.</summary>
    public bool IsRefused => _isRefused;

    public string? LastError => _lastError;

    public void Start(NodeIdentity self, Func<string> ownUrl) => _loop = Task.Run(() => RunAsync(self, ownUrl));

    public void ConnectNow() => _wake.TrySetResult();

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        Queue.Dispose();
    }

    private async Task RunAsync(NodeIdentity self, Func<string> ownUrl)
    {
        int failures = 0;
        while (!_stop.IsCancellationRequested)
        {
            long started = context.Time.GetTimestamp();
            bool wasUp = false;
            try
            {
                wasUp = peer.Url.Length > 0 && await ConnectAndServeAsync(self, ownUrl());
            }
            catch (Exception error)
            {
                context.Logger.LinkFailed(error, peer.Server, stream);
            }

            failures = wasUp && context.Time.GetElapsedTime(started) >= Held ? 0 : failures + 1;
            if (failures > 0)
                await PauseAsync(failures);
        }
    }

    private async Task PauseAsync(int failures)
    {
        PeerSettings settings = context.Settings;
        double ceiling = Math.Min(settings.MaxBackoff.TotalMilliseconds, settings.MinBackoff.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 10)));
        var pause = TimeSpan.FromMilliseconds(ceiling * (0.5 + (_random.NextDouble() / 2)));
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        await Task.WhenAny(_wake.Task, Task.Delay(pause, context.Time, cancel.Token));
        await cancel.CancelAsync();
        _wake = NewWake();
    }

    /// <summary>True when the stream was up.</summary>
    private async Task<bool> ConnectAndServeAsync(NodeIdentity self, string ownUrl)
    {
        string url = peer.Url;
        using SocketsHttpHandler handler = NewHandler(context.Settings);
        using var invoker = new HttpMessageInvoker(handler, disposeHandler: false);
        using var body = new DuplexBody();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        HttpResponseMessage? response = null;
        try
        {
            timeout.CancelAfter(context.Settings.ConnectTimeout * 2);
            using var request = new HttpRequestMessage(HttpMethod.Post, $"{url.TrimEnd('/')}/peer/v1/{PeerMetrics.LabelOf(stream)}")
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = body,
            };
            Task<HttpResponseMessage> answer = invoker.SendAsync(request, timeout.Token);
            Stream output = await FirstAsync(body.Output, answer);
            await SayHelloAsync(output, new Hello(PeerHandshake.MinVersion, PeerHandshake.MaxVersion, stream, self, peer.Server, ownUrl), timeout.Token);
            response = await answer;
            if (response.StatusCode != HttpStatusCode.OK)
                return Failed(url, $"it answers {(int)response.StatusCode}; is this the peer port?");

            PipeReader input = PipeReader.Create(await response.Content.ReadAsStreamAsync(timeout.Token));
            Welcome welcome = await HearWelcomeAsync(input, timeout.Token);
            (Refusal reason, string text) = PeerHandshake.Judge(welcome, peer.Server, self, context.Seen);
            if (reason != Refusal.None)
                return Refused(url, reason, text);

            timeout.CancelAfter(Timeout.InfiniteTimeSpan);
            await ServeAsync(output, input, url, timeout.Token);
            return true;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or BadFrameException
            or ObjectDisposedException or UriFormatException or ArgumentException or NotSupportedException or InvalidOperationException)
        {
            return Failed(url, error);
        }
        finally
        {
            body.End();
            response?.Dispose();
        }
    }

    private async Task ServeAsync(Stream output, PipeReader input, string url, CancellationToken cancellation)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _isRefused = false;
        _lastError = null;
        Queue.Open();
        _isConnected = true;
        context.Metrics.Connected(_tags);
        context.Logger.Connected(peer.Server, stream, url);
        if (_isReported)
            context.Logger.ReachedAgain(peer.Server, url);
        _isReported = false;
        events.LinkUp(peer, stream);

        Task<string> reading = WatchAsync(input, ended.Token);
        Task<string> writing = WriteAsync(output, ended.Token);
        string reason = await await Task.WhenAny(reading, writing);

        _isConnected = false;
        _lastError = reason;
        long leftUpTo = Queue.Close();
        context.Logger.Disconnected(peer.Server, stream, reason);
        events.LinkDown(peer, stream, leftUpTo, reason);
        await ended.CancelAsync();
        await Task.WhenAll(reading, writing);
    }

    /// <summary>Everything that waits leaves in one write; meanwhile the next batch gathers.</summary>
    private async Task<string> WriteAsync(Stream output, CancellationToken cancellation)
    {
        try
        {
            while (await Queue.WaitAsync())
            {
                FrameWriter? batch = Queue.Take();
                if (batch is null)
                    continue;

                try
                {
                    // Asked after the batch was taken: it covers every promise in it. Design 4.5
                    if (stream == StreamKind.Control)
                        WriteSequence(batch.Head, context.DurableSequence());
                    context.Metrics.Sent(_tags, batch.Frames, batch.Length);
                    await output.WriteAsync(batch.Written, cancellation);
                    await output.FlushAsync(cancellation);
                }
                finally
                {
                    Queue.Done(batch);
                }
            }

            return "closed";
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            return Explain(error);
        }
    }

    /// <summary>After the welcome the peer says nothing but goodbye.</summary>
    private static async Task<string> WatchAsync(PipeReader input, CancellationToken cancellation)
    {
        var frames = new FrameReader(PeerHandshake.MaxFrameBytes);
        try
        {
            while (true)
            {
                ReadResult result = await input.ReadAsync(cancellation);
                ReadOnlySequence<byte> buffer = result.Buffer;
                if (frames.TryRead(ref buffer, out Frame frame) && frame.Kind == FrameKind.Goodbye)
                    return $"the peer closed it: {new PayloadReader(frame.Payload).Text()}";

                input.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                    return "the peer closed it";
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or BadFrameException)
        {
            return Explain(error);
        }
    }

    private static async Task SayHelloAsync(Stream output, Hello hello, CancellationToken cancellation)
    {
        using var writer = new FrameWriter();
        PeerHandshake.Write(writer, hello);
        await output.WriteAsync(writer.Written, cancellation);
        await output.FlushAsync(cancellation);
    }

    private static async Task<Welcome> HearWelcomeAsync(PipeReader input, CancellationToken cancellation)
    {
        var frames = new FrameReader(PeerHandshake.MaxFrameBytes);
        while (true)
        {
            ReadResult result = await input.ReadAsync(cancellation);
            ReadOnlySequence<byte> buffer = result.Buffer;
            Welcome? welcome = frames.TryRead(ref buffer, out Frame frame) ? PeerHandshake.ReadWelcome(frame) : null;
            input.AdvanceTo(buffer.Start, buffer.End);
            if (welcome is not null)
                return welcome;
            if (result.IsCompleted)
                throw new IOException("The answer ended before the welcome.");
        }
    }

    private static async Task<Stream> FirstAsync(Task<Stream> output, Task<HttpResponseMessage> answer)
    {
        if (await Task.WhenAny(output, answer) == answer && !output.IsCompletedSuccessfully)
        {
            (await answer).Dispose(); // throws what went wrong with the connection
            throw new IOException("The peer answered without hearing us.");
        }

        return await output;
    }

    private static void WriteSequence(Span<byte> head, long sequence)
    {
        head.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(head, head.Length - FrameWriter.LengthBytes);
        head[4] = (byte)FrameKind.Sequence;
        BinaryPrimitives.WriteInt64LittleEndian(head[(FrameWriter.LengthBytes + FrameWriter.HeaderBytes)..], sequence);
    }

    private bool Refused(string url, Refusal reason, string text)
    {
        _isRefused = reason == Refusal.Stopping;
        _lastError = text;
        context.Metrics.Refused(PeerMetrics.LabelOf(reason));
        // A peer that forms, starts or stops is no fault.
        if (reason is not (Refusal.Forming or Refusal.Stopping) && context.Repeats.IsNew($"by-{reason}", peer.Server.ToString()))
            context.Logger.RefusedByPeer(peer.Server.ToString(), url, text);
        if (_isRefused)
            events.ConnectRefused(peer, stream);
        return false;
    }

    private bool Failed(string url, Exception error)
    {
        if (_stop.IsCancellationRequested)
            return false;

        _isRefused = IsConnectionRefused(error);
        Failed(url, Explain(error));
        if (_isRefused)
            events.ConnectRefused(peer, stream);
        return false;
    }

    private bool Failed(string url, string reason)
    {
        _lastError = reason;
        if (!_isReported && stream == StreamKind.Control)
            context.Logger.Unreachable(peer.Server, url, reason);
        _isReported = stream == StreamKind.Control;
        return false;
    }

    private static bool IsConnectionRefused(Exception? error)
    {
        for (; error is not null; error = error.InnerException)
        {
            if (error is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                return true;
        }

        return false;
    }

    private static string Explain(Exception error) => error switch
    {
        OperationCanceledException => "no answer in time",
        { InnerException: { } inner } => $"{error.Message} {inner.Message}",
        _ => error.Message,
    };

    private static TaskCompletionSource NewWake() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A handler is one TCP connection: it is made for each attempt and ends with it.</summary>
    private static SocketsHttpHandler NewHandler(PeerSettings settings) => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = settings.ConnectTimeout,
        PooledConnectionLifetime = Timeout.InfiniteTimeSpan,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        MaxConnectionsPerServer = 1,
        // A peer that vanished without a word is noticed even where nothing is sent.
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        KeepAlivePingDelay = TimeSpan.FromSeconds(10),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        // Our window is for the response: a welcome and a goodbye. It is the smallest that is allowed.
        InitialHttp2StreamWindowSize = 65_535,
    };

    /// <summary>A request body that stays open until it is told to end.</summary>
    private sealed class DuplexBody : HttpContent
    {
        private readonly TaskCompletionSource<Stream> _output = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<Stream> Output => _output.Task;

        public void End() => _end.TrySetResult();

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            _output.TrySetResult(stream);
            return _end.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
