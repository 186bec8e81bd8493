namespace Raft.Simulator.Histories;

/// <summary>What clients asked and were answered, of one group, in the order of time. Thread-safe.</summary>
/// <remarks>
/// <para>The time of an invocation is taken before anything is sent, that of an end after the answer is there; any unit, one
/// clock. Of two events at the same time, the one recorded first was first.</para>
/// <para>An operation without an end counts as unknown: it may have happened at any time from its invocation on, or never.</para>
/// </remarks>
public sealed class History
{
    private readonly Lock _lock = new();
    private readonly List<HistoryEvent> _events = [];
    private readonly List<Operation> _operations = [];
    private readonly List<bool> _hasEnded = [];
    private readonly Dictionary<string, Operation> _requests = new(StringComparer.Ordinal);

    /// <summary>A client begins an operation; gives its id: 0, 1, 2 ...</summary>
    /// <exception cref="ArgumentException">The idempotency key was used for another request.</exception>
    public int Invoke(string client, Operation operation, long time)
    {
        lock (_lock)
        {
            if (Retry.KeyOf(operation) is { } key && !_requests.TryAdd(key, operation) && _requests[key] != operation)
                throw new ArgumentException($"The idempotency key {key} belongs to another request: {_requests[key]}.", nameof(operation));
            int id = _operations.Count;
            _operations.Add(operation);
            _hasEnded.Add(false);
            _events.Add(new HistoryEvent(EventKind.Invoked, id, time) { Client = client, Operation = operation });
            return id;
        }
    }

    /// <summary>It was answered, and so happened between its invocation and now.</summary>
    public void Complete(int id, Outcome outcome, long time) => End(new HistoryEvent(EventKind.Completed, id, time) { Outcome = outcome });

    /// <summary>It will get no answer: it may have happened, may yet happen, or never will.</summary>
    public void Unknown(int id, long time) => End(new HistoryEvent(EventKind.Unknown, id, time));

    /// <summary>It provably did not happen and never will.</summary>
    public void NeverHappened(int id, long time) => End(new HistoryEvent(EventKind.NeverHappened, id, time));

    /// <summary>All events up to now, as they were recorded.</summary>
    public IReadOnlyList<HistoryEvent> Events
    {
        get
        {
            lock (_lock)
                return [.. _events];
        }
    }

    private void End(HistoryEvent end)
    {
        lock (_lock)
        {
            if (_hasEnded[end.Id])
                throw new InvalidOperationException($"Operation {end.Id} ({_operations[end.Id]}) has ended already.");
            if (end.Outcome is { } outcome && !Answers.Fits(_operations[end.Id], outcome))
                throw new ArgumentException($"\"{outcome}\" answers no \"{_operations[end.Id]}\".", nameof(end));
            _hasEnded[end.Id] = true;
            _events.Add(end);
        }
    }
}

public enum EventKind
{
    Invoked,
    Completed,
    Unknown,
    NeverHappened,
}

/// <summary>One line of a history.</summary>
public sealed record HistoryEvent(EventKind Kind, int Id, long Time)
{
    /// <summary>Of an invocation.</summary>
    public string? Client { get; init; }

    /// <summary>Of an invocation.</summary>
    public Operation? Operation { get; init; }

    /// <summary>Of a completion.</summary>
    public Outcome? Outcome { get; init; }
}
