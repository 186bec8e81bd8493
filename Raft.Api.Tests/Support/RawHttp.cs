using System.Net.Sockets;
using System.Text;

namespace Raft.Api.Tests.Support;

/// <summary>HTTP/1.1 by hand: for requests that no decent client sends.</summary>
internal sealed class RawHttp : IDisposable
{
    private readonly TcpClient _client = new();
    private NetworkStream? _stream;

    public static async Task<RawHttp> ConnectAsync(int port)
    {
        var raw = new RawHttp();
        await raw._client.ConnectAsync("127.0.0.1", port);
        raw._stream = raw._client.GetStream();
        return raw;
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes) => await _stream!.WriteAsync(bytes);

    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>The status line and headers of the answer; empty when the connection ends before.</summary>
    public async Task<string> ReadHeadAsync()
    {
        using var bound = new CancellationTokenSource(Wait.Bound);
        var text = new StringBuilder();
        byte[] one = new byte[1];
        while (text.Length < 100_000)
        {
            int count;
            try
            {
                count = await _stream!.ReadAsync(one, bound.Token);
            }
            catch (IOException)
            {
                break; // reset
            }

            if (count == 0)
                break;
            text.Append((char)one[0]);
            if (text.Length >= 4 && text[^1] == '\n' && text[^2] == '\r' && text[^3] == '\n')
                break;
        }

        return text.ToString();
    }

    /// <summary>What comes until the connection ends.</summary>
    public async Task<string> ReadToEndAsync()
    {
        using var bound = new CancellationTokenSource(Wait.Bound);
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        try
        {
            for (int count; (count = await _stream!.ReadAsync(buffer, bound.Token)) > 0;)
                text.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
        catch (IOException)
        {
            // Reset: what came before is all there is.
        }

        return text.ToString();
    }

    /// <summary>Whether the other side has ended the connection, or does within the bound.</summary>
    public async Task<bool> EndsAsync()
    {
        using var bound = new CancellationTokenSource(Wait.Bound);
        byte[] buffer = new byte[4096];
        try
        {
            while (await _stream!.ReadAsync(buffer, bound.Token) > 0)
            {
            }

            return true;
        }
        catch (IOException)
        {
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>One whole request without a body; status line and headers of its answer.</summary>
    public static async Task<string> AskAsync(int port, string method, string target, string headers = "")
    {
        using RawHttp raw = await ConnectAsync(port);
        await raw.WriteAsync($"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n");
        return await raw.ReadHeadAsync();
    }

    public static int StatusOf(string head) =>
        head.StartsWith("HTTP/1.1 ", StringComparison.Ordinal) ? int.Parse(head.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture) : 0;

    public void Dispose() => _client.Dispose();
}
