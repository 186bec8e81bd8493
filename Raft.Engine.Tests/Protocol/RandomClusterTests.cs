using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>
/// Nodes on a network that loses, doubles, delays and reorders, with disks that complete when they like, crashes that
/// keep any prefix of the writes under way, partitions, liveness frames that lag and lie, snapshots taken and sent at any
/// moment, and changes of members. Afterwards everything is healed, and the group must come to rest with one leader, no
/// change half done, and equal logs.
/// </summary>
public class RandomClusterTests
{
    private const int SeedsPerCase = 60;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Safety_holds_whatever_network_disk_and_clock_do(int batch)
    {
        for (int i = 0; i < SeedsPerCase; i++)
        {
            int seed = (batch * 1000) + i;
            try
            {
                new Run(seed).Go();
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"Seed {seed}: {error.Message}", error);
            }
        }
    }

    private sealed class Run
    {
        private readonly Random _random;
        private readonly ProtocolCluster _cluster;
        private readonly SafetyChecks _checks;
        private readonly List<Message> _network = [];
        private readonly Dictionary<(ServerId, ReadId, long), LogIndex> _reads = [];
        private readonly List<(SnapshotToSend Transfer, ProtocolNode Sender, long Start, List<Entry> Content)> _transfers = [];
        private readonly bool _changesMembers;
        private readonly int _lossPercent;
        private int _added;

        public Run(int seed)
        {
            _random = new Random(seed);
            int voters = _random.Next(1, 6);
            Configuration configuration = ProtocolCluster.ConfigurationOf(voters, learners: _random.Next(0, 2));
            if (voters >= 3 && _random.Next(4) == 0)
            {
                // Joint: the last voter is being replaced by another one.
                configuration = new Configuration(
                    [.. configuration.Current.Where(member => member.Id != ProtocolCluster.IdOf(voters)), ProtocolCluster.MemberOf(9)],
                    configuration.Current);
            }

            bool isSmall = _random.Next(2) == 0;
            Func<ProtocolSettings, ProtocolSettings> adjust = settings => isSmall
                ? settings with { MaxInFlightAppends = 2, MaxAppendBytes = 150, MaxInFlightBytes = 300, MaxCacheBytes = 200, SnapshotTrailingEntries = 3 }
                : settings with { SnapshotTrailingEntries = 20 };
            _cluster = new ProtocolCluster(configuration, seed, adjust);
            _changesMembers = _random.Next(2) == 0;
            for (int number = 11; _changesMembers && number <= 13; number++)
                _cluster.AddEmpty(number, seed, adjust);
            foreach (ProtocolNode node in _cluster.Nodes)
            {
                node.AnswersReads = false;
                node.Disk.RecentMax = isSmall ? 3 : null;
            }

            _checks = new SafetyChecks(_cluster);
            _lossPercent = _random.Next(0, 25);
        }

        public void Go()
        {
            for (int step = 0; step < 1500; step++)
            {
                Act();
                if (step % 10 == 0)
                    _checks.Check();
            }

            HealAndCompare();
        }

        private void Act()
        {
            ProtocolNode node = _cluster.Nodes[_random.Next(_cluster.Nodes.Count)];
            int action = _random.Next(100);
            if (!node.IsUp)
            {
                if (action < 20)
                    node.Start();
            }
            else if (action < 20)
            {
                node.Protocol.Tick();
            }
            else if (action < 35)
            {
                Poll(node);
            }
            else if (action < 50)
            {
                node.CompleteWrite();
                _network.AddRange(node.TakeSent());
            }
            else if (action < 60)
            {
                node.Protocol.AddEntry(EntryKind.Command, Encoding.UTF8.GetBytes($"c{_added++}"), timeMs: _random.Next(1000));
            }
            else if (action < 62)
            {
                StartRead(node);
            }
            else if (action < 64)
            {
                node.AnswerReads();
            }
            else if (action < 67)
            {
                Disturb(node);
            }
            else if (action < 69)
            {
                node.TakeSnapshot();
            }
            else if (action < 75)
            {
                MoveSnapshots(node);
            }
            else if (action < 76 && _changesMembers)
            {
                ChangeMembers(node);
            }

            for (int i = _random.Next(4); i > 0; i--)
                Deliver();
        }

        private void Disturb(ProtocolNode node)
        {
            ProtocolNode other = _cluster.Nodes[_random.Next(_cluster.Nodes.Count)];
            switch (_random.Next(8))
            {
                case 0:
                    node.Crash(survive: _random.Next(3));
                    break;
                case 1:
                    _cluster.Isolate(node);
                    break;
                case 2:
                    _cluster.Cut(node.Id, other.Id);
                    break;
                case 3:
                    node.Protocol.OnUnreachable(other.Id);
                    break;
                case 4:
                    node.Protocol.BeginTransfer(_random.Next(2) == 0 ? other.Id : null);
                    break;
                case 5:
                    node.Protocol.OnPeerWaits(other.Id, node.Protocol.LastIndex);
                    break;
                default:
                    _cluster.Heal();
                    break;
            }

            node.Protocol.OnLivenessChanged();
        }

        /// <summary>A transfer takes any time; it arrives, or is lost, or its answer is.</summary>
        private void MoveSnapshots(ProtocolNode node)
        {
            foreach (SnapshotToSend transfer in node.SnapshotsToSend)
                _transfers.Add((transfer, node, node.StartCount, node.Disk.Files[transfer.Snapshot.SnapshotId]));
            node.SnapshotsToSend.Clear();
            if (_transfers.Count > 0 && _random.Next(2) == 0)
            {
                int at = _random.Next(_transfers.Count);
                (SnapshotToSend transfer, ProtocolNode sender, long start, List<Entry> content) = _transfers[at];
                if (_random.Next(4) > 0)
                    _transfers.RemoveAt(at);    // else it comes a second time
                bool arrives = _random.Next(100) >= _lossPercent && _cluster.IsConnected(sender.Id, transfer.Peer)
                    && _cluster.Find(transfer.Peer) is { IsUp: true } receiver
                    && receiver.Receive(sender.Id, start, transfer.Term, transfer.Snapshot, content);
                if (!arrives && sender.IsUp && sender.StartCount == start)
                    sender.Protocol.OnSnapshotSent(transfer.Peer, transfer.Term, matchIndex: null);
            }

            AnswerInstalled(node, _lossPercent);
        }

        private void AnswerInstalled(ProtocolNode node, int lossPercent)
        {
            foreach ((ServerId leader, Term term, LogIndex index) in node.Installed)
            {
                if (_cluster.Find(leader) is { IsUp: true } sender)
                    sender.Protocol.OnSnapshotSent(node.Id, term, _random.Next(100) >= lossPercent ? index : null);
            }

            node.Installed.Clear();
        }

        private void ChangeMembers(ProtocolNode node)
        {
            if (node.Protocol.Role != Role.Leader)
                return;
            List<Member> wanted = [];
            foreach (ProtocolNode one in _cluster.Nodes)
            {
                int number = int.Parse(one.Id.Node.Value[1..]);
                if (_random.Next(2) == 0)
                    wanted.Add(ProtocolCluster.MemberOf(number, _random.Next(4) == 0 ? MemberKind.Learner : MemberKind.Voter));
            }

            node.Protocol.ProposeChange(new MembershipChange { Set = wanted, IsForced = _random.Next(8) == 0 }, timeMs: 1);
        }

        private void StartRead(ProtocolNode node)
        {
            // A barrier that starts now must see everything that anybody has applied by now. PhD 6.4
            if (node.Protocol.StartRead() is { } read)
                _reads[(node.Id, read, node.StartCount)] = new LogIndex(_checks.CommittedCount);
        }

        private void Poll(ProtocolNode node)
        {
            node.Poll();
            _network.AddRange(node.TakeSent());
            CheckReads(node);
        }

        private void CheckReads(ProtocolNode node)
        {
            foreach (ReadReady ready in node.ReadsReady)
            {
                if (_reads.Remove((node.Id, ready.ReadId, node.StartCount), out LogIndex atLeast))
                    Assert.True(ready.Index >= atLeast, $"read at {ready.Index}, committed was {atLeast}");
            }

            node.ReadsReady.Clear();
        }

        private void Deliver()
        {
            if (_network.Count == 0)
                return;
            int at = _random.Next(3) == 0 ? _random.Next(_network.Count) : 0;
            Message message = _network[at];
            int fate = _random.Next(100);
            if (fate >= 5)
                _network.RemoveAt(at); // else it will come a second time
            if (fate > 100 - _lossPercent || !_cluster.IsConnected(message.From, message.To))
                return;
            if (_cluster.Find(message.To) is { IsUp: true } receiver)
                receiver.Step(message);
        }

        private void HealAndCompare()
        {
            _cluster.Heal();
            foreach (ProtocolNode node in _cluster.Nodes)
            {
                node.AnswersReads = true;
                if (!node.IsUp)
                    node.Start();
                node.AnswerReads();
            }

            // Transfers of the wild time end, also those whose receiver crashed before it could answer.
            foreach (ProtocolNode sender in _cluster.Nodes)
            {
                foreach (ProtocolNode receiver in _cluster.Nodes)
                    sender.Protocol.OnSnapshotSent(receiver.Id, sender.Protocol.CurrentTerm, matchIndex: null);
            }

            // Late messages of the wild time still arrive, in any order.
            foreach (Message message in _network)
                _cluster.Find(message.To)?.Step(message);

            _cluster.TickUntil(() => _cluster.LeaderOrNull is { } leader && leader.Protocol.CommitIndex == leader.Protocol.LastIndex
                && leader.Protocol.ConfigurationIndex <= leader.Protocol.CommitIndex
                && leader.Protocol.Configuration is { IsJoint: false, Target.Count: 0 } settled && settled.CanVote(leader.Id)
                && settled.Current.All(member => member.Kind != MemberKind.Joining)
                && _cluster.Nodes.All(node => node.Protocol.Leader == leader.Id || !leader.Protocol.Configuration.Contains(node.Id)));
            while (_cluster.Leader.Protocol.AddEntry(EntryKind.Command, "last"u8.ToArray(), timeMs: 1) is null)
                _cluster.Tick();
            _cluster.Tick(5);
            _checks.Check();
            ProtocolNode leader = _cluster.Leader;
            foreach (ProtocolNode node in _cluster.Nodes.Where(node => leader.Protocol.Configuration.Contains(node.Id)))
            {
                Assert.Equal(leader.Protocol.LastIndex.Value, node.Applied.Count);
                Assert.Equal(leader.Protocol.LastIndex, node.Protocol.DurableIndex);
            }

            for (int i = 1; i < leader.Applied.Count; i++)
                Assert.True(leader.Applied[i].TimeMs >= leader.Applied[i - 1].TimeMs);
        }
    }
}
