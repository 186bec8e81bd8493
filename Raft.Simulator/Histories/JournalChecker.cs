namespace Raft.Simulator.Histories;

/// <summary>The journal's entries have numbers without holes, so the order of the appends is known, and with it everything:
/// time enough to sort is time enough to check.</summary>
/// <remarks>
/// <para>Each index gets the append that made it: the one that was answered it, else an unknown one with the value that a read
/// saw there, else any unknown one that is left, the earliest first. Along the indexes, and with each read behind its last
/// index, the earliest possible moment only grows; what had ended before it is the violation.</para>
/// <para>Among unknown appends of the same value the choice would matter, so such histories are refused as undecided instead of
/// being accused.</para>
/// </remarks>
internal sealed class JournalChecker
{
    private readonly SortedDictionary<long, Request> _appends = [];
    private readonly SortedDictionary<long, (string Value, Request Read)> _seen = [];
    private readonly SortedDictionary<long, List<Request>> _reads = [];
    private readonly List<Request> _unknown = [];

    /// <exception cref="ViolationException">The history is not linearizable.</exception>
    /// <exception cref="UndecidedException">It may be or not.</exception>
    public static void Check(IEnumerable<Request> requests)
    {
        var checker = new JournalChecker();
        foreach (Request request in requests)
            checker.Note(request);
        checker.MatchReads();
        try
        {
            checker.FillHoles();
            checker.CheckOrder();
        }
        catch (ViolationException violation) when (checker._unknown.DistinctBy(ValueOf).Count() < checker._unknown.Count)
        {
            throw new UndecidedException($"unknown appends have the same value. It may be that {violation.Message}");
        }
    }

    private static string ValueOf(Request append) => ((AppendEntry)append.Operation).Value;

    private void Note(Request request)
    {
        switch (request.Operation, request.Outcome)
        {
            case (AppendEntry, Appended { Index: var index }):
                if (index < 1)
                    throw new ViolationException("the first entry is 1", [request]);
                if (!_appends.TryAdd(index, request))
                    throw new ViolationException($"two appends were answered entry {index}", [_appends[index], request]);
                break;
            case (AppendEntry, _):
                _unknown.Add(request);
                break;
            case (ReadEntries { From: var from, Limit: var limit }, EntriesRead read):
                long expected = Math.Clamp(read.LastIndex - read.From + 1, 0, limit);
                if (read.From != from || read.Values.Count > expected || (read.Values.Count == 0 && expected > 0))
                    throw new ViolationException("a read must give at least one entry, where there is one, and nothing behind the last", [request]);
                if (!_reads.TryGetValue(read.LastIndex, out List<Request>? ofLevel))
                    _reads.Add(read.LastIndex, ofLevel = []);
                ofLevel.Add(request);
                break;
            default:
                break;
        }
    }

    private void MatchReads()
    {
        foreach (Request request in _reads.Values.SelectMany(ofLevel => ofLevel))
        {
            var read = (EntriesRead)request.Outcome!;
            for (int i = 0; i < read.Values.Count; i++)
            {
                long index = read.From + i;
                if (_appends.TryGetValue(index, out Request? append))
                {
                    if (ValueOf(append) != read.Values[i])
                        throw new ViolationException($"a read shows another entry {index} than was appended", [append, request]);
                }
                else if (!_seen.TryAdd(index, (read.Values[i], request)) && _seen[index].Value != read.Values[i])
                {
                    throw new ViolationException($"two reads show another entry {index}", [_seen[index].Read, request]);
                }
            }
        }
    }

    private void FillHoles()
    {
        List<Request> left = [.. _unknown.OrderBy(one => one.Start)];
        ILookup<string, Request> byValue = left.ToLookup(ValueOf, StringComparer.Ordinal);
        HashSet<Request> used = new(ReferenceEqualityComparer.Instance);
        foreach ((long index, (string value, Request read)) in _seen)
        {
            Request? append = byValue[value].FirstOrDefault(used.Add);
            if (append is null)
            {
                throw new ViolationException(
                    $"entry {index} is {value}, and no append can have made it", [.. _appends.Values.Where(one => ValueOf(one) == value), read]);
            }

            _appends.Add(index, append);
        }

        var free = new Queue<Request>(left.Where(one => !used.Contains(one)));
        long last = Math.Max(_appends.Count == 0 ? 0 : _appends.Keys.Last(), _reads.Count == 0 ? 0 : _reads.Keys.Last());
        for (long index = 1; index <= last; index++)
        {
            if (_appends.ContainsKey(index))
                continue;
            if (!free.TryDequeue(out Request? append))
                throw new ViolationException($"entry {index} was made by no append", [BehindHole(index)]);
            _appends.Add(index, append);
        }
    }

    /// <summary>What proves that there is an entry of this index.</summary>
    private Request BehindHole(long index) =>
        _appends.FirstOrDefault(one => one.Key > index).Value ?? _reads.First(one => one.Key >= index).Value[0];

    private void CheckOrder()
    {
        Request? latest = null;
        Place(level: 0, ref latest);
        foreach ((long index, Request append) in _appends)
        {
            if (latest is not null && append.End < latest.Start)
                throw new ViolationException(latest.Operation is ReadEntries ? $"a read misses entry {index}, which was there before" : $"entry {index} had been acknowledged before a lower one began", [latest, append]);
            latest = Later(latest, append);
            Place(index, ref latest);
        }
    }

    private void Place(long level, ref Request? latest)
    {
        if (!_reads.TryGetValue(level, out List<Request>? ofLevel))
            return;

        Request? before = latest;
        foreach (Request read in ofLevel)
        {
            if (before is not null && read.End < before.Start)
                throw new ViolationException(before.Operation is ReadEntries ? $"a read misses entry {level}, which another had seen before" : $"a read had seen up to entry {level} before that can have been", [before, read]);
            latest = Later(latest, read);
        }
    }

    private static Request Later(Request? one, Request other) => one is null || other.Start > one.Start ? other : one;
}
