using CsCheck;
using Raft.Engine.Protocol;
using Raft.Engine.Tests.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Model;

/// <summary>The log against a list of entries behind a snapshot. PhD 3.5, 5.3</summary>
public sealed class LogModelTests
{
    private const long CacheBytes = 300;

    private enum LogStep
    {
        Append,
        AppendInNewTerm,
        AppendMore,
        Truncate,
        Release,
        Compact,
        Reset,
        Restart,
    }

    private sealed class Model
    {
        public long SnapshotIndex { get; set; }
        public long SnapshotTerm { get; set; }

        /// <summary>Deleted up to here; at most the snapshot.</summary>
        public long DeletedTo { get; set; }

        /// <summary>Of the entry at <see cref="DeletedTo"/>; null when nobody can know it.</summary>
        public long? DeletedTerm { get; set; } = 0;
        public long Released { get; set; }
        public List<Entry> Entries { get; } = [];
        public long LastIndex => DeletedTo + Entries.Count;
        public long LastTerm => Entries.Count > 0 ? Entries[^1].Term.Value : DeletedTerm ?? 0;

        public Entry? At(long index) => index > DeletedTo && index <= LastIndex ? Entries[(int)(index - DeletedTo) - 1] : null;

        public long? TermAt(long index) => index == DeletedTo ? DeletedTerm : At(index)?.Term.Value;
    }

    [Fact]
    public void The_log_is_a_list_behind_a_snapshot() => Property.Holds(
        Gen.Select(Gen.Enum<LogStep>(), Gen.Int[0, 100]).List[0, 60],
        steps =>
        {
            var log = new RaftLog(PersistedState.Empty, CacheBytes);
            var model = new Model();
            foreach ((LogStep step, int number) in steps)
            {
                Take(ref log, model, step, number);
                Check(log, model, number);
            }
        },
        count: 800);

    private static void Take(ref RaftLog log, Model model, LogStep step, int number)
    {
        switch (step)
        {
            case LogStep.Append or LogStep.AppendInNewTerm or LogStep.AppendMore:
                for (int i = 0; i <= (step == LogStep.AppendMore ? number / 4 : 0); i++)
                {
                    long term = Math.Max(1, model.LastTerm) + (step == LogStep.AppendInNewTerm ? 1 + (number % 3) : 0);
                    Entry entry = Solo.EntryOf(model.LastIndex + 1, term, new string('x', number % 60));
                    log.Append(entry);
                    model.Entries.Add(entry);
                }

                break;
            case LogStep.Truncate when model.LastIndex > model.Released:
                long from = model.Released + 1 + (number % (model.LastIndex - model.Released));
                log.TruncateFrom(new LogIndex(from));
                model.Entries.RemoveRange((int)(from - model.DeletedTo) - 1, (int)(model.LastIndex - from) + 1);
                break;
            case LogStep.Release:
                model.Released += number % (model.LastIndex - model.Released + 1);
                log.Release(new LogIndex(model.Released));
                break;
            case LogStep.Compact when model.Released > model.DeletedTo:
                long through = model.DeletedTo + 1 + (number % (model.Released - model.DeletedTo));
                model.DeletedTerm = model.TermAt(through);
                (model.SnapshotIndex, model.SnapshotTerm) = (model.Released, model.TermAt(model.Released)!.Value);
                log.CompactThrough(new LogIndex(through));
                model.Entries.RemoveRange(0, (int)(through - model.DeletedTo));
                model.DeletedTo = through;
                break;
            case LogStep.Reset when number % 4 == 0:
                long at = model.LastIndex + 1 + (number % 5);
                long termThere = model.LastTerm + (number % 2);
                log.ResetTo(new LogIndex(at), new Term(termThere), timeMs: 0);
                (model.SnapshotIndex, model.SnapshotTerm, model.DeletedTo, model.DeletedTerm, model.Released) = (at, termThere, at, termThere, at);
                model.Entries.Clear();
                break;
            case LogStep.Restart:
                // Commit and durable are learned anew; a snapshot is both.
                log = new RaftLog(Persisted(model, recent: number % 10), CacheBytes);
                model.Released = model.SnapshotIndex;
                model.DeletedTerm = model.DeletedTo == model.SnapshotIndex ? model.SnapshotTerm : null;
                break;
            default:
                break;
        }
    }

    private static PersistedState Persisted(Model model, int recent)
    {
        List<TermRun> runs = [];
        foreach (Entry entry in model.Entries)
        {
            if (runs.Count == 0 || runs[^1].Term != entry.Term)
                runs.Add(new TermRun(entry.Index, entry.Term));
        }

        SnapshotDescriptor? snapshot = model.SnapshotIndex == 0 ? null
            : new("s", new LogIndex(model.SnapshotIndex), new Term(model.SnapshotTerm), Configuration.Empty, LogIndex.Zero, 0, 0);
        return new PersistedState(
            default, snapshot, new LogIndex(model.DeletedTo + 1), new LogIndex(model.LastIndex), runs, [.. model.Entries.TakeLast(recent)], []);
    }

