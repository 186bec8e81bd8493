using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Raft.Host;

namespace Raft.Fuzz.Targets;

/// <summary>A cluster of one in this process, in a directory of its own.</summary>
internal sealed class RestNode : IDisposable
{
    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(2);

    private readonly string _directory = Directory.CreateTempSubdirectory("raft-fuzz-").FullName;
    private readonly WebApplication _app;

    public RestNode()
    {
        int[] ports = [FreePort(), FreePort()];
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = _directory });
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Raft:NodeId"] = "n1",
            ["Raft:DataDirectory"] = Path.Combine(_directory, "data"),
            ["Raft:Bootstrap"] = "true",
            ["Raft:RequestTimeoutMs"] = "2000",
            ["Kestrel:Endpoints:Api:Url"] = $"http://127.0.0.1:{ports[0]}",
            ["Kestrel:Endpoints:Peer:Url"] = $"http://127.0.0.1:{ports[1]}",
        });
        builder.AddRaftHost();
        _app = builder.Build();
        _app.UseRaftHost();
        _app.StartAsync().GetAwaiter().GetResult();
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri($"http://127.0.0.1:{ports[0]}") };
        WaitUntilReady();
    }

    public HttpClient Http { get; }

    public void Dispose()
    {
        Http.Dispose();
        _app.StopAsync().GetAwaiter().GetResult();
        _app.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(_directory, recursive: true);
    }

    private void WaitUntilReady()
    {
        DateTime until = DateTime.UtcNow + _patience;
        while (!Http.Send(new HttpRequestMessage(HttpMethod.Get, "/readyz")).IsSuccessStatusCode)
        {
            if (DateTime.UtcNow > until)
                throw new TimeoutException("The node did not become ready.");
            Thread.Sleep(20);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
