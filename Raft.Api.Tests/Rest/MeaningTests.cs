using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

/// <summary>A request means what it says: what a route would have to read otherwise than it is written, or ignore, is refused.</summary>
[Collection(ProcessCollection.Name)]
public sealed class MeaningTests(TwoGroups two) : IClassFixture<TwoGroups>
{
    private NodeProcess Node => two.Cluster[0];

    [Theory]
    [InlineData("PUT", "/v1/kv/.")]
    [InlineData("GET", "/v1/kv/.")]
    [InlineData("GET", "/v1/kv/%2e")]
    [InlineData("DELETE", "/v1/kv/a/..")]
    [InlineData("POST", "/v1/kv/%2e%2e/drain")]
    [InlineData("POST", "/v1/kv/../drain")]
    [InlineData("PUT", "/v1/groups/default/kv/../../orders/kv/x")]
    [InlineData("PUT", "/v1/groups/default/kv/%2E%2E/%2e./orders/kv/x")]
    [InlineData("POST", "/v1/groups/default/../orders/entries")]
    [InlineData("DELETE", "/v1/members/n9/../n2")]
    [InlineData("GET", "/v1/idempotency/../status")]
    [InlineData("POST", "/readyz/../v1/drain")]
    [InlineData("GET", "http://{host}/v1/kv/../status")]
    public async Task A_path_that_is_routed_otherwise_than_it_is_written_is_refused_by_every_route(string method, string target)
    {
        string head = await RawHttp.AskAsync(Node.ApiPort, method, target.Replace("{host}", $"127.0.0.1:{Node.ApiPort}", StringComparison.Ordinal), method is "PUT" or "POST" ? "Content-Length: 0\r\n" : "");
        Assert.Equal(400, RawHttp.StatusOf(head));
        Assert.Contains("application/problem+json", head, StringComparison.Ordinal);
        Assert.False((await Node.GetJsonAsync("/v1/drain")).GetProperty("draining").GetBoolean());
        using HttpResponseMessage other = await Node.GetAsync("/v1/groups/orders/kv/x");
        Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
    }

    [Theory]
    [InlineData("Content-Range: bytes 0-3/10", 400, "unsupported-header")]
    [InlineData("Content-Encoding: gzip", 415, "unsupported-encoding")]
    [InlineData("Content-Encoding: identity, br", 415, "unsupported-encoding")]
    [InlineData("If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT", 400, "unsupported-header")]
    [InlineData("If: (<urn:uuid:1>)", 400, "unsupported-header")]
    [InlineData("X-HTTP-Method-Override: DELETE", 400, "unsupported-header")]
    [InlineData("X-Method-Override: DELETE", 400, "unsupported-header")]
    [InlineData("Expect: 200-ok", 417, "unsupported-expectation")]
    public async Task A_header_that_changes_the_meaning_and_is_not_implemented_is_refused(string header, int status, string problem)
    {
        (await Node.PutAsync("/v1/kv/meaning", "whole value")).EnsureSuccessStatusCode();
        (string head, string body) = await SendAsync("PUT", "/v1/kv/meaning", header + "\r\n", "tail");
        Assert.Equal(status, RawHttp.StatusOf(head));
        Assert.Contains(problem, body, StringComparison.Ordinal);
        Assert.Contains("notSubmitted", body, StringComparison.Ordinal);
        Assert.Equal("whole value", await (await Node.GetAsync("/v1/kv/meaning")).TextAsync());
    }

    [Theory]
    [InlineData("Content-Encoding: identity")]
    [InlineData("Expect: 100-continue")]
    [InlineData("Range: bytes=0-1")]
    [InlineData("Prefer: return=minimal")]
    public async Task A_header_that_may_be_ignored_is_ignored(string header)
    {
        (string head, _) = await SendAsync("PUT", "/v1/kv/harmless", header + "\r\n", "x");
        Assert.InRange(RawHttp.StatusOf(head), 100, 299);
    }

    [Fact]
    public async Task Empty_elements_of_a_list_of_tags_are_ignored()
    {
        using HttpResponseMessage put = await Node.PutAsync("/v1/kv/tags", "one");
        string tag = put.Headers.ETag!.ToString(); // not null: every write has one
        (string head, _) = await SendAsync("PUT", "/v1/kv/tags", $"If-Match: , {tag} ,,\r\n", "two");
        Assert.Equal(200, RawHttp.StatusOf(head));
        (head, _) = await SendAsync("PUT", "/v1/kv/tags", "If-Match: , ,\r\n", "three");
        Assert.Equal(400, RawHttp.StatusOf(head));
    }