    private static void Check(RaftLog log, Model model, int number)
    {
        Assert.Equal((model.DeletedTo + 1, model.LastIndex, model.LastTerm), (log.FirstIndex.Value, log.LastIndex.Value, log.LastTerm.Value));
        for (long index = Math.Max(0, model.DeletedTo - 2); index <= model.LastIndex + 2; index++)
            Assert.Equal(model.TermAt(index), log.TermAt(new LogIndex(index))?.Value);

        foreach (Entry entry in model.Entries)
        {
            Assert.Equal(model.Entries.First(other => other.Term == entry.Term).Index, log.FirstIndexOfTermAt(entry.Index));
            if (entry.Index >= log.FirstInMemory)
                Assert.Same(entry, log[entry.Index]);
        }

        Term asked = new(number % 12);
        LogIndex bound = new(Math.Max(model.DeletedTo, model.LastIndex - (number % 7)));
        long expected = model.Entries.Where(entry => entry.Term <= asked && entry.Index <= bound).Select(entry => entry.Index.Value).DefaultIfEmpty(model.DeletedTo).Max();
        Assert.Equal(expected, log.LastIndexWithTermAtMost(asked, bound).Value);
        CheckMemory(log, model, number);
    }

    /// <summary>What is not released is in memory, unless a restart left it out; of what is released only as much as the cache may hold.</summary>
    private static void CheckMemory(RaftLog log, Model model, int number)
    {
        Entry[] inMemory = [.. model.Entries.Where(entry => entry.Index >= log.FirstInMemory)];
        Assert.True(log.FirstInMemory >= log.FirstIndex && log.FirstInMemory <= log.LastIndex.Next);
        Assert.True(inMemory.Where(entry => entry.Index.Value <= model.Released).Sum(entry => (long)entry.CostBytes) <= CacheBytes);

        LogIndex last = log.LastIndex;
        Assert.Equal(inMemory.Sum(entry => (long)entry.CostBytes), log.BytesOf(log.FirstInMemory, last, long.MaxValue));
        if (log.FirstInMemory > log.FirstIndex)
            Assert.Null(log.BytesOf(log.FirstInMemory.Previous, last, long.MaxValue));

        List<Entry> copied = [];
        foreach (Entry entry in inMemory)
        {
            if (copied.Count > 0 && copied.Sum(one => one.CostBytes) + entry.CostBytes > number * 5)
                break;
            copied.Add(entry);
        }

        Assert.Equal(copied, log.Copy(log.FirstInMemory, last, number * 5, out long bytes));
        Assert.Equal(copied.Sum(entry => entry.CostBytes), bytes);
    }

    [Fact]
    public void A_leader_commits_what_a_quorum_holds_once_that_is_of_its_own_term() => Property.Holds(
        Gen.Select(Gen.Int[2, 7], Gen.Int[0, 2], Gen.Long[1, 3].List[0, 8], Gen.Select(Gen.Int[2, 7], Gen.Int[0, 3], Gen.Bool).List[0, 30]),
        one =>
        {
            (int voters, int learners, List<long> oldTerms, List<(int, int, bool)> steps) = one;
            var solo = new Solo(voters, learners, term: 3, log: [.. oldTerms.Order()]);
            solo.BecomeLeader();
            Configuration configuration = solo.Configuration;
            Dictionary<ServerId, long> held = configuration.All.ToDictionary(member => member.Id, _ => 0L);
            long commit = 0;
            foreach ((int number, int by, bool appends) in steps)
            {
                if (appends)
                    solo.Protocol.AddEntry(EntryKind.Command, new byte[by], timeMs: 1);
                solo.Node.Settle();
                held[solo.Self] = solo.Protocol.LastIndex.Value;
                if (number <= voters + learners)
                {
                    held[IdOf(number)] = Math.Min(held[IdOf(number)] + by, solo.Protocol.LastIndex.Value);
                    solo.Tell(solo.Accept(number, held[IdOf(number)]));
                }

                // PhD 3.6.2: never by counting copies of an older term's entry.
                long onQuorum = Naive.IndexOnQuorum(configuration, held);
                if (onQuorum > 0 && solo.Terms[onQuorum - 1] == solo.Protocol.CurrentTerm.Value)
                    commit = Math.Max(commit, onQuorum);
                Assert.Equal(commit, solo.Protocol.CommitIndex.Value);
            }
        },
        count: 300);
}
