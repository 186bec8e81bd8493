namespace Raft.Simulator.Histories;

/// <summary>One key's history: whether it is linearizable, and if not, by which few operations one sees it.</summary>
internal static class KeyChecker
{
    /// <exception cref="ViolationException">The history is not linearizable.</exception>
    /// <exception cref="UndecidedException">The search was given up.</exception>
    public static void Check(string key, IReadOnlyList<Request> requests, int configurationsMax)
    {
        switch (new KeySearch(requests).Run(configurationsMax))
        {
            case true:
                return;
            case null:
                throw new UndecidedException($"key {key} with {requests.Count} operations has more than {configurationsMax} configurations");
            default:
                throw new ViolationException($"no order of these operations on key {key} explains their answers", Explain(requests, configurationsMax));
        }
    }

    private static List<Request> Explain(IReadOnlyList<Request> requests, int configurationsMax)
    {
        bool IsBad(List<Request> some) => new KeySearch(some).Run(configurationsMax) == false;

        // Reads first: what was written tells people more.
        List<Request> core = ShortestPrefix(requests, IsBad);
        core = WeakenWhere(one => one.Operation is GetKey, core, IsBad);
        core = WeakenWhere(_ => true, core, IsBad);
        List<Request> kept = [.. core.Where(one => !one.IsUnknown)];

        // What was made unknown or was so from the start is shown where the rest mentions it.
        HashSet<string> values = [.. kept.Select(one => one.Outcome).OfType<Found>().Select(found => found.Value)];
        HashSet<long> revisions = [.. kept.SelectMany(one => new[] { KeyState.RevisionOf(one.Outcome), ConditionOf(one.Operation)?.Revision }).OfType<long>()];
        HashSet<int> ids = [.. kept.Select(one => one.Id)];
        return
        [
            .. requests.Where(one => ids.Contains(one.Id)
                || (one.Operation is PutKey put && values.Contains(put.Value))
                || (one.Outcome is Written or Removed && KeyState.RevisionOf(one.Outcome) is { } revision && revisions.Contains(revision))),
        ];
    }

    /// <summary>The history up to the first event that makes it bad: what had not ended then is unknown.</summary>
    private static List<Request> ShortestPrefix(IReadOnlyList<Request> requests, Func<List<Request>, bool> isBad)
    {
        int[] ends = [.. requests.Where(one => !one.IsUnknown).Select(one => one.End).Order()];
        int good = -1, bad = ends.Length - 1;
        while (bad - good > 1)
        {
            int middle = (good + bad) / 2;
            if (isBad(Until(ends[middle])))
                bad = middle;
            else
                good = middle;
        }

        return Until(ends[bad]);

        List<Request> Until(int end) => [.. requests.Where(one => one.Start < end).Select(one => one.End <= end ? one : Weaken(one)).OfType<Request>()];
    }

    private static List<Request> WeakenWhere(Func<Request, bool> isMeant, List<Request> requests, Func<List<Request>, bool> isBad)
    {
        Request[] meant = [.. requests.Where(one => !one.IsUnknown && isMeant(one))];
        for (int size = Math.Max(1, meant.Length / 2); size > 0; size /= 2)
        {
            foreach (Request[] some in meant.Chunk(size))
            {
                HashSet<Request> chosen = new(some, ReferenceEqualityComparer.Instance);
                List<Request> weaker = [.. requests.Select(one => chosen.Contains(one) ? Weaken(one) : one).OfType<Request>()];
                if (isBad(weaker))
                    requests = weaker;
            }
        }

        return requests;
    }

    private static KeyCondition? ConditionOf(Operation operation) => (operation as PutKey)?.Condition ?? (operation as DeleteKey)?.Condition;

    /// <summary>Allows more: a read is left out, a write may have happened or not. What is still bad then, was bad without it.</summary>
    private static Request? Weaken(Request request) =>
        request.Operation is GetKey or ListKeys ? null : request with { Outcome = null, End = Request.Never };
}
