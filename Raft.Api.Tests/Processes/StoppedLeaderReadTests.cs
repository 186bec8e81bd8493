using System.Globalization;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class StoppedLeaderReadTests(ITestOutputHelper output)
{
    private const int Tries = 50;

    /// <summary>Time stands still for a leader, so it cannot know that another leads: what it reads it must ask a quorum for. PhD 6.4</summary>
    [Fact]
    public async Task A_former_leader_that_goes_on_never_answers_with_an_old_value()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            node.Settings["Raft__TickMs"] = "20"; // elections after 200 to 400 ms
            node.Settings["Raft__FailureDetector__PingMs"] = "40";
            node.Settings["Raft__FailureDetector__TimeoutMs"] = "160";
        });
        int answered = 0, refused = 0;
        for (int n = 0; n < Tries; n++)
        {
            string value = n.ToString(CultureInfo.InvariantCulture);
            NodeProcess old = await cluster.LeaderAsync();
            var reads = new List<Task<string?>>();
            old.Send(Signal.Stop);
            try
            {
                NodeProcess next = await cluster.LeaderAsync(otherThan: old);
                await next.WaitAsync(async () => (await next.PutAsync("/v1/kv/x", value, key: $"write-{n}")).IsSuccessStatusCode, "a write by the new leader");

                // Sent after the write was acknowledged, and the first thing that it finds when it goes on.
                for (int read = 0; read < 2; read++)
                    reads.Add(ReadAsync(old));
            }
            finally
            {
                old.Send(Signal.Continue);
            }

            for (int read = 0; read < 3; read++)
                reads.Add(ReadAsync(old));
            foreach (string? read in await Task.WhenAll(reads))
            {
                if (read is not null)
                    Assert.Equal(value, read);
                (answered, refused) = read is null ? (answered, refused + 1) : (answered + 1, refused);
            }
        }

        output.WriteLine($"{Tries} tries: {answered} reads answered, none stale; {refused} refused");
        Assert.True(answered > 0);
        await cluster.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
    }

    /// <summary>Null: an error, which is no lie.</summary>
    private static async Task<string?> ReadAsync(NodeProcess node)
    {
        try
        {
            using HttpResponseMessage answer = await node.GetAsync("/v1/kv/x");
            if (answer.IsSuccessStatusCode)
                return await answer.TextAsync();
            Assert.True((int)answer.StatusCode is 503 or 504 or 429, await answer.TextAsync());
            return null;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
        {
            return null;
        }
    }
}
