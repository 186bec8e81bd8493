using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Changes of one answer that no order of the operations can explain any more.</summary>
internal static class HistoriesLies
{
    private static readonly (string Name, Func<Story, Random, (int Id, Outcome Outcome)?> Tell)[] _lies =
    [
        ("a read shows what had been overwritten", StaleRead),
        ("a read shows what nobody wrote", (story, random) => story.Pick<Found>(random) is { } one ? (one.Id, new Found("ghost", one.Outcome.Revision)) : null),
        ("a read shows another revision", (story, random) => story.Pick<Found>(random) is { } one ? (one.Id, one.Outcome with { Revision = one.Outcome.Revision + 10_000 }) : null),
        ("a read misses what is there", Miss),
        ("a write replaces what is not there", (story, random) => story.Pick<Written>(random, one => one.Created && story.IsFirstOfItsKey(one)) is { } one ? (one.Id, one.Outcome with { Created = false }) : null),
        ("a refused write wins too", RefusedWins),
        ("a write has the revision of another", (story, random) => story.Pick<Written>(random) is { } one && story.Pick<Written>(random, other => other != one.Outcome && story.IsUnrepeated(other)) is { } two ? (two.Id, two.Outcome with { Revision = one.Outcome.Revision }) : null),
        ("two appends have one index", (story, random) => story.Pick<Appended>(random) is { } one && story.Pick<Appended>(random, other => other != one.Outcome && story.IsUnrepeated(other)) is { } two ? (two.Id, one.Outcome with { RaftIndex = two.Outcome.RaftIndex }) : null),
        ("an append has an index far ahead", (story, random) => story.Pick<Appended>(random) is { } one ? (one.Id, one.Outcome with { Index = one.Outcome.Index + 10_000 }) : null),
        ("a read of the journal misses the last entry", MissedEntry),
        ("a read of the journal shows an entry that nobody appended", (story, random) => story.Pick<EntriesRead>(random, one => one.Values.Count > 0) is { } one ? (one.Id, one.Outcome with { Values = [.. one.Outcome.Values.SkipLast(1), "ghost"] }) : null),
        ("a read of the journal shows two entries the other way round", (story, random) => story.Pick<EntriesRead>(random, one => one.Values.Count > 1 && story.IsAppended(one.Values[0])) is { } one ? (one.Id, one.Outcome with { Values = [one.Outcome.Values[1], one.Outcome.Values[0], .. one.Outcome.Values.Skip(2)] }) : null),
        ("a list lacks a key", (story, random) => story.Pick<Listed>(random, one => one.Items.Any(item => !story.MayBeRemoved(item.Key))) is { } one ? (one.Id, new Listed([.. one.Outcome.Items.Where(item => story.MayBeRemoved(item.Key))])) : null),
    ];

    public static IEnumerable<string> Names => _lies.Select(lie => lie.Name);

    /// <summary>The history once for each lie that can be told of it.</summary>
    public static IEnumerable<(string Lie, History History)> Of(IReadOnlyList<HistoryEvent> events, Random random)
    {
        var story = new Story(events);
        foreach ((string name, Func<Story, Random, (int Id, Outcome Outcome)?> tell) in _lies)
        {
            if (tell(story, random) is var (id, outcome))
                yield return (name, story.With(id, outcome));
        }
    }

    private static (int, Outcome)? StaleRead(Story story, Random random)
    {
        (int Id, Found Outcome)? read = story.Pick<Found>(random, one => story.WriteOf(one.Revision) is { Outcome.Created: false });
        if (read is not { } found || story.WriteOf(found.Outcome.Revision) is not { } write || !story.EndedBefore(write.Id, found.Id))
            return null;
        (int, Written Outcome, PutKey Operation)? older = story.WritesOf(write.Operation.Key).LastOrDefault(one => one.Outcome.Revision < write.Outcome.Revision);
        return older is { Operation: not null } before ? (found.Id, new Found(before.Operation.Value, before.Outcome.Revision)) : null;
    }

    private static (int, Outcome)? Miss(Story story, Random random) =>
        story.Pick<Found>(random, one => story.WriteOf(one.Revision) is { } write && !story.MayBeRemoved(write.Operation.Key)) is { } read
            && story.WriteOf(read.Outcome.Revision) is { } write && story.EndedBefore(write.Id, read.Id) ? (read.Id, new Missing()) : null;

