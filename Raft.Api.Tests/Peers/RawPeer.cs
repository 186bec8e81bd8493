using System.IO.Pipelines;
using System.Net;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>A peer that says on its stream whatever a test wants.</summary>
internal sealed class RawPeer : HttpContent
{
    private readonly SocketsHttpHandler _handler = new() { UseProxy = false };
    private readonly TaskCompletionSource<Stream> _output = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly FrameReader _frames = new(1 << 20);
    private HttpResponseMessage? _response;
    private PipeReader? _input;

    /// <summary>Opens a stream with these first bytes.</summary>
    public static async Task<RawPeer> OpenAsync(PeerNode node, StreamKind stream, ReadOnlyMemory<byte> first)
    {
        var peer = new RawPeer();
        var request = new HttpRequestMessage(HttpMethod.Post, $"{node.Url}/peer/v1/{PeerMetrics.LabelOf(stream)}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = peer,
        };
        using var invoker = new HttpMessageInvoker(peer._handler, disposeHandler: false);
        Task<HttpResponseMessage> answer = invoker.SendAsync(request, default);
        await peer.WriteAsync(first);
        peer._response = await answer;
        peer._input = PipeReader.Create(await peer._response.Content.ReadAsStreamAsync());
        return peer;
    }

    /// <summary>Opens a stream with a proper handshake. The caller is not listening anywhere.</summary>
    public static async Task<(RawPeer Peer, Welcome? Welcome)> GreetAsync(PeerNode node, NodeIdentity caller, ServerId expected, StreamKind stream = StreamKind.Control)
    {
        using var writer = new FrameWriter();
        PeerHandshake.Write(writer, new Hello(PeerHandshake.MinVersion, PeerHandshake.MaxVersion, stream, caller, expected, ""));
        RawPeer peer = await OpenAsync(node, stream, writer.Written);
        return (peer, await peer.NextAsync() is { } frame ? PeerHandshake.ReadWelcome(frame) : null);
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        Stream output = await _output.Task;
        await output.WriteAsync(bytes);
        await output.FlushAsync();
    }

    public async Task WriteAsync(Action<FrameWriter> write)
    {
        using var writer = new FrameWriter();
        write(writer);
        await WriteAsync(writer.Written);
    }

    /// <summary>The next frame of the answer; null when it has ended.</summary>
    public async Task<Frame?> NextAsync()
    {
        try
        {
            while (true)
            {
                ReadResult result = await _input!.ReadAsync(); // not null: set when it was opened
                var buffer = result.Buffer;
                bool isWhole = _frames.TryRead(ref buffer, out Frame frame);
                if (isWhole)
                    frame = frame.Owned();
                _input.AdvanceTo(buffer.Start, isWhole ? buffer.Start : buffer.End);
                if (isWhole)
                    return frame;
                if (result.IsCompleted)
                    return null;
            }
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            return null;
        }
    }

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

    protected override void Dispose(bool disposing)
    {
        _end.TrySetResult();
        _response?.Dispose();
        _handler.Dispose();
        base.Dispose(disposing);
    }
}
