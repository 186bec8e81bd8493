namespace Raft.Simulator.Histories;

/// <summary>The log's order is the order of the writes, over all keys and the journal: what had ended, or had been seen, before
/// another began has the lower Raft index, and no two have the same.</summary>
internal static class IndexOrderChecker
{
    /// <param name="Index">The write's Raft index.</param>
    /// <param name="Write">Null when only others tell of it.</param>
    /// <param name="Proof">What first proves that it had happened: its own answer or that of a read.</param>
    private sealed record Known(long Index, Request? Write, Request Proof);

    /// <exception cref="ViolationException">It is not so.</exception>
    public static void Check(IReadOnlyList<Request> requests)
    {
        SortedDictionary<long, Known> log = [];
        foreach (Request request in requests)
        {
            if (Answers.RaftIndexOf(request.Outcome) is { } index && !log.TryAdd(index, new Known(index, request, request)))
                throw new ViolationException($"two writes have the Raft index {index}", [log[index].Proof, request]);
        }

        foreach (Request request in requests)
        {
            foreach (long index in SeenBy(request.Outcome))
            {
                if (!log.TryGetValue(index, out Known? known))
                    log.Add(index, new Known(index, Write: null, request));
                else if (request.End < known.Proof.End)
                    log[index] = known with { Proof = request };
            }
        }

        Request? latest = null;
        foreach (Known known in log.Values)
        {
            if (latest is not null && known.Proof.End < latest.Start)
            {
                throw new ViolationException(
                    $"Raft index {known.Index} had been given before the write began that has the lower index {Answers.RaftIndexOf(latest.Outcome)}", [latest, known.Proof]);
            }

            if (known.Write is { } write && (latest is null || write.Start > latest.Start))
                latest = write;
        }
    }

    private static IEnumerable<long> SeenBy(Outcome? outcome) => outcome switch
    {
        Found found => [found.Revision],
        Refused { CurrentRevision: > 0 } refused => [refused.CurrentRevision],
        Listed listed => listed.Items.Select(item => item.Revision),
        _ => [],
    };
}
