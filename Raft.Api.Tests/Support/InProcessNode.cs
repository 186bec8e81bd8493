using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Raft.Host;
using Raft.Host.Hosting;

namespace Raft.Api.Tests.Support;

/// <summary>One node in the process of the test, as an embedder would build it: for what no request from outside can bring about.</summary>
internal sealed class InProcessNode : IAsyncDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly WebApplication _app;

    private InProcessNode(Action<RaftHostBuilder>? configure)
    {
        int[] ports = Ports.Take(2);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = _directory.Path });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Raft:DataDirectory"] = _directory["data"],
            ["Raft:Bootstrap"] = "true",
            ["Kestrel:Endpoints:Api:Url"] = $"http://127.0.0.1:{ports[0]}",
            ["Kestrel:Endpoints:Peer:Url"] = $"http://127.0.0.1:{ports[1]}",
        });
        RaftHostBuilder host = builder.AddRaftHost();
        configure?.Invoke(host);
        _app = builder.Build();
        _app.UseRaftHost();
        Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{ports[0]}") };
    }

    public HttpClient Http { get; }

    public HostedGroup Group => _app.Services.GetRequiredService<GroupRegistry>().First!;

    public static async Task<InProcessNode> StartAsync(Action<RaftHostBuilder>? configure = null)
    {
        var node = new InProcessNode(configure);
        await node._app.StartAsync();
        await Wait.UntilAsync(async () => (await node.Http.GetAsync("/readyz")).IsSuccessStatusCode, "the node to be ready");
        return node;
    }

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? body = null, string? key = null) =>
        Http.SendAsync(RestClient.Request(method, path, body is null ? null : System.Text.Encoding.UTF8.GetBytes(body), key: key));

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _directory.Dispose();
    }
}
