using System.Globalization;
using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>The whole journal of one node, read page by page.</summary>
internal static class Journal
{
    public static async Task<List<string>> ReadAllAsync(NodeProcess node, string query = "", string group = "default")
    {
        var lines = new List<string>();
        long from = 1;
        while (true)
        {
            JsonElement page = await node.GetJsonAsync(string.Create(CultureInfo.InvariantCulture, $"/v1/groups/{group}/entries?from={from}&limit=1000{query}"));
            JsonElement entries = page.GetProperty("entries");
            foreach (JsonElement entry in entries.EnumerateArray())
            {
                Assert.Equal(lines.Count + 1, entry.GetProperty("index").GetInt64()); // dense: no holes, none twice
                lines.Add(TextOf(entry));
            }

            if (lines.Count >= page.GetProperty("lastIndex").GetInt64())
                return lines;
            Assert.True(entries.GetArrayLength() > 0, $"An empty page from {from} on, before lastIndex: {page}");
            from = lines.Count + 1;
        }
    }

    public static string TextOf(JsonElement entry) =>
        entry.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()!
        : entry.TryGetProperty("json", out JsonElement json) && json.ValueKind != JsonValueKind.Undefined ? json.ToString()
        : System.Text.Encoding.Latin1.GetString(entry.GetProperty("base64").GetBytesFromBase64());
}
