using System.Globalization;
using System.Net.Http.Headers;
using System.Text;

namespace Raft.Bench.Load;

/// <summary>The requests that the load is made of.</summary>
internal static class Operations
{
    private static readonly MediaTypeHeaderValue Binary = new("application/octet-stream");
    private static readonly MediaTypeHeaderValue Lines = new("application/x-ndjson");

    /// <param name="keys">Written in turn.</param>
    /// <param name="bytes">Of a value.</param>
    /// <param name="group">Another than the first one.</param>
    /// <param name="prefix">Of their names.</param>
    public static Operation Put(int keys, int bytes, string? group = null, string prefix = "k")
    {
        string path = group is null ? $"/v1/kv/{prefix}" : $"/v1/groups/{group}/kv/{prefix}";
        byte[] body = Encoding.ASCII.GetBytes(new string('x', bytes));
        return async (http, url, number, cancellation) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, string.Create(CultureInfo.InvariantCulture, $"{url}{path}{(number % keys) + 1}"))
            {
                Content = new ByteArrayContent(body) { Headers = { ContentType = Binary } },
            };
            await SendAsync(http, request, cancellation);
            return 1;
        };
    }

    public static Operation Get(int keys) => async (http, url, number, cancellation) =>
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"{url}/v1/kv/k{(number % keys) + 1}"));
        await SendAsync(http, request, cancellation);
        return 1;
    };

    public static Operation Append(int bytes)
    {
        byte[] body = Encoding.ASCII.GetBytes(new string('x', bytes));
        return async (http, url, _, cancellation) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url + "/v1/entries")
            {
                Content = new ByteArrayContent(body) { Headers = { ContentType = Binary } },
            };
            await SendAsync(http, request, cancellation);
            return 1;
        };
    }

    public static Operation Ndjson(int batch, int bytes)
    {
        string line = $"{{\"text\":\"{new string('x', Math.Max(0, bytes - 11))}\"}}\n";
        byte[] body = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(line, batch)));
        return async (http, url, _, cancellation) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url + "/v1/entries")
            {
                Content = new ByteArrayContent(body) { Headers = { ContentType = Lines } },
            };
            await SendAsync(http, request, cancellation);
            return batch;
        };
    }

    private static async Task SendAsync(HttpMessageInvoker http, HttpRequestMessage request, CancellationToken cancellation)
    {
        using HttpResponseMessage answer = await http.SendAsync(request, cancellation);
        byte[] body = await answer.Content.ReadAsByteArrayAsync(cancellation);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"{(int)answer.StatusCode}: {Encoding.UTF8.GetString(body)}");
    }
}
