using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class EntriesTests(OneNode one) : IClassFixture<OneNode>
{
    private NodeProcess Node => one.Node;

    [Fact]
    public async Task An_appended_entry_is_answered_201_with_index_term_and_location()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "hello");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
        JsonElement entry = await answer.JsonAsync();
        Assert.Equal("default", entry.GetProperty("group").GetString());
        Assert.True(entry.GetProperty("index").GetInt64() >= 1);
        Assert.True(entry.GetProperty("term").GetInt64() >= 1);
        RestClient.AssertRaftHeaders(answer, Node.Id);

        string location = answer.Headers.Location!.ToString();
        using HttpResponseMessage read = await Node.GetAsync(location);
        Assert.Equal("hello", await read.TextAsync());
    }

    [Fact]
    public async Task Indexes_are_dense_whatever_else_the_log_holds()
    {
        long first = await Node.AppendAsync("one");
        (await Node.PutAsync("/v1/kv/between", "x")).EnsureSuccessStatusCode();
        Assert.Equal(first + 1, await Node.AppendAsync("two"));
    }

    [Theory]
    [InlineData("text/plain", "plain ä")]
    [InlineData("application/json", "{\"a\":[1,2.50,\"x\"]}")]
    [InlineData("image/png", "\u0000\u0001")]
    [InlineData("application/vnd.mine+json; charset=utf-8", "{}")]
    public async Task The_raw_bytes_come_back_with_their_content_type(string contentType, string body)
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", body, contentType);
        long index = (await answer.JsonAsync()).GetProperty("index").GetInt64();
        using HttpResponseMessage read = await Node.GetAsync($"/v1/entries/{index}");
        Assert.Equal(body, await read.TextAsync());
        Assert.Equal(contentType, read.Content.Headers.ContentType!.ToString());
        Assert.Equal("nosniff", RestClient.Header(read, "X-Content-Type-Options"));
    }

    [Fact]
    public async Task An_entry_needs_no_content_type_and_may_be_empty()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "", contentType: null);
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
        long index = (await answer.JsonAsync()).GetProperty("index").GetInt64();
        Assert.Empty(await (await Node.GetAsync($"/v1/entries/{index}")).Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_page_shows_json_as_json_text_as_text_and_the_rest_as_base64()
    {
        using HttpResponseMessage json = await Node.PostAsync("/v1/entries", "{\"a\":1}", "application/json");
        long first = (await json.JsonAsync()).GetProperty("index").GetInt64();
        await Node.AppendAsync("text ä");
        byte[] binary = [0, 159, 146, 150];
        (await Node.Http.SendAsync(RestClient.Request(HttpMethod.Post, "/v1/entries", binary, "application/octet-stream"))).EnsureSuccessStatusCode();

        JsonElement page = await Node.GetJsonAsync($"/v1/entries?from={first}&limit=3");
        JsonElement[] entries = [.. page.GetProperty("entries").EnumerateArray()];
        Assert.Equal(3, entries.Length);
        Assert.Equal(1, entries[0].GetProperty("json").GetProperty("a").GetInt32());
        Assert.Equal("text ä", entries[1].GetProperty("text").GetString());
        Assert.Equal(binary, entries[2].GetProperty("base64").GetBytesFromBase64());
        Assert.Equal([first, first + 1, first + 2], entries.Select(entry => entry.GetProperty("index").GetInt64()));
        Assert.All(entries, entry => Assert.True(entry.GetProperty("term").GetInt64() >= 1 && entry.TryGetProperty("time", out _)));
        Assert.Equal(first + 3, page.GetProperty("next").GetInt64());
        Assert.True(page.GetProperty("lastIndex").GetInt64() >= first + 2);
        Assert.Equal(1, page.GetProperty("firstIndex").GetInt64());
    }

    [Fact]
    public async Task A_page_ends_at_its_limit_and_the_next_goes_on_there()
    {
        long first = await Node.AppendAsync("1");
        for (int n = 2; n <= 5; n++)
            await Node.AppendAsync(n.ToString(CultureInfo.InvariantCulture));
        JsonElement page = await Node.GetJsonAsync($"/v1/entries?from={first}&limit=2");
        Assert.Equal(2, page.GetProperty("entries").GetArrayLength());
        JsonElement next = await Node.GetJsonAsync($"/v1/entries?from={page.GetProperty("next").GetInt64()}&limit=10");
        Assert.Equal("3", next.GetProperty("entries")[0].GetProperty("text").GetString());
        Assert.Equal(3, next.GetProperty("entries").GetArrayLength());
    }

    [Fact]
    public async Task A_page_past_the_end_is_empty()
    {
        long last = await Node.AppendAsync("last");
        JsonElement page = await Node.GetJsonAsync($"/v1/entries?from={last + 1}");
        Assert.Equal(0, page.GetProperty("entries").GetArrayLength());
        Assert.Equal(last, page.GetProperty("lastIndex").GetInt64());
    }

    [Theory]
    [InlineData("/v1/entries/-1")]
    [InlineData("/v1/entries/0")]
    [InlineData("/v1/entries?from=-5")]
    [InlineData("/v1/entries?limit=-1")]
    [InlineData("/v1/entries?limit=many")]
    [InlineData("/v1/entries?from=99999999999999999999")]
    public async Task An_index_that_makes_no_sense_is_a_400(string path)
    {
        using HttpResponseMessage answer = await Node.GetAsync(path);
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, null, answer);
    }

    [Fact]
    public async Task An_index_past_the_end_is_not_there_yet()
    {
        using HttpResponseMessage answer = await Node.GetAsync("/v1/entries/1000000000");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, null, answer);
        Assert.Contains("entry-not-yet", problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_batch_of_lines_gets_one_answer_and_consecutive_indexes()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "{\"n\":1}\n\"two\"\n3\n", "application/x-ndjson");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
        JsonElement batch = await answer.JsonAsync();
        long first = batch.GetProperty("firstIndex").GetInt64();
        Assert.Equal(3, batch.GetProperty("count").GetInt32());
        Assert.Equal(first + 2, batch.GetProperty("lastIndex").GetInt64());
        Assert.Equal("default", batch.GetProperty("group").GetString());
        Assert.True(batch.GetProperty("term").GetInt64() >= 1);

        JsonElement page = await Node.GetJsonAsync($"/v1/entries?from={first}&limit=3");
        Assert.Equal(1, page.GetProperty("entries")[0].GetProperty("json").GetProperty("n").GetInt32());
        Assert.Equal("two", page.GetProperty("entries")[1].GetProperty("json").GetString());
    }

    [Theory]
    [InlineData("{\"n\":1}\n\"two\"", 2)]
    [InlineData("1\r\n2\r\n", 2)]
    [InlineData("{\"only\":true}", 1)]
    public async Task The_last_line_may_lack_its_end_and_lines_may_end_in_crlf(string body, int count)
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", body, "application/x-ndjson");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
        Assert.Equal(count, (await answer.JsonAsync()).GetProperty("count").GetInt32());
    }

    [Theory]
    [InlineData("{\"n\":1}\n{broken\n3\n", 2)]
    [InlineData("1\n2\n{\"a\":}\n", 3)]
    [InlineData("1 2\n", 1)]
    public async Task A_broken_line_is_a_400_with_its_number_and_nothing_is_appended(string body, int line)
    {
        long before = await Node.AppendAsync("before");
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", body, "application/x-ndjson");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
        Assert.Contains($"line {line}", problem.GetProperty("detail").GetString(), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(before + 1, await Node.AppendAsync("after"));
    }

    [Fact]
    public async Task A_batch_without_lines_is_a_400()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "", "application/x-ndjson");
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Theory]
    [InlineData("applied")]
    [InlineData("committed")]
    [InlineData("Applied")]
    public async Task Wait_says_for_what_the_answer_waits(string wait)
    {
        using HttpResponseMessage answer = await Node.PostAsync($"/v1/entries?wait={wait}", "x");
        Assert.True(answer.StatusCode is HttpStatusCode.Created or HttpStatusCode.OK or HttpStatusCode.Accepted, await answer.TextAsync());
    }

    [Fact]
    public async Task An_unknown_wait_is_a_400()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries?wait=maybe", "x");
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Fact]
    public async Task Committed_has_no_result_to_give_so_it_takes_no_key()
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries?wait=committed", "x", key: "some-key");
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Fact]
    public async Task The_group_may_be_named_and_an_unknown_one_is_a_404()
    {
        using HttpResponseMessage named = await Node.PostAsync("/v1/groups/default/entries", "x");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, named);
        using HttpResponseMessage unknown = await Node.PostAsync("/v1/groups/nobody/entries", "x");
        await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, "notSubmitted", unknown);
    }

    [Fact]
    public async Task An_entry_at_the_limit_is_taken_and_one_above_it_is_a_413()
    {
        byte[] body = new byte[(1 << 20) - 1024];
        (await Node.Http.SendAsync(RestClient.Request(HttpMethod.Post, "/v1/entries", body, "application/octet-stream"))).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.Http.SendAsync(
            RestClient.Request(HttpMethod.Post, "/v1/entries", new byte[(1 << 20) + 1], "application/octet-stream"));
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", answer);
        Assert.Contains("1048576", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused_before_it_is_read_to_the_end()
    {
        // Told by its length: answered although not one byte of the body was sent.
        using RawHttp told = await RawHttp.ConnectAsync(Node.ApiPort);
        await told.WriteAsync($"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nContent-Length: 1000000000\r\n\r\n");
        Assert.Equal(413, RawHttp.StatusOf(await told.ReadHeadAsync()));

        // Found while reading: chunks that never end.
        using RawHttp endless = await RawHttp.ConnectAsync(Node.ApiPort);
        await endless.WriteAsync($"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nTransfer-Encoding: chunked\r\n\r\n");
        byte[] chunk = Encoding.ASCII.GetBytes("40000\r\n" + new string('x', 0x40000) + "\r\n");
        try
        {
            for (int n = 0; n < 6; n++)
                await endless.WriteAsync(chunk);
        }
        catch (IOException)
        {
            // Refused and closed already: what stays readable is the answer.
        }

        Assert.Equal(413, RawHttp.StatusOf(await endless.ReadHeadAsync()));
    }

    [Fact]
    public async Task A_request_that_ends_in_the_middle_appends_nothing()
    {
        long before = await Node.AppendAsync("before");
        using (RawHttp raw = await RawHttp.ConnectAsync(Node.ApiPort))
            await raw.WriteAsync($"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1:{Node.ApiPort}\r\nContent-Length: 100\r\n\r\nonly this");
        Assert.Equal(before + 1, await Node.AppendAsync("after"));
    }
}
