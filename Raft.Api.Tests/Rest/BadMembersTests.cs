using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

/// <summary>Each bad request has its own problem, on every node, and changes nothing.</summary>
[Collection(ProcessCollection.Name)]
public sealed class BadMembersTests(TwoGroups two) : IClassFixture<TwoGroups>
{
    private ClusterProcesses Cluster => two.Cluster;

    [Theory]
    [InlineData("PUT", "/v1/members", """{"members":[]}""", 400, "no-voters")]
    [InlineData("PUT", "/v1/members", """{"members":[{"id":"n1","voter":false},{"id":"n2","voter":false}]}""", 400, "no-voters")]
    [InlineData("PUT", "/v1/members", """{"members":[{"id":"n1"},{"id":"n2"},{"id":"n1"}]}""", 400, "duplicate-member")]
    [InlineData("PUT", "/v1/members", """{"members":[{"id":"n1","peerUrl":"http://h:1"},{"id":"n2","peerUrl":"http://H:1/"}]}""", 400, "duplicate-member")]
    [InlineData("PUT", "/v1/groups/orders/members", """{"members":[{"id":"n1"},{"id":"n9"}]}""", 400, "bad-address")]
    [InlineData("PUT", "/v1/members", "{}", 400, "bad-body")]
    [InlineData("PUT", "/v1/members", null, 400, "bad-body")]
    [InlineData("POST", "/v1/members", """{"id":"n9"}""", 400, "bad-address")]
    [InlineData("POST", "/v1/members", """{"id":"n9","peerUrl":"nonsense"}""", 400, "bad-address")]
    [InlineData("POST", "/v1/members", """{"id":"n1","peerUrl":""}""", 400, "bad-address")]
    [InlineData("POST", "/v1/members", """{"id":"n9","peerUrl":"http://127.0.0.1:1/path"}""", 400, "bad-address")]
    [InlineData("POST", "/v1/members", """{"id":"n9","peerUrl":"http://127.0.0.1:1","apiUrl":"ftp://h"}""", 400, "bad-address")]
    [InlineData("POST", "/v1/members", """{"id":"n 9","peerUrl":"http://127.0.0.1:1"}""", 400, "bad-node-id")]
    [InlineData("POST", "/v1/members", """{"id":"n9","peerUrl":"http://127.0.0.1:1"}""", 409, "member-unreachable")]
    [InlineData("POST", "/v1/members", """{"id":"n9","peerUrl":"http://127.0.0.1:1","voters":false}""", 400, "bad-body")]
    [InlineData("POST", "/v1/members", """{"id":"n9","id":"n8"}""", 400, "bad-body")]
    [InlineData("POST", "/v1/members", "{", 400, "bad-body")]
    [InlineData("POST", "/v1/members", "null", 400, "bad-body")]
    [InlineData("POST", "/v1/members", """{"peerUrl":"http://127.0.0.1:1"}""", 400, "bad-body")]
    [InlineData("POST", "/v1/members?force=perhaps", """{"id":"n1"}""", 400, "bad-query")]
    [InlineData("POST", "/v1/members?timeoutMs=-1", """{"id":"n1"}""", 400, "bad-number")]
    [InlineData("DELETE", "/v1/members/n9", null, 404, "unknown-member")]
    [InlineData("DELETE", "/v1/members/n%209", null, 400, "bad-node-id")]
    [InlineData("DELETE", "/v1/groups/orders/members/n9", null, 404, "unknown-member")]
    [InlineData("DELETE", "/v1/groups/nobody/members/n1", null, 404, "no-such-group")]
    [InlineData("POST", "/v1/members/n9/promote", null, 404, "unknown-member")]
    [InlineData("POST", "/v1/members/n9/demote", null, 404, "unknown-member")]
    [InlineData("POST", "/v1/leader/transfer", """{"target":"n9"}""", 404, "unknown-member")]
    [InlineData("POST", "/v1/groups/orders/leader/transfer", """{"target":"n9"}""", 404, "unknown-member")]
    [InlineData("POST", "/v1/groups/nobody/leader/transfer", """{"target":"n1"}""", 404, "no-such-group")]
    [InlineData("POST", "/v1/leader/transfer", """{"target":"n 1"}""", 400, "bad-node-id")]
    [InlineData("POST", "/v1/leader/transfer", """{"goal":"n1"}""", 400, "bad-body")]
    [InlineData("POST", "/v1/leader/step-down?timeoutMs=soon", null, 400, "bad-number")]
    [InlineData("GET", "/v1/groups/nobody/members", null, 404, "no-such-group")]
    [InlineData("POST", "/v1/groups/nobody/snapshots", null, 404, "no-such-group")]
    [InlineData("POST", "/v1/groups/nobody/read-barrier", null, 404, "no-such-group")]
    public async Task Bad_input_has_its_problem_and_changes_nothing(string method, string path, string? body, int status, string name)
    {
        long[] before = await Cluster[0].ConfigurationsAsync();
        string leader = await Cluster[0].LeaderOfAsync();
        foreach (NodeProcess node in Cluster.Nodes)
        {
            using HttpResponseMessage answer = await node.SendJsonAsync(method, path, body);
            JsonElement problem = await RestClient.AssertProblemAsync((HttpStatusCode)status, method == "GET" ? null : "notSubmitted", answer);
            Assert.Equal("/problems#" + name, problem.GetProperty("type").GetString());
        }

        Assert.Equal(before, await Cluster[0].ConfigurationsAsync());
        Assert.Equal(leader, await Cluster[0].LeaderOfAsync());
    }

