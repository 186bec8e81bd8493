using System.Net;
using System.Text;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Faults;

[Collection(ProcessCollection.Name)]
public sealed class PeerPortTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Garbage_on_the_peer_port_ends_its_connection_and_hurts_nobody()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        NodeProcess leader = await cluster.LeaderAsync();
        long term = (await leader.StatusAsync()).Term;
        byte[][] garbage =
        [
            [.. Enumerable.Range(0, 10_000).Select(n => (byte)(n * 7919))],
            Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. new byte[1_000]],
            [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0xff, 0xff, 0xff, 0x04, 0, 0, 0, 0, 0],
            [0x16, 0x03, 0x01, 0x02, 0x00],
        ];
        foreach (NodeProcess node in cluster.Nodes)
        {
            foreach (byte[] bytes in garbage)
            {
                using RawHttp raw = await RawHttp.ConnectAsync(node.PeerPort);
                try
                {
                    await raw.WriteAsync(bytes);
                }
                catch (IOException)
                {
                    // Refused while it was still being sent.
                }

                // Too short to be judged: the server waits for the rest, within its keep-alive time.
                if (bytes.Length >= "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".Length)
                    Assert.True(await raw.EndsAsync());
            }
        }

        await leader.AppendAsync("after");
        IReadOnlyList<NodeStatus> states = await cluster.WaitUntilEqualAsync();
        Assert.All(states, state => Assert.Equal(term, state.Term));
    }

    [Fact]
    public async Task Requests_on_the_peer_port_that_are_no_peer_get_an_error_and_hurt_nobody()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        using var http = new HttpClient
        {
            BaseAddress = new Uri(node.PeerUrl),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = TimeSpan.FromSeconds(30),
        };
        foreach (string path in new[] { "/", "/peer/v1/control", "/peer/v1/bulk", "/peer/v1/formation", "/peer/v1/nothing" })
        {
            foreach (byte[] body in new byte[][] { [], [1, 2, 3], [0xff, 0xff, 0xff, 0x7f, 9, 9, 9], new byte[100_000] })
            {
                try
                {
                    using HttpResponseMessage answer = await http.PostAsync(path, new ByteArrayContent(body), new CancellationTokenSource(TimeSpan.FromSeconds(10)).Token);
                    string text = await answer.Content.ReadAsStringAsync();
                    Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
                }
                catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
                {
                    // A stream that is reset is an answer too.
                }
            }
        }

        await node.AppendAsync("after");
        Assert.True(node.IsRunning);
    }
}
