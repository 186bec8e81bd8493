using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class MembersTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_member_s_life_learner_joining_voter_leader_learner_gone()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, TwoGroups.Configure);
        await using NodeProcess fourth = cluster.NewSpare("n4");
        fourth.Start();
        NodeProcess asked = cluster[1], other = cluster[2];
        await asked.AppendAsync("before");

        // Learner: at once, in both groups.
        string add = $$"""{"id":"n4","peerUrl":"{{fourth.PeerUrl}}","apiUrl":"{{fourth.ApiUrl}}","voter":false}""";
        await fourth.WaitAsync(async () => (await asked.SendJsonAsync("POST", "/v1/members", add)).StatusCode != HttpStatusCode.Conflict, "n4 to be taken in");
        await fourth.WaitUntilReadyAsync();
        JsonElement again = await other.AskAsync("POST", "/v1/members", add);
        Assert.Equal("nothingToDo", again.GetProperty("outcome").GetString());
        Assert.Equal(["default", "orders"], again.GetProperty("groups").EnumerateArray().Select(group => group.GetProperty("group").GetString()));
        foreach (string group in new[] { "default", "orders" })
            Assert.Equal("learner", (await other.MembersOfAsync(group)).KindOf("n4"));
        Assert.Equal(["before"], await Journal.ReadAllAsync(fourth));

        using (HttpResponseMessage toLearner = await other.SendJsonAsync("POST", "/v1/leader/transfer", """{"target":"n4"}"""))
            Assert.Equal("/problems#invalid-target", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", toLearner)).GetProperty("type").GetString());

        // Joining: it does not catch up while it stands still, so the change stays under way.
        fourth.Send(Signal.Stop);
        try
        {
            await asked.AppendAsync("while it stands still");
            const string swap = """{"members":[{"id":"n1"},{"id":"n2"},{"id":"n3","voter":false},{"id":"n4","voter":true}]}""";
            using HttpResponseMessage promoted = await asked.SendJsonAsync("PUT", "/v1/members?timeoutMs=200", swap);
            await RestClient.AssertStatusAsync(HttpStatusCode.Accepted, promoted);
            Assert.Equal("/v1/members", promoted.Headers.Location?.ToString());
            Assert.Equal("inProgress", (await promoted.JsonAsync()).GetProperty("outcome").GetString());

            foreach (NodeProcess node in cluster.Nodes)
            {
                JsonElement members = await node.GetJsonAsync("/v1/members");
                Assert.Equal("joining", members.KindOf("n4"));
                Assert.Equal("catchingUp", members.GetProperty("change").GetProperty("state").GetString());
                Assert.Equal(["default", "orders"], members.GetProperty("groupsInChange").EnumerateArray().Select(group => group.GetString()));
                JsonElement joining = members.GetProperty("members").EnumerateArray().Single(member => member.GetProperty("id").GetString() == "n4").GetProperty("joining");
                Assert.True(joining.GetProperty("lag").GetInt64() >= 1, joining.ToString());

                using HttpResponseMessage second = await node.SendJsonAsync("DELETE", "/v1/members/n3", null);
                Assert.Equal("/problems#change-in-progress", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", second)).GetProperty("type").GetString());
                Assert.NotNull(second.Headers.RetryAfter);
            }

            foreach ((string method, string path, string? body) in new[] { ("PUT", "/v1/members?timeoutMs=100", swap), ("POST", "/v1/members/n4/promote?timeoutMs=100", null) })
                Assert.Equal("inProgress", (await other.AskAsync(method, path, body, HttpStatusCode.Accepted)).GetProperty("outcome").GetString());
        }
        finally
        {
            fourth.Send(Signal.Continue);
        }

        // Voter, and leader.
        await asked.WaitAsync(async () => (await asked.GetJsonAsync("/v1/members")) is { } members
            && members.GetProperty("change").ValueKind == JsonValueKind.Null && members.GetProperty("groupsInChange").GetArrayLength() == 0, "the change to be done");
        JsonElement swapped = await fourth.MembersOfAsync("orders");
        Assert.Equal(("learner", "voter"), (swapped.KindOf("n3"), swapped.KindOf("n4")));
        JsonElement handedOver = await asked.AskAsync("POST", "/v1/leader/transfer", """{"target":"n4"}""");
        Assert.All(handedOver.GetProperty("groups").EnumerateArray(), group => Assert.Equal("n4", group.GetProperty("leader").GetString()));

        // Learner again, by way of another leader; and gone.
        await other.AskAsync("POST", "/v1/members/n4/demote?timeoutMs=60000");
        Assert.Equal("learner", (await other.MembersOfAsync()).KindOf("n4"));
        JsonElement removed = await other.AskAsync("DELETE", "/v1/members/n4?timeoutMs=60000");
        Assert.Equal("done", removed.GetProperty("outcome").GetString());
        Assert.Equal("none", (await asked.MembersOfAsync("orders")).KindOf("n4"));
        await fourth.WaitUntilNotReadyBecauseAsync("was removed");
        Assert.Equal("done", (await asked.AskAsync("POST", "/v1/members/n3/promote?timeoutMs=60000")).GetProperty("outcome").GetString());
        Assert.Equal("voter", (await asked.MembersOfAsync("orders")).KindOf("n3"));
        await cluster.WaitUntilReadyAsync();
        await asked.AppendAsync("after");
    }

    [Fact]
    public async Task The_wanted_set_is_put_under_its_tag_and_a_tag_of_before_is_refused()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, TwoGroups.Configure);
        NodeProcess asked = await cluster.FollowerAsync();
        await asked.WaitAsync(
            async () => (await asked.MembersOfAsync()).GetProperty("members").EnumerateArray().All(member => member.GetProperty("alive").ValueKind == JsonValueKind.True), "the leader to say that all are alive");
        using HttpResponseMessage members = await asked.GetAsync("/v1/members");
        string tag = members.Headers.ETag!.ToString();
        JsonElement seen = await members.JsonAsync();
        Assert.Equal($"\"{seen.GetProperty("configurationIndex").GetInt64()}\"", tag);

        string gone = cluster.Nodes.First(node => node != asked && node.Id != seen.GetProperty("leader").GetString()).Id;
        string two = $$"""{"members":[{{string.Join(',', cluster.Nodes.Where(node => node.Id != gone).Select(node => $$"""{"id":"{{node.Id}}"}"""))}}]}""";
        using HttpResponseMessage put = await asked.SendJsonAsync("PUT", "/v1/members?timeoutMs=60000", two, ifMatch: tag);
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, put);
        Assert.NotEqual(tag, put.Headers.ETag!.ToString());
        Assert.Equal("done", (await put.JsonAsync()).GetProperty("outcome").GetString());
        foreach (string group in new[] { "default", "orders" })
            Assert.Equal("none", (await asked.MembersOfAsync(group)).KindOf(gone));

        using HttpResponseMessage late = await asked.SendJsonAsync("PUT", "/v1/members", two, ifMatch: tag);
        Assert.Equal("/problems#configuration-moved", (await RestClient.AssertProblemAsync(HttpStatusCode.PreconditionFailed, "notSubmitted", late)).GetProperty("type").GetString());
        Assert.Equal("nothingToDo", (await asked.AskAsync("PUT", "/v1/members", two)).GetProperty("outcome").GetString());

        // The last voters: one must stay.
        string left = cluster.Nodes.First(node => node.Id != gone && node != asked).Id;
        await asked.AskAsync("DELETE", $"/v1/members/{left}?timeoutMs=60000");
        using HttpResponseMessage last = await asked.SendJsonAsync("DELETE", $"/v1/members/{asked.Id}", null);
        Assert.Equal("/problems#invalid-configuration", (await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, "notSubmitted", last)).GetProperty("type").GetString());
        await asked.AppendAsync("alone");
    }

    [Fact]
    public async Task An_api_address_changes_and_leadership_does_not_go_to_the_dead()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, TwoGroups.Configure);
        NodeProcess leader = await cluster.LeaderAsync(), dead = cluster.Nodes.First(node => node != leader), asked = cluster.Nodes.Last(node => node != leader && node != dead);
        await asked.AskAsync("POST", "/v1/members?timeoutMs=60000", $$"""{"id":"{{dead.Id}}","apiUrl":"http://127.0.0.1:9"}""");
        JsonElement changed = (await asked.MembersOfAsync("orders")).GetProperty("members").EnumerateArray().Single(member => member.GetProperty("id").GetString() == dead.Id);
        Assert.Equal(("http://127.0.0.1:9", dead.PeerUrl, "voter"), (changed.GetProperty("apiUrl").GetString(), changed.GetProperty("peerUrl").GetString(), changed.GetProperty("kind").GetString()));

        await dead.KillAsync();
        await asked.WaitAsync(
            async () => (await asked.MembersOfAsync()).GetProperty("members").EnumerateArray().Single(member => member.GetProperty("id").GetString() == dead.Id).GetProperty("alive") is { ValueKind: JsonValueKind.False },
            "the dead one to be seen as dead");
        using HttpResponseMessage answer = await asked.SendJsonAsync("POST", "/v1/groups/default/leader/transfer", $$"""{"target":"{{dead.Id}}"}""");
        Assert.Equal("/problems#invalid-target", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", answer)).GetProperty("type").GetString());
        await asked.AppendAsync("still led");
    }
}