    [Theory]
    [InlineData("\"1000000\"", null, 412, "configuration-moved")]
    [InlineData("\"x\"", null, 412, "configuration-moved")]
    [InlineData("5", null, 400, "bad-precondition")]
    [InlineData("\"1\", \"2\"", null, 400, "bad-precondition")]
    [InlineData(null, "*", 400, "bad-precondition")]
    public async Task A_change_of_another_configuration_than_the_expected_one_is_refused(string? ifMatch, string? ifNoneMatch, int status, string name)
    {
        foreach (NodeProcess node in Cluster.Nodes)
        {
            using HttpResponseMessage answer = await node.SendJsonAsync("PUT", "/v1/members", """{"members":[{"id":"n1"},{"id":"n2"}]}""", ifMatch, ifNoneMatch);
            JsonElement problem = await RestClient.AssertProblemAsync((HttpStatusCode)status, "notSubmitted", answer);
            Assert.Equal("/problems#" + name, problem.GetProperty("type").GetString());
        }

        Assert.Equal(3, (await Cluster[0].MembersOfAsync()).GetProperty("members").GetArrayLength());
    }

    [Fact]
    public async Task A_body_of_another_type_is_a_415_and_names_the_right_one()
    {
        using HttpResponseMessage answer = await Cluster[0].PostAsync("/v1/members", """{"id":"n1"}""", "application/x-www-form-urlencoded");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.UnsupportedMediaType, "notSubmitted", answer);
        Assert.Contains("application/json", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Leadership_goes_neither_to_the_leader_itself_nor_to_another_member_s_address()
    {
        foreach (NodeProcess node in Cluster.Nodes)
        {
            string leader = await node.LeaderOfAsync("orders");
            using HttpResponseMessage itself = await node.SendJsonAsync("POST", "/v1/groups/orders/leader/transfer", $$"""{"target":"{{leader}}"}""");
            Assert.Equal("/problems#invalid-target", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", itself)).GetProperty("type").GetString());
            using HttpResponseMessage taken = await node.SendJsonAsync("POST", "/v1/members", $$"""{"id":"n9","peerUrl":"{{Cluster[1].PeerUrl}}"}""");
            Assert.Equal("/problems#address-in-use", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", taken)).GetProperty("type").GetString());
        }
    }
}
