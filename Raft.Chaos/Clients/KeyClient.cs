using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Raft.Chaos.Cluster;
using Raft.Simulator.Histories;

namespace Raft.Chaos.Clients;

/// <summary>Reads, writes, compares and sets, and deletes a few keys; half of the writes with an idempotency key.</summary>
internal sealed class KeyClient(ChaosCluster cluster, Recorder recorder, Random random, string name, KeyPool pool, bool hasStaleReads)
    : Client(cluster, recorder, random, name)
{
    private readonly Dictionary<string, long> _revisions = new(StringComparer.Ordinal);
    private int _count;

    protected override Task StepAsync()
    {
        string key = pool.Take();
        return Random.Next(100) switch
        {
            < 45 => ReadAsync(key, AnyNode()),
            < 65 => PutAsync(key, condition: null),
            < 85 => PutAsync(key, _revisions.TryGetValue(key, out long revision) && revision > 0 ? KeyCondition.Is(revision) : KeyCondition.Absent),
            < 95 => DeleteAsync(key, condition: null),
            _ => DeleteAsync(key, _revisions.TryGetValue(key, out long revision) && revision > 0 ? KeyCondition.Is(revision) : null),
        };
    }

    /// <summary>Reads a key at a node; false when it was not served.</summary>
    public async Task<bool> ReadAsync(string key, ChaosNode node)
    {
        Answer? answer = await ReadAsync(
            new GetKey(key), node, $"/v1/kv/{key}{(hasStaleReads ? "?consistency=stale" : "")}", answer => answer.Status == HttpStatusCode.NotFound ? new Missing() : new Found(answer.Text, answer.Revision));
        if (answer is not null)
            _revisions[key] = answer.Revision;
        return answer is not null;
    }

    private async Task PutAsync(string key, KeyCondition? condition)
    {
        string value = string.Create(CultureInfo.InvariantCulture, $"{Name}-{_count++}");
        string? repeated = Random.Next(2) == 0 ? NewIdempotencyKey() : null;
        Answer? answer = await WriteAsync(
            new PutKey(key, value, condition, repeated), repeated, node => With(Request(node, HttpMethod.Put, "/v1/kv/" + key, value), condition),
            answer => answer.Status == HttpStatusCode.PreconditionFailed
                ? new Refused(CurrentRevisionOf(answer), answer.RaftIndex)
                : new Written(answer.Json.GetProperty("revision").GetInt64(), answer.Json.GetProperty("created").GetBoolean()));
        Note(key, answer, answer is { Status: not HttpStatusCode.PreconditionFailed } ? answer.Json.GetProperty("revision").GetInt64() : 0);
    }

    private async Task DeleteAsync(string key, KeyCondition? condition)
    {
        string? repeated = Random.Next(2) == 0 ? NewIdempotencyKey() : null;
        Answer? answer = await WriteAsync(
            new DeleteKey(key, condition, repeated), repeated, node => With(Request(node, HttpMethod.Delete, "/v1/kv/" + key), condition),
            answer => answer.Status == HttpStatusCode.PreconditionFailed ? new Refused(CurrentRevisionOf(answer), answer.RaftIndex) : new Removed(answer.RaftIndex));
        Note(key, answer, 0);
    }

    private void Note(string key, Answer? answer, long revision)
    {
        if (answer is null)
            pool.NoteUnknown(key);
        else
            _revisions[key] = answer.Status == HttpStatusCode.PreconditionFailed ? CurrentRevisionOf(answer) : revision;
    }

    private static long CurrentRevisionOf(Answer answer) =>
        answer.Json.TryGetProperty("currentRevision", out System.Text.Json.JsonElement revision) && revision.ValueKind == System.Text.Json.JsonValueKind.Number ? revision.GetInt64() : 0;

    private static HttpRequestMessage With(HttpRequestMessage request, KeyCondition? condition)
    {
        if (condition is { Kind: KeyConditionKind.Absent })
            request.Headers.IfNoneMatch.Add(EntityTagHeaderValue.Any);
        else if (condition is { Revision: var revision })
            request.Headers.IfMatch.Add(new EntityTagHeaderValue(string.Create(CultureInfo.InvariantCulture, $"\"{revision}\"")));
        return request;
    }
}
