using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>On histories small enough to try every order, the checker says what trying every order says.</summary>
public sealed class HistoriesBruteForceTests
{
    [Theory]
    [InlineData(2000, 6, 1, 25)]
    [InlineData(2000, 6, 0, 25)]
    [InlineData(800, 7, 1, 60)]
    public void Every_verdict_is_that_of_trying_all_orders(int seeds, int operations, int keys, int unknownPercent)
    {
        int good = 0, bad = 0;
        var shape = new HistoryShape(operations, Clients: 3, keys, unknownPercent, HasJournal: false);
        for (int seed = 0; seed < seeds; seed++)
        {
            var random = new Random(seed);
            HistoryEvent[] events = [.. HistoriesOfAModel.Run(seed, shape).Events];
            var history = new History();
            foreach (HistoryEvent one in events)
                Record(history, one, random);

            bool expected = TryAllOrders(Retry.Merge(Request.Of(history)));
            string? violation = LinearizabilityChecker.Check(history);
            Assert.True(violation is null == expected, $"Seed {seed}: {(expected ? "good" : "bad")}, but: {violation}{Environment.NewLine}{string.Join(Environment.NewLine, Request.Of(history))}");
            good += expected ? 1 : 0;
            bad += expected ? 0 : 1;
        }

        // Neither verdict is there by chance alone.
        Assert.True(good > seeds / 5 && bad > seeds / 10, $"{good} good, {bad} bad");
    }

    /// <summary>Every sixth answer is changed a little: whether that is a lie, trying tells.</summary>
    private static void Record(History history, HistoryEvent one, Random random)
    {
        switch (one.Kind)
        {
            case EventKind.Invoked:
                Operation operation = one.Operation switch
                {
                    PutKey put => put with { IdempotencyKey = null },
                    DeleteKey delete => delete with { IdempotencyKey = null },
                    AppendEntry append => append with { IdempotencyKey = null },
                    var other => other!,
                };
                history.Invoke(one.Client!, operation, one.Time);
                break;
            case EventKind.Completed:
                history.Complete(one.Id, random.Next(6) == 0 ? Changed(one.Outcome!, random) : one.Outcome!, one.Time);
                break;
            case EventKind.Unknown:
                history.Unknown(one.Id, one.Time);
                break;
            default:
                history.NeverHappened(one.Id, one.Time);
                break;
        }
    }

    private static Outcome Changed(Outcome outcome, Random random) => (outcome, random.Next(3)) switch
    {
        (Found found, 0) => found with { Revision = found.Revision + 1 },
        (Found, _) => new Missing(),
        (Missing, _) => new Found($"v{1 + random.Next(4)}", 1 + random.Next(3)),
        (Written written, 0) => written with { Created = !written.Created },
        (Written written, _) => written with { Revision = written.Revision + 1 },
        (Removed, 0) => new Removed(0),
        (Removed removed, _) => new Removed(removed.RaftIndex + 1),
        (Refused refused, 0) => new Refused(refused.CurrentRevision + 1),
        (Refused refused, 1) => new Refused(0, refused.RaftIndex),
        (Refused refused, _) => new Refused(refused.CurrentRevision),
        (Appended appended, _) => new Appended(appended.Index + 1, appended.RaftIndex),
        (EntriesRead { Values.Count: > 0 } read, 0) => new EntriesRead(read.From, [.. read.Values.Skip(1), "v1"], read.LastIndex),
        (EntriesRead { LastIndex: > 0 } read, _) => new EntriesRead(read.From, [.. read.Values.Take((int)Math.Max(0, read.LastIndex - read.From))], read.LastIndex - 1),
        _ => outcome,
    };

    /// <summary>Which revision a write of unknown outcome got is tried too: one that some answer names, or one between those.</summary>
    private static bool TryAllOrders(List<Request> requests)
    {
        decimal[] named = [.. requests.SelectMany(one => new[] { KeyState.RevisionOf(one.Outcome), ((one.Operation as PutKey)?.Condition ?? (one.Operation as DeleteKey)?.Condition)?.Revision }).OfType<long>().Where(one => one > 0).Select(one => (decimal)one).Distinct()];
        return Try(requests, named, new PlainState(0, null, 0, []));
    }

    private sealed record PlainState(decimal Revision, string? Value, decimal Index, string[] Journal);

    private static bool Try(List<Request> left, decimal[] named, PlainState state)
    {
        if (left.TrueForAll(one => one.IsUnknown))
            return true;
        foreach (Request next in left)
        {
            if (left.Exists(one => one.End < next.Start))
                continue;
            List<Request> rest = [.. left.Where(one => one != next)];
            if (Outcomes(next, named, state).Any(after => Try(rest, named, after)))
                return true;
        }

        return false;
    }

    private static IEnumerable<PlainState> Outcomes(Request request, decimal[] named, PlainState state)
    {
        bool isTold = Answers.RaftIndexOf(request.Outcome) is not null;
        decimal[] indexes = Answers.RaftIndexOf(request.Outcome) is { } told ? [told] : [.. named, state.Index + 0.001m];
        switch (request.Operation)
        {
            case GetKey:
                bool isRight = request.Outcome switch
                {
                    Found found => found.Value == state.Value && found.Revision == state.Revision,
                    Missing => state.Revision == 0,
                    _ => true,
                };
                return isRight ? [state] : [];
            case AppendEntry append:
                return request.Outcome is null or Appended && (request.Outcome as Appended is not { } at || at.Index == state.Journal.Length + 1)
                    ? indexes.Where(index => index > state.Index).Select(index => state with { Index = index, Journal = [.. state.Journal, append.Value] }) : [];
            case ReadEntries read:
                return request.Outcome is not EntriesRead seen || (seen.LastIndex == state.Journal.Length && IsPage(seen, [.. state.Journal.Skip((int)read.From - 1).Take(read.Limit)]))
                    ? [state] : [];
            default:
                KeyCondition? condition = (request.Operation as PutKey)?.Condition ?? (request.Operation as DeleteKey)?.Condition;
                if (!Holds(condition, state.Revision))
                {
                    return request.Outcome is null || (request.Outcome is Refused refused && refused.CurrentRevision == state.Revision)
                        ? indexes.Where(index => index > state.Index).Select(index => state with { Index = index }).Append(state).Where(after => !isTold || after != state) : [];
                }

                return indexes.Where(index => index > state.Index).SelectMany<decimal, PlainState>(index => (request.Operation, request.Outcome) switch
                {
                    (PutKey put, null) => [state with { Revision = index, Value = put.Value, Index = index }],
                    (PutKey put, Written written) when written.Created == (state.Revision == 0) => [state with { Revision = index, Value = put.Value, Index = index }],
                    (DeleteKey, null or Removed) => [state with { Revision = 0, Value = null, Index = index }],
                    _ => [],
                });
        }
    }

    private static bool IsPage(EntriesRead seen, string[] page) =>
        seen.Values.SequenceEqual(page.Take(seen.Values.Count)) && (page.Length == 0 || seen.Values.Count > 0);

    private static bool Holds(KeyCondition? condition, decimal revision) => condition?.Kind switch
    {
        null => true,
        KeyConditionKind.Exists => revision != 0,
        KeyConditionKind.Absent => revision == 0,
        KeyConditionKind.Is => revision == condition.Revision,
        _ => revision != condition.Revision,
    };
}
