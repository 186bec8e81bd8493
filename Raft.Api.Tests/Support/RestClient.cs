using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>Requests as a client writes them, and what their answers must look like.</summary>
internal static class RestClient
{
    public static HttpRequestMessage Request(
        HttpMethod method, string path, byte[]? body = null, string? contentType = null, string? key = null, string? ifMatch = null, string? ifNoneMatch = null)
    {
        // Checked characters of a key must arrive as they were written: no canonical form of the path.
        var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            if (contentType is not null)
                request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        }

        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (ifNoneMatch is not null)
            request.Headers.TryAddWithoutValidation("If-None-Match", ifNoneMatch);
        return request;
    }

    public static Task<HttpResponseMessage> PostAsync(
        this NodeProcess node, string path, string body, string? contentType = "text/plain", string? key = null) =>
        node.Http.SendAsync(Request(HttpMethod.Post, path, Encoding.UTF8.GetBytes(body), contentType, key));

    public static Task<HttpResponseMessage> PutAsync(
        this NodeProcess node, string path, string body, string? contentType = "text/plain", string? key = null, string? ifMatch = null, string? ifNoneMatch = null) =>
        node.Http.SendAsync(Request(HttpMethod.Put, path, Encoding.UTF8.GetBytes(body), contentType, key, ifMatch, ifNoneMatch));

    public static Task<HttpResponseMessage> GetAsync(this NodeProcess node, string path, string? ifNoneMatch = null) =>
        node.Http.SendAsync(Request(HttpMethod.Get, path, ifNoneMatch: ifNoneMatch));

    public static Task<HttpResponseMessage> DeleteAsync(this NodeProcess node, string path, string? key = null, string? ifMatch = null) =>
        node.Http.SendAsync(Request(HttpMethod.Delete, path, key: key, ifMatch: ifMatch));

    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage answer) =>
        JsonElement.Parse(await answer.Content.ReadAsStringAsync());

    public static Task<string> TextAsync(this HttpResponseMessage answer) => answer.Content.ReadAsStringAsync();

    /// <summary>Appends one entry and gives its journal index; the answer must be 201.</summary>
    public static async Task<long> AppendAsync(this NodeProcess node, string body, string? key = null)
    {
        using HttpResponseMessage answer = await node.PostAsync("/v1/entries", body, key: key);
        await AssertStatusAsync(HttpStatusCode.Created, answer);
        return (await answer.JsonAsync()).GetProperty("index").GetInt64();
    }

    public static async Task AssertStatusAsync(HttpStatusCode expected, HttpResponseMessage answer)
    {
        if (answer.StatusCode != expected)
            Assert.Fail($"{answer.RequestMessage?.Method} {answer.RequestMessage?.RequestUri}: expected {(int)expected}, got {(int)answer.StatusCode}: {await answer.TextAsync()}");
    }

    /// <summary>The answer is a problem (RFC 9457) with this status and outcome; gives it.</summary>
    public static async Task<JsonElement> AssertProblemAsync(HttpStatusCode expected, string? outcome, HttpResponseMessage answer)
    {
        await AssertStatusAsync(expected, answer);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        JsonElement problem = await answer.JsonAsync();
        Assert.Equal((int)expected, problem.GetProperty("status").GetInt32());
        Assert.False(string.IsNullOrWhiteSpace(problem.GetProperty("title").GetString()));
        if (outcome is not null)
            Assert.Equal(outcome, problem.GetProperty("outcome").GetString());
        return problem;
    }

    /// <summary>Raft-Node, Raft-Term and Raft-Index say who answered and from where in its history.</summary>
    public static void AssertRaftHeaders(HttpResponseMessage answer, string node)
    {
        Assert.Equal(node, Header(answer, "Raft-Node"));
        Assert.True(long.Parse(Header(answer, "Raft-Term")!, CultureInfo.InvariantCulture) >= 1);
        Assert.True(long.Parse(Header(answer, "Raft-Index")!, CultureInfo.InvariantCulture) >= 0);
    }

    public static string? Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out IEnumerable<string>? values) || answer.Content.Headers.TryGetValues(name, out values)
            ? string.Join(", ", values)
            : null;
}
