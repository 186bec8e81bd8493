using System.Net;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class IdempotencyTests(OneNode one) : IClassFixture<OneNode>
{
    private NodeProcess Node => one.Node;

    [Fact]
    public async Task A_repeated_append_gets_the_first_outcome()
    {
        long first = await Node.AppendAsync("body", key: "append-1");
        Assert.Equal(first, await Node.AppendAsync("body", key: "append-1"));
        Assert.Equal(first + 1, await Node.AppendAsync("other", key: "append-2"));
    }

    [Fact]
    public async Task A_repeated_batch_gets_the_first_outcome()
    {
        string first = await (await Node.PostAsync("/v1/entries", "1\n2\n", "application/x-ndjson", key: "batch-1")).TextAsync();
        string second = await (await Node.PostAsync("/v1/entries", "1\n2\n", "application/x-ndjson", key: "batch-1")).TextAsync();
        Assert.Equal(first, second);
    }

    [Fact]
    public async Task A_repeated_put_gets_the_first_outcome_even_after_a_later_write()
    {
        using HttpResponseMessage first = await Node.PutAsync("/v1/kv/idem", "one", key: "put-1");
        first.EnsureSuccessStatusCode();
        (await Node.PutAsync("/v1/kv/idem", "two")).EnsureSuccessStatusCode();
        using HttpResponseMessage again = await Node.PutAsync("/v1/kv/idem", "one", key: "put-1");
        Assert.Equal(first.StatusCode, again.StatusCode);
        Assert.Equal(first.Headers.ETag, again.Headers.ETag);
        Assert.Equal("two", await (await Node.GetAsync("/v1/kv/idem")).TextAsync());
    }

    [Fact]
    public async Task A_repeated_failed_precondition_stays_failed()
    {
        using HttpResponseMessage first = await Node.PutAsync("/v1/kv/cas", "x", key: "cas-1", ifMatch: "\"1\"");
        await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", first);
        using HttpResponseMessage again = await Node.PutAsync("/v1/kv/cas", "x", key: "cas-1", ifMatch: "\"1\"");
        await RestClient.AssertStatusAsync(HttpStatusCode.PreconditionFailed, again);
    }

    [Fact]
    public async Task The_same_key_with_another_body_is_a_422()
    {
        long first = await Node.AppendAsync("body", key: "other-body");
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "another body", key: "other-body");
        await RestClient.AssertProblemAsync(HttpStatusCode.UnprocessableEntity, "notSubmitted", answer);
        Assert.Equal(first + 1, await Node.AppendAsync("next"));
    }

    [Fact]
    public async Task The_same_key_on_another_resource_is_a_422()
    {
        (await Node.PutAsync("/v1/kv/resource-a", "x", key: "resource")).EnsureSuccessStatusCode();
        using HttpResponseMessage answer = await Node.PutAsync("/v1/kv/resource-b", "x", key: "resource");
        await RestClient.AssertProblemAsync(HttpStatusCode.UnprocessableEntity, "notSubmitted", answer);
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("")]
    public async Task A_key_that_is_not_visible_ascii_is_a_400(string key)
    {
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "x", key: key);
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Fact]
    public async Task A_key_of_255_characters_is_taken_and_one_of_256_is_a_400()
    {
        await Node.AppendAsync("x", key: new string('k', 255));
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "x", key: new string('k', 256));
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", answer);
    }

    [Fact]
    public async Task The_first_outcome_survives_a_restart()
    {
        long first = await Node.AppendAsync("body", key: "restart");
        await Node.KillAsync();
        await Node.StartAndWaitUntilReadyAsync();
        Assert.Equal(first, await Node.AppendAsync("body", key: "restart"));
    }

    [Fact]
    public async Task A_key_that_carries_an_old_time_is_refused_and_never_executed()
    {
        string key = Guid.CreateVersion7(DateTimeOffset.UtcNow.AddDays(-1)).ToString();
        long before = await Node.AppendAsync("before");
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "x", key: key);
        string problem = (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", answer)).ToString();
        Assert.Contains("key-too-old", problem, StringComparison.Ordinal);
        Assert.Equal(before + 1, await Node.AppendAsync("after"));

        await Node.AppendAsync("x", key: Guid.CreateVersion7().ToString());
    }

    [Fact]
    public async Task A_key_that_carries_a_time_of_the_future_is_refused_and_never_executed()
    {
        string key = Guid.CreateVersion7(DateTimeOffset.UtcNow.AddHours(1)).ToString();
        long before = await Node.AppendAsync("before");
        using HttpResponseMessage answer = await Node.PostAsync("/v1/entries", "x", key: key);
        string problem = (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", answer)).ToString();
        Assert.Contains("key-from-the-future", problem, StringComparison.Ordinal);
        using HttpResponseMessage put = await Node.PutAsync("/v1/kv/future", "x", key: key);
        await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", put);
        Assert.Equal(HttpStatusCode.NotFound, (await Node.GetAsync("/v1/kv/future")).StatusCode);
        Assert.Equal(before + 1, await Node.AppendAsync("after"));
    }

    [Fact]
    public async Task Of_many_requests_with_one_key_at_once_one_is_executed()
    {
        long before = await Node.AppendAsync("before");
        HttpResponseMessage[] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Node.PostAsync("/v1/entries", "x", key: "together")));
        foreach (HttpResponseMessage answer in answers)
            Assert.True(answer.StatusCode is HttpStatusCode.Created or HttpStatusCode.Conflict, await answer.TextAsync());
        Assert.Contains(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(before + 1, await Node.AppendAsync("x", key: "together"));
        Assert.Equal(before + 2, await Node.AppendAsync("after"));
    }
}
