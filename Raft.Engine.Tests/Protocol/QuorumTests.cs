using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Random configurations against a naive oracle, as in B8. PhD 4.3</summary>
public class QuorumTests
{
    private static Configuration RandomConfiguration(Random random)
    {
        return new Configuration(Set(atLeast: 1), random.Next(2) == 0 ? Set(atLeast: 1) : []);

        List<Member> Set(int atLeast) => [.. Enumerable.Range(1, 9).OrderBy(_ => random.Next()).Take(random.Next(atLeast, 8))
            .Select((n, i) => MemberOf(n, i == 0 || random.Next(3) > 0 ? MemberKind.Voter : MemberKind.Learner))];
    }

    private static bool IsQuorum(Configuration configuration, Func<ServerId, bool> claim)
    {
        return Majority(configuration.Current) && (!configuration.IsJoint || Majority(configuration.Previous));

        bool Majority(IReadOnlyList<Member> members)
        {
            Member[] voters = [.. members.Where(member => member.Kind == MemberKind.Voter)];
            return voters.Count(voter => claim(voter.Id)) * 2 > voters.Length;
        }
    }

    /// <summary>B9 5, B9 6, B2 test_tracker, test_tracker_voter_demotion_joint_config, B8 quorum_quick_tests</summary>
    [Fact]
    public void The_index_on_a_quorum_is_what_a_naive_count_finds()
    {
        var random = new Random(7);
        for (int run = 0; run < 2000; run++)
        {
            Configuration configuration = RandomConfiguration(random);
            var tracker = new ProgressTracker(IdOf(1), configuration, new LogIndex(21));
            tracker.Self.Acknowledge(new LogIndex(random.Next(20)));
            foreach (Progress peer in tracker.Peers)
                peer.Acknowledge(new LogIndex(random.Next(20)));

            LogIndex expected = LogIndex.Zero;
            for (LogIndex index = new(20); index > LogIndex.Zero && expected == LogIndex.Zero; index = index.Previous)
            {
                if (IsQuorum(configuration, id => (id == IdOf(1) ? tracker.Self : tracker.Find(id)!).MatchIndex >= index))
                    expected = index;
            }

            Assert.Equal(expected, tracker.IndexOnQuorum());
            bool isQuorum = tracker.IsQuorum(10L, static (peer, at) => peer.MatchIndex.Value >= at);
            Assert.Equal(IsQuorum(configuration, id => (id == IdOf(1) ? tracker.Self : tracker.Find(id)!).MatchIndex.Value >= 10), isQuorum);
        }
    }

    /// <summary>B2 test_votes, B8 quorum_quick_tests</summary>
    [Fact]
    public void A_tally_is_won_or_lost_when_a_naive_count_says_so()
    {
        var random = new Random(8);
        for (int run = 0; run < 2000; run++)
        {
            Configuration configuration = RandomConfiguration(random);
            var tally = new VoteTally();
            var answers = new Dictionary<ServerId, bool>();
            foreach (int voter in Enumerable.Range(1, 12).OrderBy(_ => random.Next()).Take(random.Next(12)))
            {
                bool isGranted = random.Next(2) == 0;
                answers.Add(IdOf(voter), isGranted);
                tally.Record(IdOf(voter), isGranted);
                tally.Record(IdOf(voter), !isGranted); // the first one counts
            }

            VoteOutcome expected = IsQuorum(configuration, id => answers.GetValueOrDefault(id)) ? VoteOutcome.Won
                : !IsQuorum(configuration, id => answers.GetValueOrDefault(id, true)) ? VoteOutcome.Lost
                : VoteOutcome.Open;
            Assert.Equal(expected, tally.OutcomeIn(configuration));
        }
    }

    /// <summary>B2 test_tracker: what is known of a member stays when the configuration changes; leaving joint may commit more.</summary>
    [Fact]
    public void A_change_of_configuration_keeps_what_is_known()
    {
        Configuration three = ConfigurationOf(3);
        var joint = new Configuration([MemberOf(1)], three.Current);
        var tracker = new ProgressTracker(IdOf(1), joint, new LogIndex(1));
        tracker.Self.Acknowledge(new LogIndex(9));
        tracker.Find(IdOf(2))!.Acknowledge(new LogIndex(5));
        Assert.Equal(5, tracker.IndexOnQuorum().Value);
        Assert.True(tracker.Find(IdOf(3))!.CanVote);

        tracker.Configure(new Configuration([MemberOf(1), MemberOf(2, MemberKind.Learner)], []), new LogIndex(10));
        Assert.Equal(9, tracker.IndexOnQuorum().Value);
        Assert.Equal((5L, false), (tracker.Find(IdOf(2))!.MatchIndex.Value, tracker.Find(IdOf(2))!.CanVote));

        // Gone, but still told so: it counts in nothing.
        Assert.Equal([IdOf(3)], tracker.Departing.Select(departing => departing.Id));
        Assert.False(tracker.Find(IdOf(3))!.CanVote);
        tracker.Find(IdOf(3))!.Acknowledge(new LogIndex(20));
        Assert.Equal(9, tracker.IndexOnQuorum().Value);
        tracker.Forget(tracker.Departing[0]);
        Assert.Null(tracker.Find(IdOf(3)));
    }

    [Fact]
    public void A_configuration_survives_its_bytes_and_broken_bytes_are_refused()
    {
        var random = new Random(9);
        for (int run = 0; run < 200; run++)
        {
            Configuration configuration = RandomConfiguration(random);
            byte[] bytes = configuration.Encode();
            Configuration decoded = Configuration.Decode(bytes);
            Assert.Equal(configuration.Current, decoded.Current);
            Assert.Equal(configuration.Previous, decoded.Previous);
            for (int cut = 0; cut < bytes.Length; cut += 7)
                Assert.Throws<InvalidDataException>(() => Configuration.Decode(bytes.AsSpan(0, cut)));
        }
    }
}
