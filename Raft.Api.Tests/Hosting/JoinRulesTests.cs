using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Api.Tests.Hosting;

/// <summary>Design 4.5, identity: who is taken in, and in whose place.</summary>
public sealed class JoinRulesTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(6);
    private static readonly JoinRules Rules = new(Of("n1", 1).Id, "test", new ClusterUid(77), new GroupId("default"), RejoinMode.Auto, TimeSpan.FromSeconds(5));
    private static readonly Configuration Three = Configuration.Of([Of("n1", 1), Of("n2", 2), Of("n3", 3) with { Kind = MemberKind.Learner }]);

    [Fact]
    public void A_node_that_nobody_knows_joins_when_its_operator_told_it_to()
    {
        Assert.Equal(JoinVerdict.Accepted, Judge(Request("n4", 4, isTold: true)).Verdict);

        JoinAnswer refused = Judge(Request("n4", 4));

        Assert.Equal(JoinVerdict.Refused, refused.Verdict);
        Assert.Contains("POST /v1/members", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_known_node_on_another_disk_takes_its_former_selfs_place_only_after_a_long_silence_of_it()
    {
        JoinRequest wiped = Request("n2", 22);

        JoinAnswer alive = Judge(wiped, TimeSpan.Zero);
        JoinAnswer silent = Judge(wiped, TimeSpan.FromSeconds(4.9));

        Assert.Equal(JoinVerdict.Refused, alive.Verdict);
        Assert.Contains("The node id 'n2' is in use", alive.Reason, StringComparison.Ordinal);
        Assert.Equal(JoinVerdict.Wait, silent.Verdict);
        Assert.Equal(JoinVerdict.Accepted, Judge(wiped, Long).Verdict);
    }

    /// <summary>Found by JoinTests on a busy machine: the asker's twin led, had never seen itself, and gave its own place away.</summary>
    [Fact]
    public void The_leader_that_decides_is_alive_although_it_never_sees_itself() =>
        Assert.Contains("The node id 'n1' is in use", Judge(Request("n1", 11), Long).Reason, StringComparison.Ordinal);

    [Fact]
    public void With_Rejoin_off_nobody_is_replaced() =>
        Assert.Contains("Raft:Rejoin is off here", (Rules with { Rejoin = RejoinMode.Off }).Judge(Request("n2", 22), Three, _ => Long).Reason, StringComparison.Ordinal);

    [Fact]
    public void Asking_again_is_answered_with_yes() => Assert.Equal(JoinVerdict.Accepted, Judge(Request("n2", 2), TimeSpan.Zero).Verdict);

    [Fact]
    public void A_damaged_directory_asks_under_its_own_storage_id_and_waits_like_any_other()
    {
        JoinRequest probe = Request("n2", 2) with { IsProbe = true };

        Assert.Equal(JoinVerdict.Refused, Judge(probe, TimeSpan.Zero).Verdict);
        Assert.Equal(JoinVerdict.Accepted, Judge(probe, Long).Verdict);
    }

    [Theory]
    [InlineData("ClusterId")]
    [InlineData("FirstGroup")]
    [InlineData("FormerUid")]
    public void Who_belongs_elsewhere_is_refused(string what)
    {
        JoinRequest request = Request("n4", 4, isTold: true);
        request = what switch
        {
            "ClusterId" => request with { ClusterId = "other" },
            "FirstGroup" => request with { FirstGroup = "other" },
            _ => request with { FormerUid = new ClusterUid(78).ToString() },
        };

        Assert.Equal(JoinVerdict.Refused, Judge(request).Verdict);
    }

    [Fact]
    public void The_change_removes_the_old_disk_and_adds_the_new_one_as_what_the_node_was()
    {
        MembershipChange voter = JoinRules.ChangeFor(Request("n2", 22), Three)!;
        MembershipChange learner = JoinRules.ChangeFor(Request("n3", 33), Three)!;

        Assert.Equal([Of("n2", 2).Id], voter.Remove);
        Assert.Equal((Of("n2", 22).Id, MemberKind.Voter), (voter.Add[0].Id, voter.Add[0].Kind));
        Assert.Equal((Of("n3", 33).Id, MemberKind.Learner), (learner.Add[0].Id, learner.Add[0].Kind));
        Assert.Null(JoinRules.ChangeFor(Request("n2", 2), Three));
    }

    [Fact]
    public void A_new_node_becomes_what_it_wants_to_be()
    {
        Assert.Equal(MemberKind.Voter, JoinRules.ChangeFor(Request("n4", 4), Three)!.Add[0].Kind);
        Assert.Equal(MemberKind.Learner, JoinRules.ChangeFor(Request("n4", 4) with { IsVoter = false }, Three)!.Add[0].Kind);
        Assert.Empty(JoinRules.ChangeFor(Request("n4", 4), Three)!.Remove);
    }

    [Fact]
    public void A_uid_tells_the_id_of_its_cluster_also_without_the_first_configuration()
    {
        ClusterUid uid = FirstConfiguration.UidOf("test", Three);

        Assert.True(FirstConfiguration.IsNamed(uid, "test"));
        Assert.False(FirstConfiguration.IsNamed(uid, "tset"));
        Assert.NotEqual(uid, FirstConfiguration.UidOf("test", Configuration.Of([Of("n1", 1)])));
    }

    private static JoinAnswer Judge(JoinRequest request, TimeSpan? silence = null) => Rules.Judge(request, Three, _ => silence ?? Long);

    private static Member Of(string node, ulong storage) => new(new NodeId(node), new StorageId(storage), MemberKind.Voter, $"http://{node}:1", "");

    private static JoinRequest Request(string node, ulong storage, bool isTold = false) => new(
        "test", "default", node, new StorageId(storage).ToString(), $"http://{node}:1", "", IsVoter: true, isTold, FormerUid: null, IsProbe: false);
}
