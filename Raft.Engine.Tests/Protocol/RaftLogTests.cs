using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

public class RaftLogTests
{
    /// <summary>Appends, truncations, releases and look-ups against a plain list.</summary>
    [Fact]
    public void The_log_agrees_with_a_plain_list()
    {
        for (int seed = 0; seed < 100; seed++)
        {
            var random = new Random(seed);
            const long CacheBytes = 500;
            var log = new RaftLog(PersistedState.Empty, CacheBytes);
            var model = new List<Entry>();
            long term = 1;
            long released = 0;
            for (int step = 0; step < 400; step++)
            {
                switch (random.Next(10))
                {
                    case < 6:
                        term += random.Next(5) == 0 ? 1 : 0;
                        Entry entry = Solo.EntryOf(model.Count + 1, term, new string('x', random.Next(100)));
                        log.Append(entry);
                        model.Add(entry);
                        break;
                    case < 7 when model.Count > released:
                        long from = random.NextInt64(released + 1, model.Count + 1);
                        log.TruncateFrom(new LogIndex(from));
                        model.RemoveRange((int)from - 1, model.Count - (int)from + 1);
                        term++;
                        break;
                    case < 9 when model.Count > 0:
                        released = random.NextInt64(released, Math.Min(released + 5, model.Count) + 1);
                        log.Release(new LogIndex(released));
                        break;
                }

                Check(log, model, released, CacheBytes);
            }
        }
    }

    /// <summary>The last entry before a snapshot may be hours ahead of the next leader's clock. Found by the simulator.</summary>
    [Fact]
    public void Time_goes_on_from_a_snapshot_that_has_no_log_behind_it()
    {
        var snapshot = new SnapshotDescriptor("s", new LogIndex(10), new Term(2), Configuration.Empty, LogIndex.Zero, 0, 0) { TimeMs = 5000 };
        Assert.Equal(5000, new RaftLog(PersistedState.Empty with { Snapshot = snapshot }, maxCacheBytes: 0).LastTimeMs);

        var log = new RaftLog(PersistedState.Empty, maxCacheBytes: 0);
        log.Append(Solo.EntryOf(1, 1));
        log.ResetTo(snapshot.Index, snapshot.Term, snapshot.TimeMs);
        Assert.Equal(5000, log.LastTimeMs);
    }

    private static void Check(RaftLog log, List<Entry> model, long released, long cacheBytes)
    {
        Assert.Equal(model.Count, log.LastIndex.Value);
        Assert.Equal(model.Count == 0 ? Term.Zero : model[^1].Term, log.LastTerm);
        Assert.Null(log.TermAt(log.LastIndex.Next));
        Assert.Equal(Term.Zero, log.TermAt(LogIndex.Zero));
        for (int i = 0; i < model.Count; i++)
        {
            var index = new LogIndex(i + 1);
            Assert.Equal(model[i].Term, log.TermAt(index));
            Assert.Equal(model.FindIndex(entry => entry.Term == model[i].Term) + 1, log.FirstIndexOfTermAt(index).Value);
            if (index >= log.FirstInMemory)
                Assert.Same(model[i], log[index]);
        }

        // What is not released stays; of the rest no more than the cache may hold, and all of it while it fits.
        Assert.True(log.FirstInMemory.Value <= released + 1);
        Assert.True(model.Skip((int)log.FirstInMemory.Value - 1).Take((int)(released - log.FirstInMemory.Value + 1)).Sum(entry => entry.CostBytes) <= cacheBytes);
        foreach (long term in new long[] { 0, 1, 3, 1000 })
        {
            var bound = new LogIndex(model.Count - 1);
            int expected = model.SkipLast(1).ToList().FindLastIndex(entry => entry.Term.Value <= term) + 1;
            if (model.Count > 0)
                Assert.Equal(expected, log.LastIndexWithTermAtMost(new Term(term), bound).Value);
        }
    }

    [Fact]
    public void A_copy_is_bounded_by_bytes_but_holds_at_least_one_entry()
    {
        var log = new RaftLog(PersistedState.Empty, maxCacheBytes: 0);
        for (int i = 1; i <= 5; i++)
            log.Append(Solo.EntryOf(i, 1, new string('x', 52))); // 100 bytes each
        Assert.Equal(2, log.Copy(new LogIndex(2), log.LastIndex, maxBytes: 299, out long bytes).Length);
        Assert.Equal(200, bytes);
        Assert.Single(log.Copy(new LogIndex(2), log.LastIndex, maxBytes: 1, out _));
        Assert.Equal(4, log.Copy(new LogIndex(2), log.LastIndex, maxBytes: 10_000, out _).Length);
    }

    /// <summary>Rule 7: a truncation below what a start found in memory.</summary>
    [Fact]
    public void A_truncation_may_go_below_what_memory_holds()
    {
        var disk = new TestDisk { RecentMax = 2 };
        disk.Write(new PersistRequest(new TermAndVote(new Term(2), null), null, [.. Enumerable.Range(1, 9).Select(i => Solo.EntryOf(i, i < 5 ? 1 : 2))]));
        var log = new RaftLog(disk.Load(), maxCacheBytes: 1000);
        Assert.Equal(8, log.FirstInMemory.Value);
        log.TruncateFrom(new LogIndex(3));
        Assert.Equal((2L, 3L), (log.LastIndex.Value, log.FirstInMemory.Value));
        log.Append(Solo.EntryOf(3, 7));
        Assert.Equal((new Term(7), (Term?)new Term(1)), (log.LastTerm, log.TermAt(new LogIndex(2))));
    }
}