    [Fact]
    public async Task A_read_takes_both_conditions_the_match_first()
    {
        using HttpResponseMessage put = await Node.PutAsync("/v1/kv/both", "x");
        string tag = put.Headers.ETag!.ToString(); // not null: every write has one
        Assert.Equal(304, await ReadAsync($"If-Match: {tag}\r\nIf-None-Match: {tag}\r\n"));
        Assert.Equal(412, await ReadAsync($"If-Match: \"1\"\r\nIf-None-Match: {tag}\r\n"));
        Assert.Equal(200, await ReadAsync($"If-Match: {tag}\r\nIf-None-Match: \"1\"\r\n"));
        Assert.Equal(304, await ReadAsync("If-Match: *\r\nIf-None-Match: *\r\n"));

        async Task<int> ReadAsync(string headers) => RawHttp.StatusOf(await RawHttp.AskAsync(Node.ApiPort, "GET", "/v1/kv/both", headers));
    }

    [Theory]
    [InlineData("/v1/kv")]
    [InlineData("/v1/entries")]
    [InlineData("/v1/members")]
    [InlineData("/v1/status")]
    [InlineData("/v1/cluster")]
    [InlineData("/v1/groups")]
    [InlineData("/v1/config")]
    [InlineData("/v1/snapshots")]
    [InlineData("/v1/drain")]
    public async Task Whatever_can_be_read_can_be_asked_for_without_its_body(string path)
    {
        using HttpResponseMessage answer = await Node.Http.SendAsync(RestClient.Request(HttpMethod.Head, path));
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, answer);
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Members_that_did_not_change_are_a_304()
    {
        using HttpResponseMessage first = await Node.GetAsync("/v1/members");
        string tag = first.Headers.ETag!.ToString(); // not null: members have one
        Assert.Equal(304, RawHttp.StatusOf(await RawHttp.AskAsync(Node.ApiPort, "GET", "/v1/members", $"If-None-Match: \"1\", {tag}\r\n")));
        Assert.Equal(412, RawHttp.StatusOf(await RawHttp.AskAsync(Node.ApiPort, "GET", "/v1/members", "If-Match: \"999999\"\r\n")));
    }

    [Theory]
    [InlineData("GET", "/v1/kv?prefix=%ff")]
    [InlineData("GET", "/v1/kv?prefix=%zz")]
    [InlineData("GET", "/v1/kv?prefix=a&prefix=b")]
    [InlineData("GET", "/v1/kv?prefix=a&PREFIX=b")]
    [InlineData("GET", "/v1/kv?prefx=a")]
    [InlineData("GET", "/v1/entries?limit=5&limit=5")]
    [InlineData("POST", "/v1/entries?wiat=committed")]
    [InlineData("DELETE", "/v1/kv/x?force")]
    public async Task A_query_that_cannot_be_meant_so_is_refused(string method, string target)
    {
        (string head, string body) = await SendAsync(method, target, "", method == "POST" ? "x" : "");
        Assert.Equal(400, RawHttp.StatusOf(head));
        Assert.Contains("bad-query", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_over_a_size_limit_of_the_request_head_is_a_problem()
    {
        (string head, string body) = await SendAsync("GET", "/v1/kv?prefix=" + new string('a', 9_000), "", "");
        Assert.Equal(414, RawHttp.StatusOf(head));
        Assert.Contains("target-too-long", body, StringComparison.Ordinal);
        (head, body) = await SendAsync("GET", "/v1/status", $"X-Large: {new string('a', 40_000)}\r\n", "");
        Assert.Equal(431, RawHttp.StatusOf(head));
        Assert.Contains("headers-too-large", body, StringComparison.Ordinal);
        (head, _) = await SendAsync("GET", "/v1/status", string.Concat(Enumerable.Range(0, 110).Select(n => $"X-{n}: x\r\n")), "");
        Assert.Equal(431, RawHttp.StatusOf(head));
    }

    [Fact]
    public async Task A_json_value_that_is_not_unicode_does_not_make_a_list_unreadable()
    {
        byte[] lone = "{\"a\":\"\\ud800\"}"u8.ToArray();
        using HttpResponseMessage put = await Node.Http.SendAsync(RestClient.Request(HttpMethod.Put, "/v1/kv/lone", lone, "application/json"));
        put.EnsureSuccessStatusCode();
        using HttpResponseMessage list = await Node.GetAsync("/v1/kv?prefix=lone");
        using JsonDocument document = JsonDocument.Parse(await list.TextAsync());
        JsonElement item = document.RootElement.GetProperty("items")[0];
        Assert.False(item.TryGetProperty("json", out _));
        Assert.Equal("{\"a\":\"\\ud800\"}", item.GetProperty("text").GetString());
        Assert.Equal(lone, await (await Node.GetAsync("/v1/kv/lone")).Content.ReadAsByteArrayAsync());
    }

    private async Task<(string Head, string Body)> SendAsync(string method, string target, string headers, string body)
    {
        using RawHttp raw = await RawHttp.ConnectAsync(Node.ApiPort);
        await raw.WriteAsync($"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nConnection: close\r\n{headers}"
            + (body.Length > 0 ? $"Content-Length: {body.Length}\r\n" : "") + $"\r\n{body}");
        return (await raw.ReadHeadAsync(), await raw.ReadToEndAsync());
    }
}
