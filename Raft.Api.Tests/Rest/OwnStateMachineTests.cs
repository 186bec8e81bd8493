using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Raft.Engine.Plugins;
using Raft.Engine.Server;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class OwnStateMachineTests
{
    [Fact]
    public async Task A_state_machine_of_one_s_own_gets_the_bytes_and_its_result_is_the_answer()
    {
        await using InProcessNode node = await InProcessNode.StartAsync(host => host.UseStateMachine<Mirror>());
        using HttpResponseMessage text = await node.SendAsync(HttpMethod.Post, "/v1/entries", "text");
        Assert.Equal((HttpStatusCode.OK, "text/plain", "text"), (text.StatusCode, text.Content.Headers.ContentType?.MediaType, await text.TextAsync()));
        foreach (string kind in new[] { "bytes", "memory" })
        {
            using HttpResponseMessage bytes = await node.SendAsync(HttpMethod.Post, "/v1/groups/default/entries", kind);
            Assert.Equal((HttpStatusCode.OK, "application/octet-stream", kind), (bytes.StatusCode, bytes.Content.Headers.ContentType?.MediaType, await bytes.TextAsync()));
        }

        using HttpResponseMessage json = await node.SendAsync(HttpMethod.Post, "/v1/entries", "json");
        Assert.Equal(("application/json", 4), (json.Content.Headers.ContentType?.MediaType, (await json.JsonAsync()).GetProperty("howLong").GetInt32()));
        using HttpResponseMessage nothing = await node.SendAsync(HttpMethod.Post, "/v1/entries", "nothing");
        Assert.Equal(HttpStatusCode.NoContent, nothing.StatusCode);
        using HttpResponseMessage committed = await node.SendAsync(HttpMethod.Post, "/v1/entries?wait=committed", "text");
        Assert.Equal(HttpStatusCode.Accepted, committed.StatusCode);

        using HttpResponseMessage unreadable = await node.SendAsync(HttpMethod.Post, "/v1/entries", "unreadable");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.InternalServerError, "committed", unreadable);
        Assert.Equal("/problems#result-unreadable", problem.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("GET", "/v1/entries")]
    [InlineData("GET", "/v1/entries/1")]
    [InlineData("GET", "/v1/kv")]
    [InlineData("GET", "/v1/kv/x")]
    [InlineData("PUT", "/v1/kv/x")]
    [InlineData("DELETE", "/v1/kv/x")]
    [InlineData("GET", "/v1/idempotency/x")]
    public async Task What_the_store_alone_has_is_a_404_that_says_why(string method, string path)
    {
        await using InProcessNode node = await InProcessNode.StartAsync(host => host.UseStateMachine<Mirror>());
        using HttpResponseMessage answer = await node.SendAsync(new HttpMethod(method), path, method == "PUT" ? "x" : null);
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, null, answer);
        Assert.Equal("/problems#no-store", problem.GetProperty("type").GetString());
        Assert.Contains(nameof(Mirror), problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_nobody_would_keep_is_refused_and_the_status_has_no_store()
    {
        await using InProcessNode node = await InProcessNode.StartAsync(host => host.UseStateMachine<Mirror>());
        using HttpResponseMessage keyed = await node.SendAsync(HttpMethod.Post, "/v1/entries", "text", key: "once");
        Assert.Equal("/problems#no-idempotency-keys", (await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", keyed)).GetProperty("type").GetString());
        using HttpResponseMessage status = await node.SendAsync(HttpMethod.Get, "/v1/status");
        Assert.Equal(JsonValueKind.Null, (await status.JsonAsync()).GetProperty("groups")[0].GetProperty("journal").ValueKind);
    }

    [Fact]
    public async Task A_group_whose_state_differs_is_out_of_service()
    {
        await using InProcessNode node = await InProcessNode.StartAsync();
        (await node.SendAsync(HttpMethod.Put, "/v1/kv/x", "y")).EnsureSuccessStatusCode();
        await Wait.UntilAsync(
            async () =>
            {
                (await node.SendAsync(HttpMethod.Post, "/v1/entries", "another")).EnsureSuccessStatusCode();
                return node.Group.Machine.PendingHashCheck is not null;
            },
            "a state hash to be recorded");
        HashCheck check = node.Group.Machine.PendingHashCheck!;
        await node.Group.Server.AddSystemEntryAsync(SystemCommands.Encode(check with { Hash = check.Hash + 1 }), WaitFor.Applied, CancellationToken.None);

        foreach ((HttpMethod method, string path) in new[]
        {
            (HttpMethod.Get, "/v1/kv/x"), (HttpMethod.Get, "/v1/kv/x?consistency=stale"), (HttpMethod.Put, "/v1/kv/x"), (HttpMethod.Delete, "/v1/groups/default/kv/x"),
            (HttpMethod.Post, "/v1/entries"), (HttpMethod.Get, "/v1/entries"), (HttpMethod.Get, "/v1/idempotency/x"),
        })
        {
            using HttpResponseMessage answer = await node.SendAsync(method, path, method == HttpMethod.Put || method == HttpMethod.Post ? "z" : null);
            JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, null, answer);
            Assert.Equal("/problems#state-differs", problem.GetProperty("type").GetString());
        }

        using HttpResponseMessage status = await node.SendAsync(HttpMethod.Get, "/v1/status");
        Assert.Contains("hash", (await status.JsonAsync()).GetProperty("groups")[0].GetProperty("alarm").GetString(), StringComparison.Ordinal);
        using HttpResponseMessage groups = await node.SendAsync(HttpMethod.Get, "/v1/groups");
        Assert.False((await groups.JsonAsync()).GetProperty("groups")[0].GetProperty("ready").GetBoolean());
    }

    /// <summary>Answers in the form that the command names.</summary>
    private sealed class Mirror : IStateMachine
    {
        public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation) =>
            ValueTask.FromResult<IReadOnlyList<object?>>([.. commands.Select(command => Answer(command.Command.ToArray()))]);

        public IStateSnapshot TakeSnapshot() => new Empty();

        public ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation) => ValueTask.CompletedTask;

        private static object? Answer(byte[] command) => Encoding.UTF8.GetString(command) switch
        {
            "nothing" => null,
            "bytes" => command,
            "memory" => (ReadOnlyMemory<byte>)command,
            "json" => new { HowLong = command.Length },
            "unreadable" => typeof(Mirror),
            string text => text,
        };

        private sealed class Empty : IStateSnapshot
        {
            public Task WriteAsync(Stream target, CancellationToken cancellation) => Task.CompletedTask;

            public void Dispose()
            {
            }
        }
    }
}
