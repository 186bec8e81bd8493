using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Read barriers. PhD 6.4; rule 9.</summary>
public class ReadTests
{
    private static Solo Leader(int voters = 3, int learners = 0, Configuration? configuration = null)
    {
        var solo = new Solo(voters, learners, configuration: configuration);
        solo.BecomeLeader();
        solo.Tell([.. solo.Protocol.Peers.Select(peer => (Message)solo.Accept((int)peer.Server.Storage.Value, match: 2, commit: 2))]);
        solo.Liveness.Following.UnionWith(solo.Protocol.Peers.Select(peer => peer.Server));
        solo.Tick();
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);
        return solo;
    }

    private static ReadQuorumReply Confirm(Solo solo, int from, ReadId round, long? term = null) =>
        new(IdOf(from), solo.Self, term is { } t ? new Term(t) : solo.Protocol.CurrentTerm, round);

    /// <summary>B9 27, B2 test_read_barrier, B8 TestReadOnlyDuplicateRequest. Planted: eng/defects/27-answers-to-older-rounds-count.defect</summary>
    [Fact]
    public void A_quorum_confirms_a_read_at_the_commit_index_taken_before()
    {
        Solo solo = Leader(voters: 5, learners: 1);
        ReadId read = solo.Protocol.StartRead()!.Value;
        solo.Node.Settle();
        ReadQuorumRequest[] asked = [.. solo.Node.TakeSent().Cast<ReadQuorumRequest>()];
        Assert.Equal([2, 3, 4, 5], asked.Select(request => (int)request.To.Storage.Value));
        ReadId round = asked[0].ReadId;

        solo.Tell(Confirm(solo, 2, round), Confirm(solo, 2, round));           // a repetition counts once
        solo.Tell(Confirm(solo, 6, round), Confirm(solo, 77, round));          // learners and strangers do not
        solo.Tell(Confirm(solo, 3, round, term: 1));                           // nor an older term
        solo.Tell(Confirm(solo, 3, new ReadId(round.Value - 1)));              // nor an older round
        Assert.Empty(solo.Node.ReadsReady);
        Assert.Equal([3, 4, 5], solo.Tick().OfType<ReadQuorumRequest>().Select(request => (int)request.To.Storage.Value));

        solo.Tell(Confirm(solo, 3, round));
        Assert.Equal(new ReadReady(read, new LogIndex(2)), solo.Node.ReadsReady.Single());
        Assert.Empty(solo.Tick(3).OfType<ReadQuorumRequest>());
    }

    /// <summary>A call is served only by a round whose first message left after the call arrived.</summary>
    [Fact]
    public void Later_calls_wait_for_the_next_round_and_share_it()
    {
        Solo solo = Leader();
        ReadId first = solo.Protocol.StartRead()!.Value;
        Assert.Equal(first, solo.Protocol.StartRead());        // nothing left yet: the same one
        solo.Node.Settle();
        ReadId round = solo.Node.TakeSent().OfType<ReadQuorumRequest>().First().ReadId;

        ReadId second = solo.Protocol.StartRead()!.Value;
        Assert.NotEqual(first, second);
        Assert.Equal(second, solo.Protocol.StartRead());
        solo.Node.Settle();
        Assert.Empty(solo.Node.TakeSent());

        ReadId next = solo.Tell(Confirm(solo, 2, round)).OfType<ReadQuorumRequest>().First().ReadId;
        Assert.Equal(first, solo.Node.ReadsReady.Single().ReadId);
        solo.Tell(Confirm(solo, 3, round));
        Assert.Single(solo.Node.ReadsReady);
        solo.Tell(Confirm(solo, 3, next));
        Assert.Equal([first, second], solo.Node.ReadsReady.Select(ready => ready.ReadId));
    }

    /// <summary>B9 28, B8 TestReadOnlyForNewLeader. Planted: eng/defects/28-new-leader-reads-before-its-first-commit.defect</summary>
    [Fact]
    public void A_new_leader_waits_for_its_first_commit()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        Assert.NotNull(solo.Protocol.StartRead());
        solo.Node.Settle();
        Assert.Empty(solo.Node.TakeSent().OfType<ReadQuorumRequest>());
        ReadQuorumRequest[] asked = [.. solo.Tell(solo.Accept(2, match: 2)).OfType<ReadQuorumRequest>()];
        Assert.Equal(2, asked.Length);
        solo.Tell(Confirm(solo, 3, asked[0].ReadId));
        Assert.Equal(2, solo.Node.ReadsReady.Single().Index.Value);
    }

    [Fact]
    public void A_sole_voter_confirms_at_once_but_not_before_its_first_commit()
    {
        var solo = new Solo(voters: 1);
        solo.Protocol.Tick();
        solo.Node.Poll();
        solo.Node.CompleteWrite();
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        ReadId read = solo.Protocol.StartRead()!.Value;
        solo.Node.Poll();
        Assert.Empty(solo.Node.ReadsReady);
        solo.Node.Settle();
        Assert.Equal(new ReadReady(read, new LogIndex(2)), solo.Node.ReadsReady.Single());
        solo.Protocol.StartRead();
        solo.Node.Poll();
        Assert.Equal(2, solo.Node.ReadsReady.Count);
    }

    [Fact]
    public void Reads_fail_when_leadership_is_lost()
    {
        Solo solo = Leader();
        ReadId open = solo.Protocol.StartRead()!.Value;
        solo.Node.Settle();
        ReadId waiting = solo.Protocol.StartRead()!.Value;
        solo.Tell(Confirm(solo, 2, new ReadId(1), term: 90));
        Assert.Equal([open, waiting], solo.Node.ReadsFailed);
        Assert.Null(solo.Protocol.StartRead());
    }

    /// <summary>B9 27, B2 test_read_barrier: while joint both quorums confirm, whichever is first; another configuration gives the open
    /// round a new number. Planted: eng/defects/P01-joint-reads-ask-the-new-set-alone.defect, eng/defects/P02-joint-reads-ask-the-old-set-alone.defect</summary>
    [Theory]
    [InlineData(new[] { 4, 5 }, 2)]
    [InlineData(new[] { 2, 3 }, 4)]
    public void A_joint_configuration_needs_both_quorums_and_a_change_renumbers_the_round(int[] oneSet, int ofTheOther)
    {
        Solo solo = Leader(voters: 3);
        ReadId read = solo.Protocol.StartRead()!.Value;
        solo.Node.Settle();
        ReadId before = solo.Node.TakeSent().OfType<ReadQuorumRequest>().First().ReadId;

        Assert.Equal(ChangeOutcome.Appended, solo.Protocol.ProposeChange(To(1, 4, 5) with { IsForced = true }, timeMs: 1).Outcome);
        solo.Node.Settle();
        ReadQuorumRequest[] asked = [.. solo.Node.TakeSent().OfType<ReadQuorumRequest>()];
        Assert.Equal([2, 3, 4, 5], asked.Select(request => (int)request.To.Storage.Value).Order());
        ReadId after = asked[0].ReadId;
        Assert.NotEqual(before, after);

        solo.Tell([.. new[] { 2, 3, 4, 5 }.Select(voter => (Message)Confirm(solo, voter, before))]);
        solo.Tell([.. oneSet.Select(voter => (Message)Confirm(solo, voter, after))]);
        Assert.Empty(solo.Node.ReadsReady);
        solo.Tell(Confirm(solo, ofTheOther, after));
        Assert.Equal(read, solo.Node.ReadsReady.Single().ReadId);
    }

    [Fact]
    public void A_follower_confirms_its_leader_and_tells_an_old_one_the_newer_term()
    {
        var solo = new Solo(term: 4);
        var confirmed = (ReadQuorumReply)solo.Tell(new ReadQuorumRequest(IdOf(2), solo.Self, new Term(4), new ReadId(7), LogIndex.Zero)).Single();
        Assert.Equal((new Term(4), new ReadId(7)), (confirmed.Term, confirmed.ReadId));
        var refused = (ReadQuorumReply)solo.Tell(new ReadQuorumRequest(IdOf(3), solo.Self, new Term(3), new ReadId(8), LogIndex.Zero)).Single();
        Assert.Equal(new Term(4), refused.Term);
    }
}
