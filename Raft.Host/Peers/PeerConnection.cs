using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>A stream to a peer as the handshake left it: a request whose body never ends, on a TCP connection of its own.</summary>
internal sealed class PeerConnection : IDisposable
{
    private readonly SocketsHttpHandler _handler;
    private readonly DuplexBody _body = new();
    private readonly CancellationTokenSource _timeout;
    private HttpResponseMessage? _response;

    private PeerConnection(PeerContext context, CancellationToken stop)
    {
        _handler = NewHandler(context.Settings);
        _timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
    }

    /// <summary>None: it is up.</summary>
    public Refusal Refusal { get; private set; }

    /// <summary>With a refusal: it is theirs of us, and not ours of them.</summary>
    public bool IsByPeer { get; private set; }

    /// <summary>With a refusal: why.</summary>
    public string Text { get; private set; } = "";

    /// <summary>What both speak.</summary>
    public ushort Version { get; private set; }

    public Stream Output { get; private set; } = Stream.Null;

    public PipeReader Input { get; private set; } = null!; // set by Open, before anybody has the object

    /// <summary>Connects, says hello, hears the welcome.</summary>
    /// <exception cref="Exception">It could not be reached: see <see cref="IsFailure"/>.</exception>
    public static async Task<PeerConnection> OpenAsync(
        string url, ServerId server, StreamKind stream, PeerContext context, NodeIdentity self, string ownUrl, CancellationToken stop)
    {
        var connection = new PeerConnection(context, stop);
        try
        {
            await connection.GreetAsync(url, server, stream, context, self, ownUrl);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>What a connection fails with.</summary>
    public static bool IsFailure(Exception error) => error is HttpRequestException or IOException or OperationCanceledException or BadFrameException
        or ObjectDisposedException or UriFormatException or ArgumentException or NotSupportedException or InvalidOperationException;

    public static string Explain(Exception error) => error switch
    {
        OperationCanceledException => "no answer in time",
        { InnerException: { } inner } => $"{error.Message} {inner.Message}",
        _ => error.Message,
    };

    public void Dispose()
    {
        _body.End();
        _response?.Dispose();
        _body.Dispose();
        _handler.Dispose();
        _timeout.Dispose();
    }

    private async Task GreetAsync(string url, ServerId server, StreamKind stream, PeerContext context, NodeIdentity self, string ownUrl)
    {
        _timeout.CancelAfter(context.Settings.ConnectTimeout * 2);
        using var invoker = new HttpMessageInvoker(_handler, disposeHandler: false);
        var request = new HttpRequestMessage(HttpMethod.Post, $"{url.TrimEnd('/')}/peer/v1/{PeerMetrics.LabelOf(stream)}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = _body,
        };
        Task<HttpResponseMessage> answer = invoker.SendAsync(request, _timeout.Token);
        Output = await FirstAsync(_body.Output, answer);
        await SayHelloAsync(Output, new Hello(PeerHandshake.MinVersion, PeerHandshake.MaxVersion, stream, self, server, ownUrl), _timeout.Token);
        _response = await answer;
        if (_response.StatusCode != HttpStatusCode.OK)
            throw new IOException($"It answers {(int)_response.StatusCode}; is this the peer port?");

        Input = PipeReader.Create(await _response.Content.ReadAsStreamAsync(_timeout.Token));
        Welcome welcome = await HearWelcomeAsync(Input, _timeout.Token);
        IsByPeer = welcome.Reason != Refusal.None;
        Version = welcome.Version;
        (Refusal, Text) = PeerHandshake.Judge(welcome, server, self, context.Seen);
        _timeout.CancelAfter(Timeout.InfiniteTimeSpan);
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
            // What follows the welcome stays unexamined for the next reader.
            input.AdvanceTo(buffer.Start, welcome is null ? buffer.End : buffer.Start);
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
        // Our window is for the response: a welcome, answers to chunks, a goodbye. It is the smallest that is allowed.
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
