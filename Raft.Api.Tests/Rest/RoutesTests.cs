using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class RoutesTests(OneNode one) : IClassFixture<OneNode>
{
    private NodeProcess Node => one.Node;

    [Theory]
    [InlineData("GET", "/")]
    [InlineData("GET", "/v1")]
    [InlineData("GET", "/v1/nothing")]
    [InlineData("POST", "/v2/entries")]
    [InlineData("GET", "/v1/entries/abc")]
    public async Task An_unknown_route_is_a_404_as_a_problem(string method, string path)
    {
        using HttpResponseMessage answer = await Node.Http.SendAsync(RestClient.Request(new HttpMethod(method), path));
        if (path == "/" && (int)answer.StatusCode is 302 or 301 or 307)
            return; // a way to the documentation
        if (path.EndsWith("abc", StringComparison.Ordinal) && answer.StatusCode == HttpStatusCode.BadRequest)
            return; // no index: as good
        await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, null, answer);
    }

    [Theory]
    [InlineData("DELETE", "/v1/entries", "POST")]
    [InlineData("PUT", "/v1/entries", "POST")]
    [InlineData("POST", "/v1/status", "GET")]
    [InlineData("POST", "/v1/cluster", "GET")]
    [InlineData("PATCH", "/v1/kv/x", "PUT")]
    [InlineData("DELETE", "/v1/entries/1", "GET")]
    public async Task A_method_that_a_route_does_not_have_is_a_405_with_those_allowed(string method, string path, string allowed)
    {
        using HttpResponseMessage answer = await Node.Http.SendAsync(RestClient.Request(new HttpMethod(method), path));
        await RestClient.AssertProblemAsync(HttpStatusCode.MethodNotAllowed, null, answer);
        Assert.Contains(allowed, answer.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("text/csv;;;")]
    [InlineData("nonsense")]
    public async Task A_content_type_that_is_none_is_a_415(string contentType)
    {
        using RawHttp raw = await RawHttp.ConnectAsync(Node.ApiPort);
        await raw.WriteAsync($"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nContent-Type: {contentType}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        Assert.Equal(415, RawHttp.StatusOf(await raw.ReadHeadAsync()));
    }

    [Fact]
    public async Task Livez_readyz_and_healthz_answer_200_on_a_healthy_node()
    {
        foreach (string path in new[] { "/livez", "/readyz", "/healthz", "/readyz?verbose", "/livez?verbose" })
        {
            using HttpResponseMessage answer = await Node.GetAsync(path);
            await RestClient.AssertStatusAsync(HttpStatusCode.OK, answer);
        }
    }

    [Fact]
    public async Task Status_shows_this_node()
    {
        await Node.AppendAsync("x");
        NodeStatus status = await Node.StatusAsync();
        Assert.Equal(Node.Id, status.Node);
        Assert.Equal("leader", status.Role);
        Assert.Equal(Node.Id, status.Leader);
        Assert.True(status is { Term: >= 2, CommitIndex: >= 2, AppliedIndex: >= 2, DurableIndex: >= 2 }, status.Text);
        Assert.NotNull(status.StateHash);
    }

    [Fact]
    public async Task Cluster_shows_every_member()
    {
        JsonElement cluster = await Node.GetJsonAsync("/v1/cluster");
        Assert.Equal(1, cluster.GetProperty("members").GetArrayLength());
        Assert.Contains(Node.Id, cluster.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_api_is_described_and_the_description_names_every_route()
    {
        using HttpResponseMessage page = await Node.GetAsync("/swagger/index.html");
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, page);
        JsonElement document = await Node.GetJsonAsync("/swagger/v1/swagger.json");
        string[] paths = [.. document.GetProperty("paths").EnumerateObject().Select(path => path.Name)];
        foreach (string route in new[] { "/v1/entries", "/v1/entries/{index}", "/v1/kv/{key}", "/v1/kv", "/v1/status", "/v1/cluster" })
            Assert.Contains(route, paths);
        Assert.True(document.GetProperty("paths").GetProperty("/v1/entries").TryGetProperty("post", out _));
        Assert.True(document.GetProperty("paths").GetProperty("/v1/kv/{key}").TryGetProperty("put", out _));
    }

    [Fact]
    public async Task The_api_endpoint_does_not_serve_the_peers_and_the_peer_endpoint_not_the_api()
    {
        using var http = new HttpClient { BaseAddress = new Uri(Node.PeerUrl), DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        foreach (string path in new[] { "/v1/status", "/v1/entries", "/metrics", "/swagger/index.html" })
        {
            using HttpResponseMessage answer = await http.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        // Told apart by the port of the connection, never by the Host header.
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/status") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Host = $"127.0.0.1:{Node.ApiPort}";
        using HttpResponseMessage disguised = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, disguised.StatusCode);
    }
}
