using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Processes;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Rest;

/// <summary>More writes than there is memory for, on a healthy cluster: wait, and come again. It is no missing quorum.</summary>
[Collection(ProcessCollection.Name)]
public sealed class OverloadTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(true, 3)]       // the room is one for all groups
    public async Task Writes_that_find_no_room_in_time_are_a_429_on_the_leader_and_through_a_follower(bool atLeader, int groups)
    {
        string[] names = ["default", "a", "b"];
        // Room for one command at a time: whoever stands behind enough others waits too long.
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            node.Settings["Raft__Limits__MaxCommandBytes"] = "1024";
            node.Settings["Raft__Limits__MaxUncommittedBytes"] = "2048";
            node.Settings["Raft__Limits__MaxTotalBytes"] = "2048";
            for (int g = 0; g < groups; g++)
                node.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Groups__{g}__Id")] = names[g];
            node.Settings["Raft__RequestTimeoutMs"] = "1000";
        });
        NodeProcess leader = await cluster.LeaderAsync(), asked = atLeader ? leader : cluster.Nodes.First(node => node != leader);
        int written = 0;
        ConcurrentQueue<(string Body, JsonElement Problem)> overloaded = [];
        ConcurrentQueue<string> surprises = [];
        var watch = Stopwatch.StartNew();
        for (int clients = 256; overloaded.IsEmpty; clients = Math.Min(clients * 2, 4_096))
        {
            await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
            {
                for (int n = 0; n < 5 && overloaded.IsEmpty; n++)
                    await WriteAsync();
            }));
            Assert.Empty(surprises);
            Assert.True(watch.Elapsed < 3 * Wait.Bound, $"Nothing was refused, not even of {clients} clients.");
        }

        JsonElement problem = overloaded.First().Problem;
        Assert.Equal("/problems#overloaded", problem.GetProperty("type").GetString());
        Assert.Equal("notSubmitted", problem.GetProperty("outcome").GetString());

        // Afterwards there is room again, and what was refused is nowhere.
        await asked.WaitAsync(async () => (await asked.PostAsync("/v1/entries", "after")).StatusCode == HttpStatusCode.Created, "room for a write");
        await cluster.WaitUntilEqualAsync();
        string[] journal = [.. await Journal.ReadAllAsync(asked)];
        Assert.Contains("after", journal);
        for (int g = 1; g < groups; g++)
        {
            await asked.AppendToAsync(names[g], "after");
            journal = [.. journal, .. await Journal.ReadAllAsync(asked, group: names[g])];
        }

        Assert.Empty(journal.Intersect(overloaded.Select(refused => refused.Body)));

        async Task WriteAsync()
        {
            int number = Interlocked.Increment(ref written);
            string body = $"{number}".PadLeft(1_000, '0');
            using HttpResponseMessage answer = await asked.PostAsync($"/v1/groups/{names[number % groups]}/entries", body);
            switch (answer.StatusCode)
            {
                case HttpStatusCode.TooManyRequests:
                    if (answer.Headers.RetryAfter is null)
                        surprises.Enqueue("A 429 without Retry-After.");
                    overloaded.Enqueue((body, await answer.JsonAsync()));
                    break;
                case HttpStatusCode.Created or HttpStatusCode.GatewayTimeout or HttpStatusCode.RequestTimeout:
                    break;      // as it should be; appended and not committed in time, or a body that a busy machine took too long to read
                default:
                    surprises.Enqueue($"{(int)answer.StatusCode}: {await answer.TextAsync()}");
                    break;
            }
        }
    }
}
