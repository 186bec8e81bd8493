using System.Globalization;
using Raft.Chaos.Cluster;
using Raft.Simulator.Histories;

namespace Raft.Chaos.Clients;

/// <summary>Appends entries, each with an idempotency key, and sometimes reads the end of the journal.</summary>
internal sealed class AppendClient(ChaosCluster cluster, Recorder recorder, Random random, string name) : Client(cluster, recorder, random, name)
{
    private const int EntriesRead = 5;
    private int _count;
    private long _last = 1;

    protected override async Task StepAsync()
    {
        if (Random.Next(8) == 0)
        {
            long from = Math.Max(1, _last - Random.Next(EntriesRead));
            await ReadAsync(
                new ReadEntries(from, EntriesRead), AnyNode(), string.Create(CultureInfo.InvariantCulture, $"/v1/entries?from={from}&limit={EntriesRead}"),
                answer => new EntriesRead(
                    from, [.. answer.Json.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("text").GetString()!)],
                    answer.Json.GetProperty("lastIndex").GetInt64()));
            return;
        }

        string value = string.Create(CultureInfo.InvariantCulture, $"{Name}-{_count++}"), key = NewIdempotencyKey();
        Answer? answer = await WriteAsync(
            new AppendEntry(value, key), key, node => Request(node, HttpMethod.Post, "/v1/entries", value),
            answer => new Appended(answer.Json.GetProperty("index").GetInt64(), answer.RaftIndex));
        if (answer is not null)
        {
            _last = answer.Json.GetProperty("index").GetInt64();
            Recorder.NoteAppended(value, _last);
        }
    }
}