    private static (int, Outcome)? RefusedWins(Story story, Random random) =>
        story.Pick<Refused>(random, one => one.CurrentRevision > 0) is { } one && story.OperationOf(one.Id) is PutKey { Condition.Kind: KeyConditionKind.Absent or KeyConditionKind.Is } put
            && story.WriteOf(one.Outcome.CurrentRevision) is not null && !story.MayBeRemoved(put.Key) && (put.Condition.Kind == KeyConditionKind.Absent || put.Condition.Revision < one.Outcome.CurrentRevision)
            && story.EndedBefore(story.WriteOf(one.Outcome.CurrentRevision)!.Value.Id, one.Id)
            ? (one.Id, new Written(one.Outcome.RaftIndex, put.Condition.Kind == KeyConditionKind.Absent)) : null;

    private static (int, Outcome)? MissedEntry(Story story, Random random)
    {
        (int Id, EntriesRead Outcome)? read = story.Pick<EntriesRead>(random, one => one.LastIndex > 0);
        if (read is not { } seen || story.AppendOf(seen.Outcome.LastIndex) is not { } append || !story.EndedBefore(append, seen.Id))
            return null;
        long last = seen.Outcome.LastIndex - 1;
        return (seen.Id, new EntriesRead(seen.Outcome.From, [.. seen.Outcome.Values.Take((int)Math.Max(0, last - seen.Outcome.From + 1))], last));
    }

    /// <summary>Looks up what a lie needs to know in order to be one.</summary>
    private sealed class Story(IReadOnlyList<HistoryEvent> events)
    {
        private readonly Dictionary<int, Operation> _operations = events.Where(one => one.Operation is not null).ToDictionary(one => one.Id, one => one.Operation!);

        public (int Id, T Outcome)? Pick<T>(Random random, Func<T, bool>? fits = null)
            where T : Outcome
        {
            (int Id, T Outcome)[] all = [.. events.Where(one => one.Outcome is T answer && (fits is null || fits(answer))).Select(one => (one.Id, (T)one.Outcome!))];
            return all.Length == 0 ? null : all[random.Next(all.Length)];
        }

        public Operation OperationOf(int id) => _operations[id];

        public IEnumerable<(int Id, Written Outcome, PutKey Operation)> WritesOf(string? key) =>
            events.Where(one => one.Outcome is Written).Select(one => (one.Id, (Written)one.Outcome!, (PutKey)_operations[one.Id]))
                .Where(one => key is null || one.Item3.Key == key).OrderBy(one => one.Item2.Revision);

        public (int Id, Written Outcome, PutKey Operation)? WriteOf(long revision) =>
            WritesOf(key: null).Where(one => one.Outcome.Revision == revision).Select(one => ((int, Written, PutKey)?)one).FirstOrDefault();

        public int? AppendOf(long index) => events.FirstOrDefault(one => one.Outcome is Appended appended && appended.Index == index)?.Id;

        public bool IsAppended(string value) => events.Any(one => one.Outcome is Appended && ((AppendEntry)_operations[one.Id]).Value == value);

        public bool EndedBefore(int id, int other) => PlaceOf(id, begins: false) < PlaceOf(other, begins: true);

        public bool MayBeRemoved(string key) => _operations.Values.Any(one => one is DeleteKey delete && delete.Key == key);

        /// <summary>Answered once: a lie about it is not found out by its repetition alone.</summary>
        public bool IsUnrepeated(Outcome outcome) => events.Count(one => one.Outcome == outcome) == 1;

        public bool IsFirstOfItsKey(Written write)
        {
            string key = ((PutKey)_operations[events.First(one => one.Outcome == write).Id]).Key;
            return IsUnrepeated(write) && _operations.Values.All(one => one is not PutKey put || put.Key != key || events.Any(end => end.Outcome is Written or Refused && _operations[end.Id] == put))
                && WritesOf(key).First().Outcome == write;
        }

        public History With(int id, Outcome outcome)
        {
            var history = new History();
            foreach (HistoryEvent one in events)
            {
                switch (one.Kind)
                {
                    case EventKind.Invoked:
                        history.Invoke(one.Client!, one.Operation!, one.Time);
                        break;
                    case EventKind.Completed:
                        history.Complete(one.Id, one.Id == id ? outcome : one.Outcome!, one.Time);
                        break;
                    case EventKind.Unknown:
                        history.Unknown(one.Id, one.Time);
                        break;
                    default:
                        history.NeverHappened(one.Id, one.Time);
                        break;
                }
            }

            return history;
        }

        private int PlaceOf(int id, bool begins)
        {
            HistoryEvent[] sorted = [.. events.OrderBy(one => one.Time)];
            return Array.FindIndex(sorted, one => one.Id == id && one.Kind == EventKind.Invoked == begins);
        }
    }
}
