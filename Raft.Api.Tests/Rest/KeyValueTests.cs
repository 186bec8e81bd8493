using System.Globalization;
using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class KeyValueTests(OneNode one) : IClassFixture<OneNode>
{
    private NodeProcess Node => one.Node;

    [Fact]
    public async Task A_value_comes_back_as_its_bytes_with_its_type_and_revision()
    {
        byte[] value = [0, 1, 254, 255];
        using HttpResponseMessage put = await Node.Http.SendAsync(RestClient.Request(HttpMethod.Put, "/v1/kv/bytes", value, "image/gif"));
        Assert.True(put.StatusCode is HttpStatusCode.OK or HttpStatusCode.Created or HttpStatusCode.NoContent, await put.TextAsync());
        RestClient.AssertRaftHeaders(put, Node.Id);
        Assert.True(Revision(put) >= 1);

        using HttpResponseMessage get = await Node.GetAsync("/v1/kv/bytes");
        Assert.Equal(value, await get.Content.ReadAsByteArrayAsync());
        Assert.Equal(put.Headers.ETag, get.Headers.ETag);
        Assert.Equal("nosniff", RestClient.Header(get, "X-Content-Type-Options"));
        RestClient.AssertRaftHeaders(get, Node.Id);
    }

    [Fact]
    public async Task A_head_is_a_get_without_the_value()
    {
        (await Node.PutAsync("/v1/kv/head", "12345")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.Http.SendAsync(RestClient.Request(HttpMethod.Head, "/v1/kv/head"));
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, answer);
        Assert.NotNull(answer.Headers.ETag);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_key_that_is_not_there_is_a_404()
    {
        using HttpResponseMessage answer = await Node.GetAsync("/v1/kv/nobody");
        await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, null, answer);
    }

    [Fact]
    public async Task A_deleted_key_is_gone_and_deleting_it_again_is_no_error()
    {
        (await Node.PutAsync("/v1/kv/gone", "x")).EnsureSuccessStatusCode();
        (await Node.DeleteAsync("/v1/kv/gone")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.GetAsync("/v1/kv/gone");
        await RestClient.AssertStatusAsync(HttpStatusCode.NotFound, answer);
        using HttpResponseMessage again = await Node.DeleteAsync("/v1/kv/gone");
        Assert.True(again.IsSuccessStatusCode || again.StatusCode == HttpStatusCode.NotFound, await again.TextAsync());
    }

    [Fact]
    public async Task Revisions_grow()
    {
        using HttpResponseMessage first = await Node.PutAsync("/v1/kv/grow", "1");
        using HttpResponseMessage second = await Node.PutAsync("/v1/kv/grow", "2");
        Assert.True(Revision(second) > Revision(first));
    }

    [Fact]
    public async Task If_match_writes_only_over_the_revision_named()
    {
        using HttpResponseMessage first = await Node.PutAsync("/v1/kv/match", "1");
        string tag = first.Headers.ETag!.ToString();
        using HttpResponseMessage second = await Node.PutAsync("/v1/kv/match", "2", ifMatch: tag);
        Assert.True(second.IsSuccessStatusCode, await second.TextAsync());
        using HttpResponseMessage stale = await Node.PutAsync("/v1/kv/match", "3", ifMatch: tag);
        await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", stale);
        using HttpResponseMessage staleDelete = await Node.DeleteAsync("/v1/kv/match", ifMatch: tag);
        await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", staleDelete);
        Assert.Equal("2", await (await Node.GetAsync("/v1/kv/match")).TextAsync());

        (await Node.DeleteAsync("/v1/kv/match", ifMatch: second.Headers.ETag!.ToString())).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task If_match_star_needs_the_key_and_if_none_match_star_its_absence()
    {
        using HttpResponseMessage absent = await Node.PutAsync("/v1/kv/star", "x", ifMatch: "*");
        await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", absent);
        using HttpResponseMessage created = await Node.PutAsync("/v1/kv/star", "1", ifNoneMatch: "*");
        Assert.True(created.IsSuccessStatusCode, await created.TextAsync());
        using HttpResponseMessage present = await Node.PutAsync("/v1/kv/star", "2", ifNoneMatch: "*");
        await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", present);
        using HttpResponseMessage replaced = await Node.PutAsync("/v1/kv/star", "3", ifMatch: "*");
        Assert.True(replaced.IsSuccessStatusCode, await replaced.TextAsync());
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("\"abc\"")]
    [InlineData("W/\"1\"")]
    public async Task A_precondition_that_names_no_revision_never_writes(string tag)
    {
        (await Node.PutAsync("/v1/kv/tags", "old")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.PutAsync("/v1/kv/tags", "new", ifMatch: tag);
        Assert.True(answer.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.PreconditionFailed, await answer.TextAsync());
        Assert.Equal("old", await (await Node.GetAsync("/v1/kv/tags")).TextAsync());
    }

    [Fact]
    public async Task A_get_with_the_current_revision_is_a_304()
    {
        using HttpResponseMessage put = await Node.PutAsync("/v1/kv/cached", "x");
        using HttpResponseMessage same = await Node.GetAsync("/v1/kv/cached", ifNoneMatch: put.Headers.ETag!.ToString());
        await RestClient.AssertStatusAsync(HttpStatusCode.NotModified, same);
        (await Node.PutAsync("/v1/kv/cached", "y")).EnsureSuccessStatusCode();
        using HttpResponseMessage changed = await Node.GetAsync("/v1/kv/cached", ifNoneMatch: put.Headers.ETag!.ToString());
        Assert.Equal("y", await changed.TextAsync());
    }

    [Theory]
    [InlineData("/v1/kv/a/b/c", "/v1/kv/a%2Fb%2Fc")]
    [InlineData("/v1/kv/%C3%A4", "/v1/kv/%c3%a4")]
    [InlineData("/v1/kv/with%20space", "/v1/kv/with%20space")]
    [InlineData("/v1/kv/plus+sign", "/v1/kv/plus%2Bsign")]
    [InlineData("/v1/kv/100%25", "/v1/kv/100%25")]
    [InlineData("/v1/kv/double%252F", "/v1/kv/double%252F")]
    [InlineData("/v1/kv/dot/./x", "/v1/kv/dot%2F.%2Fx")]
    [InlineData("/v1/kv/a//b", "/v1/kv/a%2F%2Fb")]
    [InlineData("/v1/kv/trailing/", "/v1/kv/trailing%2F")]
    public async Task A_key_is_the_rest_of_the_raw_path_decoded_once(string written, string read)
    {
        // By hand: a client library would bring the path into another form.
        string value = Guid.NewGuid().ToString();
        using RawHttp put = await RawHttp.ConnectAsync(Node.ApiPort);
        await put.WriteAsync($"PUT {written} HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nContent-Length: {value.Length}\r\nConnection: close\r\n\r\n{value}");
        Assert.InRange(RawHttp.StatusOf(await put.ReadHeadAsync()), 200, 204);
        Assert.Equal(200, RawHttp.StatusOf(await RawHttp.AskAsync(Node.ApiPort, "GET", read)));
    }

    [Fact]
    public async Task An_encoded_slash_and_a_twice_encoded_one_are_two_keys()
    {
        (await Node.PutAsync("/v1/kv/slash%2Fkey", "once")).EnsureSuccessStatusCode();
        (await Node.PutAsync("/v1/kv/slash%252Fkey", "twice")).EnsureSuccessStatusCode();
        Assert.Equal("once", await (await Node.GetAsync("/v1/kv/slash/key")).TextAsync());
        Assert.Equal("twice", await (await Node.GetAsync("/v1/kv/slash%252Fkey")).TextAsync());
    }

    [Theory]
    [InlineData("/v1/kv/%FF%FE")]
    [InlineData("/v1/kv/%C3")]
    [InlineData("/v1/kv/%ED%A0%80")]
    [InlineData("/v1/kv/%zz")]
    [InlineData("/v1/kv/")]
    public async Task A_key_that_is_no_utf8_or_is_empty_is_a_400(string path)
    {
        string head = await RawHttp.AskAsync(Node.ApiPort, "GET", path);
        Assert.Equal(400, RawHttp.StatusOf(head));
    }

    [Fact]
    public async Task A_key_of_1024_bytes_is_taken_and_one_of_1025_is_a_400()
    {
        (await Node.PutAsync("/v1/kv/" + new string('k', 1024), "x")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.PutAsync("/v1/kv/" + new string('k', 1025), "x");
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Fact]
    public async Task A_value_over_the_limit_is_a_413()
    {
        using HttpResponseMessage answer = await Node.Http.SendAsync(
            RestClient.Request(HttpMethod.Put, "/v1/kv/large", new byte[(1 << 20) + 1], "application/octet-stream"));
        await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", answer);
    }

    [Fact]
    public async Task An_empty_value_is_a_value()
    {
        (await Node.PutAsync("/v1/kv/empty", "")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.GetAsync("/v1/kv/empty");
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, answer);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_range_gives_the_keys_of_a_prefix_in_order_page_by_page()
    {
        for (int n = 0; n < 25; n++)
            (await Node.PutAsync($"/v1/kv/range%2F{n:d2}", n.ToString(CultureInfo.InvariantCulture))).EnsureSuccessStatusCode();
        (await Node.PutAsync("/v1/kv/rangf", "outside")).EnsureSuccessStatusCode();

        var keys = new List<string>();
        string after = "";
        while (true)
        {
            JsonElement page = await Node.GetJsonAsync($"/v1/kv?prefix=range%2F&limit=10{after}");
            JsonElement[] items = [.. Items(page)];
            keys.AddRange(items.Select(item => item.GetProperty("key").GetString()!));
            Assert.All(items, item => Assert.True(item.GetProperty("revision").GetInt64() > 0));
            if (items.Length < 10)
                break;
            after = "&after=" + Uri.EscapeDataString(keys[^1]);
        }

        Assert.Equal(Enumerable.Range(0, 25).Select(n => $"range/{n:d2}"), keys);
    }

    [Theory]
    [InlineData("/v1/kv?limit=-1")]
    [InlineData("/v1/kv?limit=x")]
    public async Task A_range_with_a_senseless_limit_is_a_400(string path)
    {
        using HttpResponseMessage answer = await Node.GetAsync(path);
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, null, answer);
    }

    [Fact]
    public async Task Keys_of_another_case_are_other_keys()
    {
        (await Node.PutAsync("/v1/kv/Case", "upper")).EnsureSuccessStatusCode();
        (await Node.PutAsync("/v1/kv/case", "lower")).EnsureSuccessStatusCode();
        Assert.Equal("upper", await (await Node.GetAsync("/v1/kv/Case")).TextAsync());
        Assert.Equal("lower", await (await Node.GetAsync("/v1/kv/case")).TextAsync());
    }

    [Fact]
    public async Task Of_many_writers_that_create_a_key_at_once_one_wins()
    {
        HttpResponseMessage[] answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(n => Node.PutAsync("/v1/kv/lock", $"owner {n}", ifNoneMatch: "*")));
        Assert.Single(answers, answer => answer.IsSuccessStatusCode);
        Assert.Equal(19, answers.Count(answer => answer.StatusCode == HttpStatusCode.PreconditionFailed));
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement page) =>
        page.EnumerateObject().First(property => property.Value.ValueKind == JsonValueKind.Array).Value.EnumerateArray();

    private static long Revision(HttpResponseMessage answer) =>
        long.Parse(answer.Headers.ETag!.Tag.Trim('"'), CultureInfo.InvariantCulture);
}
