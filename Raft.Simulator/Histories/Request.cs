using System.Globalization;

namespace Raft.Simulator.Histories;

/// <summary>An operation on the line of events: it takes effect between two of them.</summary>
/// <param name="Id">Its number in the history.</param>
/// <param name="Client">Who asked.</param>
/// <param name="Operation">What was asked.</param>
/// <param name="Outcome">Null: unknown, it may have no effect at all.</param>
/// <param name="Start">The number of the event that began it.</param>
/// <param name="End">The number of the event that ended it; <see cref="Never"/> when it is unknown.</param>
internal sealed record Request(int Id, string Client, Operation Operation, Outcome? Outcome, int Start, int End)
{
    public const int Never = int.MaxValue;

    /// <summary>The times of the two events, for people.</summary>
    public required (long Start, long? End) Times { get; init; }

    public bool IsUnknown => Outcome is null;

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"#{Id} {Client} [{Times.Start} .. {(Times.End is { } end ? end : "?")}] {Operation} -> {(Outcome is null ? "unknown" : Outcome)}");

    /// <summary>The operations of a history that may have had an effect, in the order of their invocation.</summary>
    public static List<Request> Of(History history)
    {
        // Sorting is stable: of two events at one time the one recorded first is first.
        HistoryEvent[] events = [.. history.Events.OrderBy(one => one.Time)];
        Dictionary<int, (int Place, HistoryEvent End)> ends = [];
        for (int place = 0; place < events.Length; place++)
        {
            if (events[place].Kind != EventKind.Invoked)
                ends.Add(events[place].Id, (place, events[place]));
        }

        List<Request> requests = [];
        for (int place = 0; place < events.Length; place++)
        {
            HistoryEvent begun = events[place];
            if (begun.Kind != EventKind.Invoked)
                continue;

            bool hasEnded = ends.TryGetValue(begun.Id, out (int Place, HistoryEvent Event) end);
            if (hasEnded && end.Event.Kind == EventKind.NeverHappened)
                continue;

            Outcome? outcome = hasEnded ? end.Event.Outcome : null;
            if (outcome is not null && end.Place < place)
                throw new InvalidDataException($"Operation {begun.Id} ended before it began.");
            requests.Add(new Request(begun.Id, begun.Client!, begun.Operation!, outcome, place, outcome is null ? Never : end.Place)
            {
                Times = (begun.Time, outcome is null ? null : end.Event.Time),
            });
        }

        return requests;
    }
}

/// <summary>A history is not linearizable; the message is for people.</summary>
internal sealed class ViolationException(string rule, IReadOnlyList<Request> requests) : Exception(
    $"{rule}:{string.Concat(requests.OrderBy(one => one.Start).Select(one => $"{Environment.NewLine}  {one}"))}")
{
    public IReadOnlyList<Request> Requests => requests;
}
