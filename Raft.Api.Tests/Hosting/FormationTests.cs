using Raft.Engine.Protocol;
using Raft.Host;
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
        Assert.Equal(["n1", "n2", "n3"], clusters[0].First!.Current.Select(member => member.Node.Value));
        Assert.All(clusters[0].First!.Current, member => Assert.Equal(MemberKind.Voter, member.Kind));
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
    public async Task Unequal_Groups_form_nothing_and_everybody_says_why()
    {
        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());
        FormationNode n3 = _network.Start("n3", new FormationDisk(), configure: options => options.Groups.Add(new GroupOptions { Id = "more" }));

        await n1.SaysAsync("'n3' at http://n3:1 was given other Raft:Groups");
        await n2.SaysAsync("'n3' at http://n3:1 was given other Raft:Groups");
        await n3.SaysAsync("'n1' at http://n1:1 was given other Raft:Groups");
    }

    [Fact]
    public async Task A_node_that_lost_its_directory_stays_out_until_the_leader_takes_it_in()
    {
        FormedCluster cluster = await FormAsync();
        FormationNode wiped = _network.Start("n1", new FormationDisk());
        await wiped.SaysAsync("the node id is in use, or the node's directory was lost. It asks to be taken in. The first group has no leader");

        _network.Leader = request => new JoinAnswer(JoinVerdict.Accepted, "In.") { Uid = cluster.Uid.ToString() };

        FormedCluster joined = await wiped.Formed.WaitAsync(Bound);
        Assert.Equal(cluster.Uid, joined.Uid);
        Assert.Null(joined.First); // it gets the log from the others, and promises nothing of its former self
    }

    [Fact]
    public async Task With_Rejoin_off_it_does_not_even_ask()
    {
        await FormAsync();
        _network.Leader = _ => throw new InvalidOperationException("It asked.");

        FormationNode wiped = _network.Start("n1", new FormationDisk(), configure: options => options.Rejoin = RejoinMode.Off);

        await wiped.SaysAsync("Raft:Rejoin is off");
    }

    [Fact]
    public async Task A_refusal_is_told_and_asked_about_again()
    {
        FormedCluster cluster = await FormAsync();
        _network.Leader = _ => new JoinAnswer(JoinVerdict.Refused, "The node id 'n1' is in use.");
        FormationNode wiped = _network.Start("n1", new FormationDisk());
        await wiped.SaysAsync("The node id 'n1' is in use.");

        _network.Leader = _ => new JoinAnswer(JoinVerdict.Accepted, "In.") { Uid = cluster.Uid.ToString() };

        Assert.Equal(cluster.Uid, (await wiped.Formed.WaitAsync(Bound)).Uid);
    }

    [Fact]
    public async Task A_new_node_joins_where_it_was_told_to_and_says_what_it_is()
    {
        FormedCluster cluster = await FormAsync();
        JoinRequest? heard = null;
        _network.Leader = request =>
        {
            heard = request;
            return new JoinAnswer(JoinVerdict.Accepted, "In.") { Uid = cluster.Uid.ToString() };
        };

        FormationNode n4 = _network.Start("n4", new FormationDisk(), members: [], configure: options => options.Join = ["http://n2:1"]);

        Assert.Equal(cluster.Uid, (await n4.Formed.WaitAsync(Bound)).Uid);
        Assert.Equal(("n4", "http://peer:1", true, true, false), (heard!.NodeId, heard.PeerUrl, heard.IsTold, heard.IsVoter, heard.IsProbe));
    }

    [Fact]
    public async Task A_new_node_that_was_not_told_to_join_says_what_to_do()
    {
        await FormAsync();
        FormationNode n4 = _network.Start("n4", new FormationDisk(), members: ["n1", "n2", "n3", "n4"]);

        await n4.SaysAsync("Set Raft:Join to have it ask to be taken in, or add it there: POST /v1/members.");
    }

    [Fact]
    public async Task Nodes_that_were_told_to_join_form_nothing()
    {
        FormationNode n1 = _network.Start("n1", new FormationDisk(), members: [], configure: options => options.Join = ["http://n2:1"]);
        FormationNode n2 = _network.Start("n2", new FormationDisk(), members: [], configure: options => options.Join = ["http://n1:1"]);

        await n1.SaysAsync("http://n2:1 is in no cluster yet.");
        await n2.SaysAsync("http://n1:1 is in no cluster yet.");
    }

    [Fact]
    public async Task A_node_that_waits_is_invited_and_one_that_is_bound_is_not()
    {
        FormedCluster cluster = await FormAsync();
        FormationNode n5 = _network.Start("n5", new FormationDisk(), members: []);
        await n5.SaysAsync("add it to a cluster by POST /v1/members");

        Assert.False(n5.Desk.Answer(new Invitation("test", cluster.Uid.ToString(), "n6")).IsTaken);
        Assert.False(n5.Desk.Answer(new Invitation("other", cluster.Uid.ToString(), "n5")).IsTaken);
        Assert.True(n5.Desk.Answer(new Invitation("test", cluster.Uid.ToString(), "n5")).IsTaken);
        Assert.Equal(cluster.Uid, (await n5.Formed.WaitAsync(Bound)).Uid);

        FormationNode b2 = _network.Start("b2", new FormationDisk(), members: ["b1", "b2", "b3"]);
        await b2.SaysAsync("waits for an answer");
        b2.Desk.Answer(new FormationQuestion("test", "b1", new FormationDisk().StorageId.ToString(), 1, b2.Desk.MembersHash));
        InvitationAnswer bound = b2.Desk.Answer(new Invitation("test", cluster.Uid.ToString(), "b2"));
        Assert.Equal("it is forming a cluster with 'b1'", bound.Reason);
    }

    [Fact]
    public async Task Nodes_that_all_lost_their_directories_wait_for_people()
    {
        ClusterUid uid = (await FormAsync()).Uid;
        await _network.StopAllAsync();

        FormationNode[] lost = [.. new[] { "n1", "n2", "n3" }.Select(id => _network.Start(id, new FormationDisk { FormerUid = uid }))];

        foreach (FormationNode node in lost)
            await node.SaysAsync("If all have lost theirs, an operator decides");
    }

    [Fact]
    public async Task A_lost_node_keeps_new_ones_from_forming_and_joins_only_its_own_cluster()
    {
        ClusterUid uid = (await FormAsync()).Uid;
        await _network.StopAllAsync();
        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());
        FormationNode n3 = _network.Start("n3", new FormationDisk { FormerUid = new ClusterUid(uid.Value + 1) });
        await n1.SaysAsync("'n3' at http://n3:1 has lost its directory");
        await n2.SaysAsync("'n3' at http://n3:1 has lost its directory");
        await n3.SaysAsync("This node has lost its directory");

        await _network.StopAllAsync();
        await FormAsync();
        _network.Leader = _ => throw new InvalidOperationException("It asked.");
        FormationNode stranger = _network.Start("n3", new FormationDisk { FormerUid = uid });
        await stranger.SaysAsync($"It may join only cluster {uid}");
    }

    [Fact]
    public async Task A_listed_member_that_was_away_adopts_a_log_that_no_longer_holds_its_beginning()
    {
        var late = new FormationDisk();
        FormationDisk[] disks = [new(), new()];
        Configuration first = FirstConfiguration.Of(
            new[] { "n1", "n2", "n3" }.Select(id => new MemberOptions { Id = id, PeerUrl = $"http://{id}:1" }),
            new Dictionary<string, StorageId> { ["n1"] = disks[0].StorageId, ["n2"] = disks[1].StorageId, ["n3"] = late.StorageId });
        ClusterUid uid = FirstConfiguration.UidOf("test", first);
        for (int n = 0; n < 2; n++)
        {
            await disks[n].FormAsync(uid, new GroupId("default"), first);
            _network.Start($"n{n + 1}", disks[n], forgetsFirst: true);
        }

        FormedCluster adopted = await _network.Start("n3", late).Formed.WaitAsync(Bound);

        Assert.Equal((uid, null), (adopted.Uid, adopted.First));
    }

    [Fact]
    public async Task A_wiped_former_and_a_wiped_other_do_not_form_a_second_cluster_while_one_member_knows_the_first()
    {
        await FormAsync();

        FormationNode n1 = _network.Start("n1", new FormationDisk());
        FormationNode n2 = _network.Start("n2", new FormationDisk());

        await n1.SaysAsync("It asks to be taken in.");
        await n2.SaysAsync("It asks to be taken in.");
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

        Assert.False(n2.Desk.TryBeginAdopting(old));
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

    private async Task<FormedCluster> FormAsync()
    {
        FormationNode[] nodes = [.. new[] { "n1", "n2", "n3" }.Select(id => _network.Start(id, new FormationDisk()))];
        return (await Task.WhenAll(nodes.Select(node => node.Formed)).WaitAsync(Bound))[0];
    }
}
