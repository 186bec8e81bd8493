using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Samples;

[Collection(ProcessCollection.Name)]
public sealed class CounterTests
{
    [Fact]
    public async Task A_state_machine_of_ones_own_counts_in_the_host_and_goes_on_after_a_crash()
    {
        using var directory = new TempDirectory();
        int[] ports = Ports.Take(2);
        await using var node = new NodeProcess("n1", directory.Path, ports[0], ports[1]) { Assembly = Path.Combine(AppContext.BaseDirectory, "Counter.dll") };
        await node.StartAndWaitUntilReadyAsync();

        JsonElement counted = await CountAsync(node, "apples 5");
        Assert.Equal(("apples", 5), (counted.GetProperty("name").GetString(), counted.GetProperty("value").GetInt64()));
        counted = await CountAsync(node, "apples -2");
        Assert.Equal(3, counted.GetProperty("value").GetInt64());
        Assert.Contains("not a name and a number", (await CountAsync(node, "what?")).GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal("3", await node.Http.GetStringAsync("/counters/apples"));
        Assert.Equal("0", await node.Http.GetStringAsync("/counters/pears"));

        await node.KillAsync();
        await node.StartAndWaitUntilReadyAsync();
        Assert.Equal("3", await node.Http.GetStringAsync("/counters/apples"));
        Assert.Equal(4, (await CountAsync(node, "apples 1")).GetProperty("value").GetInt64());
        Assert.Equal(0, await node.StopAsync());
    }

    private static async Task<JsonElement> CountAsync(NodeProcess node, string command)
    {
        using HttpResponseMessage answer = await node.Http.PostAsync("/v1/entries", new StringContent(command, Encoding.UTF8));
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{answer.StatusCode}: {body}");
        return JsonElement.Parse(body);
    }
}
