using Raft.Engine.Protocol;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Api.Tests.Hosting;

/// <summary>Design 4.5: whatever the order of starts, exactly one cluster.</summary>
public sealed class FormationTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly FormationNetwork _network = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _network.DisposeAsync().AsTask();

    [Theory]
    [InlineData("n1", "n2", "n3")]
    [InlineData("n1", "n3", "n2")]
    [InlineData("n2", "n1", "n3")]
    [InlineData("n2", "n3", "n1")]
    [InlineData("n3", "n1", "n2")]
    [InlineData("n3", "n2", "n1")]
    public async Task Three_empty_nodes_form_one_cluster_in_whatever_order_they_start(params string[] order)
    {
        List<FormationNode> nodes = [];
        foreach (string id in order)
        {
            if (nodes.Count > 0)
                await nodes[^1].SaysAsync("waits for an answer");
            nodes.Add(_network.Start(id, new FormationDisk()));
        }

        FormedCluster[] clusters = await Task.WhenAll(nodes.Select(node => node.Formed)).WaitAsync(Bound);

        Assert.Single(clusters.Select(cluster => cluster.Uid).Distinct());
        Assert.Equal(["n1", "n2", "n3"], clusters[0].First.Current.Select(member => member.Node.Value));
        Assert.All(clusters[0].First.Current, member => Assert.Equal(MemberKind.Voter, member.Kind));
    }

    [Fact]
    public async Task Two_of_three_do_not_form()
    {
        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());

        await n1.SaysAsync("'n3' at http://n3:1");
        await n2.SaysAsync("'n3' at http://n3:1");
    }

    [Fact]
    public async Task Unequal_Members_form_nothing_and_everybody_says_why()
    {
        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());
        FormationNode n3 = _network.Start("n3", new FormationDisk(), members: ["n1", "n2", "n3", "n4"]);

        await n1.SaysAsync("'n3' at http://n3:1 was given other Raft:Members");
        await n2.SaysAsync("'n3' at http://n3:1 was given other Raft:Members");
        await n3.SaysAsync("'n1' at http://n1:1 was given other Raft:Members");
    }

    [Fact]
    public async Task A_node_of_another_cluster_id_is_refused()
    {
        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk(), clusterId: "other");

        await n1.SaysAsync("This node is of cluster 'other', the asker of 'test'");
        await n2.SaysAsync("This node is of cluster 'test', the asker of 'other'");
    }

    [Fact]
    public async Task A_node_that_lost_its_directory_stays_out()
    {
        FormationNode[] nodes = [.. new[] { "n1", "n2", "n3" }.Select(id => _network.Start(id, new FormationDisk()))];
        await Task.WhenAll(nodes.Select(node => node.Formed)).WaitAsync(Bound);

        FormationNode wiped = _network.Start("n1", new FormationDisk());

        await wiped.SaysAsync("The node id is in use, or the node's directory was lost");
    }

    [Fact]
    public async Task A_wiped_former_and_a_wiped_other_do_not_form_a_second_cluster_while_one_member_knows_the_first()
    {
        var third = new FormationDisk();
        FormationNode[] nodes = [_network.Start("n1", new FormationDisk()), _network.Start("n2", new FormationDisk()), _network.Start("n3", third)];
        await Task.WhenAll(nodes.Select(node => node.Formed)).WaitAsync(Bound);

        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());

        await n1.SaysAsync("'n3' at http://n3:1 is in cluster");
        await n2.SaysAsync("'n3' at http://n3:1 is in cluster");
    }

    [Fact]
    public async Task A_former_that_died_after_its_write_is_adopted_when_it_comes_back()
    {
        var disk = new FormationDisk();
        var others = new[] { new FormationDisk(), new FormationDisk() };
        FormationNode[] nodes = [_network.Start("n1", disk), _network.Start("n2", others[0]), _network.Start("n3", others[1])];
        FormedCluster formed = await nodes[0].Formed.WaitAsync(Bound);

        FormationNode again = _network.Start("n1", disk);

        Assert.Equal(formed.Uid, (await again.Formed).Uid);
        Assert.Equal(formed.Uid, (await nodes[1].Formed.WaitAsync(Bound)).Uid);
        Assert.Equal(formed.Uid, (await nodes[2].Formed.WaitAsync(Bound)).Uid);
    }

    [Fact]
    public async Task A_new_answer_binds_to_the_asker_and_an_older_offer_is_refused()
    {
        // n1 forms, but nobody hears of it; then n1 comes with another disk and asks n2, which is bound from then on.
        FormationDisk first = new(), second = new(), third = new();
        Configuration old = FirstConfiguration.Of(
            new[] { "n1", "n2", "n3" }.Select(id => new MemberOptions { Id = id, PeerUrl = $"http://{id}:1" }),
            new Dictionary<string, StorageId> { ["n1"] = first.StorageId, ["n2"] = second.StorageId, ["n3"] = third.StorageId });
        FormationNode n2 = _network.Start("n2", second);
        await n2.SaysAsync("waits for an answer");
        n2.Desk.Answer(new FormationQuestion("test", "n1", new FormationDisk().StorageId.ToString(), 1, n2.Desk.MembersHash));

        Assert.False(n2.Desk.TryBeginAdopting(FirstConfiguration.FormerOf(old)));
    }

    [Fact]
    public async Task A_question_of_an_earlier_start_is_refused()
    {
        FormationNode n2 = _network.Start("n2", new FormationDisk());
        await n2.SaysAsync("waits for an answer");
        string storage = new FormationDisk().StorageId.ToString();

        Assert.Equal(FormationStanding.New, n2.Desk.Answer(new FormationQuestion("test", "n1", storage, 2, n2.Desk.MembersHash)).Standing);
        Assert.Equal(FormationStanding.Refused, n2.Desk.Answer(new FormationQuestion("test", "n1", storage, 1, n2.Desk.MembersHash)).Standing);
    }
}
