using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>What must always hold, over the whole run and not just now. PhD figure 3.2</summary>
internal sealed class SafetyChecks(ProtocolCluster cluster)
{
    private readonly Dictionary<Term, ServerId> _leaders = [];
    private readonly List<Entry> _committed = [];           // as the first server to know saw it
    private readonly List<Term?> _committedTerms = [];      // by commit index, which may be ahead of every disk but a quorum's
    private readonly Dictionary<ServerId, (Term Term, ServerId? Vote)> _votes = [];

    public int CommittedCount => _committedTerms.Count;

    public void Check()
    {
        foreach (ProtocolNode node in cluster.Nodes)
        {
            CheckVote(node);
            if (!node.IsUp)
                continue;
            CheckElectionSafety(node);
            CheckConfiguration(node);
            CheckApplied(node);
            CheckCommitted(node);
        }

        CheckLeaderCompleteness();
        CheckLogMatching();
    }

    /// <summary>At most one leader per term. PhD 3.4</summary>
    private void CheckElectionSafety(ProtocolNode node)
    {
        if (node.Protocol.Role != Role.Leader)
            return;
        if (!_leaders.TryAdd(node.Protocol.CurrentTerm, node.Id))
            Assert.Equal(_leaders[node.Protocol.CurrentTerm], node.Id);
    }

    /// <summary>In force is the last configuration of the log, or else of the snapshot, and somebody can vote in it. PhD 4.1</summary>
    private static void CheckConfiguration(ProtocolNode node)
    {
        RaftProtocol protocol = node.Protocol;
        Assert.True(protocol.Configuration.HasVoters || protocol.ConfigurationIndex == LogIndex.Zero);
        if (protocol.DurableIndex < protocol.LastIndex || node.WritesUnderWay > 0)
            return;     // the disk lags behind
        Entry? last = node.Disk.Log.LastOrDefault(entry => entry.Kind == EntryKind.Configuration);
        if (last is not null)
            Assert.Equal(last.Index, protocol.ConfigurationIndex);
        else if (node.Disk.Snapshot is { } snapshot)
            Assert.Equal(snapshot.ConfigurationIndex, protocol.ConfigurationIndex);
    }

    /// <summary>A durable vote of a term never changes, and a durable term never falls. PhD 3.8</summary>
    private void CheckVote(ProtocolNode node)
    {
        (Term term, ServerId? vote) = (node.Disk.TermAndVote.Term, node.Disk.TermAndVote.Vote);
        if (_votes.TryGetValue(node.Id, out (Term Term, ServerId? Vote) before))
        {
            Assert.True(term >= before.Term);
            Assert.True(term > before.Term || before.Vote is null || before.Vote == vote);
        }

        _votes[node.Id] = (term, vote);
    }

    /// <summary>No two servers apply different entries at one index, and all that is applied is on the server's disk. PhD 3.6.3</summary>
    private void CheckApplied(ProtocolNode node)
    {
        for (int i = 0; i < node.Applied.Count; i++)
        {
            Entry entry = node.Applied[i];
            if (i == _committed.Count)
                _committed.Add(entry);
            Assert.Equal(_committed[i].Id, entry.Id);
            Assert.True(_committed[i].Payload.Span.SequenceEqual(entry.Payload.Span));
            if (node.Disk.At(entry.Index) is { } stored)
                Assert.Equal(entry.Id, stored.Id);
            else
                Assert.True(entry.Index <= node.Disk.Snapshot?.Index);
        }
    }

    /// <summary>What any server ever held for committed stays so, on every server. PhD 3.6.3</summary>
    private void CheckCommitted(ProtocolNode node)
    {
        for (int i = 0; i < node.Protocol.CommitIndex.Value; i++)
        {
            Term? term = node.Protocol.TermAt(new LogIndex(i + 1));
            if (i == _committedTerms.Count)
                _committedTerms.Add(term);
            _committedTerms[i] ??= term;            // a snapshot may tell of a commit before any log does
            if (term is not null)
                Assert.Equal(_committedTerms[i], term);
        }
    }

    /// <summary>The leader of the highest term has every entry that was ever committed. PhD 3.6.3</summary>
    private void CheckLeaderCompleteness()
    {
        Term highest = _leaders.Count == 0 ? Term.Zero : _leaders.Keys.Max();
        if (cluster.LeaderOrNull is not { } leader || leader.Protocol.CurrentTerm != highest)
            return;
        foreach (Entry entry in _committed)
        {
            if (entry.Term < highest && entry.Index >= leader.Protocol.FirstIndex)
                Assert.Equal(entry.Term, leader.Protocol.TermAt(entry.Index));
        }
    }

    /// <summary>Same index and term: same entry, and all before it the same. PhD 3.5</summary>
    private void CheckLogMatching()
    {
        for (int a = 0; a < cluster.Nodes.Count; a++)
        {
            for (int b = a + 1; b < cluster.Nodes.Count; b++)
            {
                TestDisk first = cluster.Nodes[a].Disk;
                TestDisk second = cluster.Nodes[b].Disk;
                bool match = false;
                for (LogIndex i = LogIndex.Min(first.LastIndex, second.LastIndex); first.At(i) is { } one && second.At(i) is { } other; i = i.Previous)
                {
                    match |= one.Term == other.Term;
                    if (match)
                    {
                        Assert.Equal(one.Id, other.Id);
                        Assert.True(one.Payload.Span.SequenceEqual(other.Payload.Span));
                    }
                }
            }
        }
    }
}
