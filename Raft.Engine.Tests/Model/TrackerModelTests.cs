using CsCheck;
using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Model;

/// <summary>What a leader keeps of its members, against plain lists and sets.</summary>
public sealed class TrackerModelTests
{
    private enum TrackerStep
    {
        Configure,
        Acknowledge,
        Tell,
        Forget,
    }

    [Fact]
    public void The_tracker_follows_the_configurations_and_forgets_nobody_who_stays() => Property.Holds(
        Gen.Select(Generators.Configurations, Gen.Select(Gen.Enum<TrackerStep>(), Generators.Configurations, Generators.Number, Gen.Long[1, 50]).List[0, 25]),
        one =>
        {
            (Configuration configuration, List<(TrackerStep, Configuration, int, long)> steps) = one;
            ServerId self = IdOf(1);
            var tracker = new ProgressTracker(self, configuration, new LogIndex(51));
            Dictionary<ServerId, long> members = Members(configuration).ToDictionary(id => id, _ => 0L);
            Dictionary<ServerId, long> departing = [];
            long own = 0;
            foreach ((TrackerStep step, Configuration next, int number, long index) in steps)
            {
                ServerId server = IdOf(number);
                switch (step)
                {
                    case TrackerStep.Configure:
                        tracker.Configure(next, new LogIndex(51));
                        configuration = next;
                        Dictionary<ServerId, long> known = members.Concat(departing).ToDictionary(entry => entry.Key, entry => entry.Value);
                        members = Members(next).ToDictionary(id => id, id => known.GetValueOrDefault(id));
                        departing = known.Where(entry => !members.ContainsKey(entry.Key)).ToDictionary(entry => entry.Key, entry => entry.Value);
                        break;
                    case TrackerStep.Acknowledge when server == self:
                        tracker.Self.Acknowledge(new LogIndex(index));
                        own = Math.Max(own, index);
                        break;
                    case TrackerStep.Acknowledge when tracker.Find(server) is { } peer:
                        peer.Acknowledge(new LogIndex(index));
                        Dictionary<ServerId, long> place = members.ContainsKey(server) ? members : departing;
                        place[server] = Math.Max(place[server], index);
                        break;
                    case TrackerStep.Tell when server != self:
                        tracker.Tell(server, new LogIndex(51), ticks: 3);
                        if (!members.ContainsKey(server))
                            departing.TryAdd(server, 0);
                        break;
                    case TrackerStep.Forget when departing.ContainsKey(server):
                        tracker.Forget(tracker.Find(server)!);
                        departing.Remove(server);
                        break;
                    default:
                        break;
                }

                Check(tracker, configuration, members, departing, own);
            }
        },
        count: 400);

    private static IEnumerable<ServerId> Members(Configuration configuration) =>
        configuration.Current.Concat(configuration.Previous).Select(member => member.Id).Where(id => id != IdOf(1)).Distinct();

    private static void Check(ProgressTracker tracker, Configuration configuration, Dictionary<ServerId, long> members, Dictionary<ServerId, long> departing, long own)
    {
        Assert.Equal(members.OrderBy(one => one.Key.Node.Value), tracker.Peers.Select(peer => new KeyValuePair<ServerId, long>(peer.Id, peer.MatchIndex.Value)).OrderBy(one => one.Key.Node.Value));
        Assert.Equal(departing.OrderBy(one => one.Key.Node.Value), tracker.Departing.Select(peer => new KeyValuePair<ServerId, long>(peer.Id, peer.MatchIndex.Value)).OrderBy(one => one.Key.Node.Value));
        foreach (ServerId id in Enumerable.Range(1, Generators.ServersMax).Select(IdOf))
            Assert.Equal(members.ContainsKey(id) || departing.ContainsKey(id), tracker.Find(id) is not null);
        foreach (Progress peer in tracker.Peers)
        {
            Assert.Equal(configuration.CanVote(peer.Id), peer.CanVote);
            Assert.Equal(configuration.All.First(member => member.Id == peer.Id).Kind == MemberKind.Joining, peer.IsJoining);
        }

        Assert.All(tracker.Departing, peer => Assert.False(peer.CanVote || peer.IsJoining));
        Assert.Equal(tracker.Peers.Any(peer => peer.IsJoining), tracker.HasJoining);
        Assert.Equal(Naive.IndexOnQuorum(configuration, new Dictionary<ServerId, long>(members) { [IdOf(1)] = own }), tracker.IndexOnQuorum().Value);
    }

    private enum ProgressStep
    {
        Probe,
        Pipeline,
        Snapshot,
        Send,
        Acknowledge,
    }

    [Fact]
    public void A_peers_progress_is_what_was_sent_and_not_acknowledged() => Property.Holds(
        Gen.Select(Gen.Enum<ProgressStep>(), Gen.Int[0, 6]).List[0, 40],
        steps =>
        {
            var progress = new Progress(IdOf(2));
            progress.StartProbing(new LogIndex(5));
            ProgressState state = ProgressState.Probe;
            long match = 0, next = 5;
            List<(long Last, long Bytes)> inFlight = [];
            foreach ((ProgressStep step, int by) in steps)
            {
                switch (step)
                {
                    case ProgressStep.Probe:
                        (state, next) = (ProgressState.Probe, match + 1 + by);
                        inFlight.Clear();
                        progress.StartProbing(new LogIndex(next));
                        break;
                    case ProgressStep.Pipeline when state == ProgressState.Probe:
                        (state, next) = (ProgressState.Pipeline, match + 1 + by);
                        progress.StartPipeline(new LogIndex(next));
                        break;
                    case ProgressStep.Snapshot:
                        (state, next) = (ProgressState.Snapshot, match + 1);
                        inFlight.Clear();
                        progress.WaitForSnapshot();
                        break;
                    case ProgressStep.Send when state == ProgressState.Pipeline:
                        inFlight.Add((next + by, 10 + by));
                        progress.OnSent(new LogIndex(next + by), 10 + by);
                        next += by + 1;
                        break;
                    case ProgressStep.Acknowledge:
                        long to = match + by - 2;
                        Assert.Equal(to > match, progress.Acknowledge(new LogIndex(to)));
                        match = Math.Max(match, to);
                        next = Math.Max(next, match + 1);
                        inFlight.RemoveAll(sent => sent.Last <= match);
                        break;
                    default:
                        break;
                }

                Assert.Equal((state, match, next), (progress.State, progress.MatchIndex.Value, progress.NextIndex.Value));
                Assert.Equal((inFlight.Count, inFlight.Sum(sent => sent.Bytes)), (progress.InFlightCount, progress.InFlightBytes));
            }
        });
}
