using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Faults;

[Collection(ProcessCollection.Name)]
public sealed class DamageTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_flipped_bit_in_the_write_ahead_log_puts_the_node_into_quarantine()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        for (int first = 0; first < 500; first += 100)
        {
            for (int n = first; n < first + 100; n++)
                await node.AppendAsync(Token(n));
            await node.KillAsync(); // before the next checkpoint of the database: the log alone holds the last of them

            Flip(Files(node, "wal-*"), Token(first + 97));
            node.Start();
            bool isReady = false;
            await node.WaitAsync(
                async () =>
                {
                    using HttpResponseMessage answer = await node.GetAsync("/readyz?verbose");
                    isReady = answer.IsSuccessStatusCode;
                    return isReady || (await answer.TextAsync()).Contains("wal-", StringComparison.Ordinal);
                },
                "/readyz to say yes or to name the file");
            if (!isReady)
            {
                await AssertIsInQuarantineAsync(node, "wal-");
                return;
            }

            // On a very busy machine the checkpoint came first, and the log was no longer needed: again.
        }

        Assert.Fail("In five tries the flipped bit was never found.");
    }

    [Fact]
    public async Task A_flipped_bit_in_the_database_puts_the_node_into_quarantine()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        for (int n = 0; n < 100; n++)
            await node.AppendAsync(Token(n));
        Assert.Equal(0, await node.StopAsync()); // everything into the database

        Flip(Files(node, "raft-*.db"), Token(50));
        await AssertQuarantineAsync(node, "raft-");
    }

    [Fact]
    public async Task A_missing_file_beside_a_manifest_is_damage()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        await node.AppendAsync("x");
        Assert.Equal(0, await node.StopAsync());
        File.Delete(Files(node, "wal-1")[0]);
        await AssertQuarantineAsync(node, "wal-1");
    }

    [Fact]
    public async Task A_damaged_node_does_not_hurt_its_cluster()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        for (int n = 0; n < 50; n++)
            await cluster[0].AppendAsync(Token(n));
        await cluster.WaitUntilEqualAsync();
        NodeProcess damaged = await cluster.FollowerAsync();
        Assert.Equal(0, await damaged.StopAsync());
        Flip(Files(damaged, "raft-*.db"), Token(20));
        await AssertQuarantineAsync(damaged, "raft-");

        NodeProcess leader = await cluster.LeaderAsync(otherThan: damaged);
        await leader.AppendAsync("after");
        Assert.Equal(51, (await Journal.ReadAllAsync(leader)).Count);
    }

    [Fact]
    public async Task A_torn_last_record_is_no_damage()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        for (int n = 0; n < 20; n++)
            await node.AppendAsync(Token(n));
        await node.KillAsync();
        TearLastRecord(Files(node, "wal-*")); // as if the power had failed while it was written
        await node.StartAndWaitUntilReadyAsync();
        List<string> journal = await Journal.ReadAllAsync(node);
        Assert.InRange(journal.Count, 19, 20);
        Assert.Equal(Enumerable.Range(0, 19).Select(Token), journal.Take(19));
    }

    /// <summary>Which record is the last one the node alone decides: a state hash may follow the last append. docs/storage.md has its form.</summary>
    private static void TearLastRecord(string[] files)
    {
        const uint Magic = 0x324C_4157;
        (string File, int At, long Sequence) last = ("", 0, 0);
        foreach (string file in files)
        {
            byte[] bytes = File.ReadAllBytes(file);
            for (int at = 0; at < bytes.Length; at += 4096)
            {
                long sequence = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at + 16));
                if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)) == Magic && sequence > last.Sequence)
                    last = (file, at, sequence);
            }
        }

        Assert.True(last.Sequence > 20, $"Of {last.Sequence} records 20 are appends.");
        using FileStream stream = File.Open(last.File, FileMode.Open);
        stream.Position = last.At + 512;
        stream.Write(new byte[512]);                // a sector that never came; a changed bit would be damage
    }

    private static string Token(int number) => string.Create(CultureInfo.InvariantCulture, $"token-{number:d5}-of-the-damage-test");

    private static string[] Files(NodeProcess node, string pattern) => Directory.GetFiles(node.DataDirectory, pattern, SearchOption.AllDirectories);

    /// <summary>Flips one bit inside the place, or all places, where the text stands.</summary>
    private static void Flip(string[] files, string text)
    {
        byte[] pattern = Encoding.UTF8.GetBytes(text);
        int found = 0;
        foreach (string file in files)
        {
            byte[] bytes = File.ReadAllBytes(file);
            for (int at = bytes.AsSpan().IndexOf(pattern); at >= 0; at = bytes.AsSpan().IndexOf(pattern))
            {
                bytes[at + 3] ^= 1;
                using FileStream stream = File.OpenWrite(file);
                stream.Position = at + 3;
                stream.WriteByte(bytes[at + 3]);
                found++;
            }
        }

        Assert.True(found > 0, $"{text} stands in none of {string.Join(", ", files)}.");
    }

    /// <summary>Alive, not ready, says which file, where and what to do; status answers, writes are refused.</summary>
    private static async Task AssertQuarantineAsync(NodeProcess node, string file)
    {
        node.Start();
        await AssertIsInQuarantineAsync(node, file);
    }

    private static async Task AssertIsInQuarantineAsync(NodeProcess node, string file)
    {
        await node.WaitUntilNotReadyBecauseAsync(file);
        string reason = await (await node.GetAsync("/readyz?verbose")).TextAsync();
        Assert.Contains(node.DataDirectory, reason, StringComparison.Ordinal);
        Assert.Contains("offset", reason, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(HttpStatusCode.OK, (await node.GetAsync("/livez")).StatusCode);

        using HttpResponseMessage status = await node.GetAsync("/v1/status");
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, status);
        using HttpResponseMessage write = await node.PostAsync("/v1/entries", "x");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, "notSubmitted", write);
        Assert.Contains(file, problem.ToString(), StringComparison.Ordinal);
        Assert.Contains(file, node.Output, StringComparison.Ordinal);
    }
}
