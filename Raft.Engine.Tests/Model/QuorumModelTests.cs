using CsCheck;
using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Model;

/// <summary>Quorum and joint arithmetic against sets of servers.</summary>
public sealed class QuorumModelTests
{
    [Fact]
    public void The_index_on_a_quorum_is_the_highest_that_everyone_of_one_holds() => Property.Holds(
        Gen.Select(Generators.Configurations, Gen.Long[0, 30].Array[Generators.ServersMax], Gen.Bool.Array[Generators.ServersMax]),
        one =>
        {
            (Configuration configuration, long[] matches, bool[] hasLostData) = one;
            var tracker = new ProgressTracker(IdOf(1), configuration, new LogIndex(31));
            Dictionary<ServerId, long> held = [];
            foreach (Progress progress in tracker.Peers.Append(tracker.Self))
            {
                int place = PlaceOf(progress.Id);
                progress.Acknowledge(new LogIndex(matches[place]));
                progress.HasLostData = hasLostData[place] && progress != tracker.Self;
                held[progress.Id] = progress.HasLostData ? 0 : matches[place];
            }

            Assert.Equal(Naive.IndexOnQuorum(configuration, held), tracker.IndexOnQuorum().Value);
        });

    [Fact]
    public void A_claim_holds_for_a_quorum_when_those_of_whom_it_holds_are_one() => Property.Holds(
        Gen.Select(Generators.Configurations, Gen.Bool.Array[Generators.ServersMax]),
        one =>
        {
            (Configuration configuration, bool[] claims) = one;
            var tracker = new ProgressTracker(IdOf(1), configuration, new LogIndex(1));
            HashSet<ServerId> claimed = [.. Enumerable.Range(1, Generators.ServersMax).Where(number => claims[number - 1]).Select(IdOf)];

            Assert.Equal(Naive.IsQuorum(configuration, claimed), tracker.IsQuorum(claimed, static (peer, of) => of.Contains(peer.Id)));
        });

    [Fact]
    public void A_vote_is_won_by_a_quorum_and_lost_when_none_is_left() => Property.Holds(
        Gen.Select(Generators.Configurations, Gen.Select(Generators.Number, Gen.Bool).List[0, 14]),
        one =>
        {
            (Configuration configuration, List<(int Voter, bool IsGranted)> answers) = one;
            var tally = new VoteTally();
            Dictionary<ServerId, bool> first = [];
            foreach ((int voter, bool isGranted) in answers)
            {
                Assert.Equal(first.ContainsKey(IdOf(voter)), tally.HasAnswered(IdOf(voter)));
                tally.Record(IdOf(voter), isGranted);
                first.TryAdd(IdOf(voter), isGranted);

                HashSet<ServerId> granted = [.. first.Where(answer => answer.Value).Select(answer => answer.Key)];
                HashSet<ServerId> mayGrant = [.. Enumerable.Range(1, Generators.ServersMax).Select(IdOf).Where(id => first.GetValueOrDefault(id, true))];
                VoteOutcome expected = Naive.IsQuorum(configuration, granted) ? VoteOutcome.Won
                    : Naive.IsQuorum(configuration, mayGrant) ? VoteOutcome.Open
                    : VoteOutcome.Lost;
                Assert.Equal(expected, tally.OutcomeIn(configuration));
            }
        });

    [Fact]
    public void Who_belongs_and_who_votes_is_said_by_either_set() => Property.Holds(Generators.Configurations, configuration =>
    {
        foreach (ServerId id in Enumerable.Range(1, Generators.ServersMax).Select(IdOf))
        {
            Member[] named = [.. configuration.Current.Where(member => member.Id == id), .. configuration.Previous.Where(member => member.Id == id)];
            Assert.Equal(named.Length > 0, configuration.Contains(id));
            Assert.Equal(named.Any(member => member.Kind == MemberKind.Voter), configuration.CanVote(id));
            Assert.Equal(named.Take(1), configuration.All.Where(member => member.Id == id));
        }

        Assert.Equal(configuration.Previous.Count > 0, configuration.IsJoint);
    });

    [Fact]
    public void A_configuration_comes_back_from_its_bytes() => Property.Holds(Gen.Select(Generators.Configurations, Generators.SomeMembers()), one =>
    {
        Configuration configuration = one.Item1 with { Target = one.Item2 };
        Configuration decoded = Configuration.Decode(configuration.Encode());

        Assert.Equal(configuration.Current, decoded.Current);
        Assert.Equal(configuration.Previous, decoded.Previous);
        Assert.Equal(configuration.Target, decoded.Target);
    });

    private static int PlaceOf(ServerId id) => int.Parse(id.Node.Value[1..], System.Globalization.CultureInfo.InvariantCulture) - 1;
}
