namespace Raft.Simulator.Histories;

/// <summary>Looks for an order of one key's operations that explains their answers: Wing and Gong's search with Lowe's memory
/// of configurations that led nowhere.</summary>
/// <remarks>
/// Six rules keep it near linear for honest histories, and lose no solution:
/// what an answer tells of revisions is taken in their order, since they only grow;
/// a read that fits the state is taken at once, since it changes nothing;
/// an unknown write happens only just before something that would not fit without it, since it could come later or never;
/// of unknown writes that are the same the earlier is taken first;
/// unknown writes whose values nobody has seen are the same, whatever they wrote;
/// an unknown write whose value somebody has seen, and nobody else wrote, has the revision with which it was seen, and no other.
/// </remarks>
internal sealed class KeySearch
{
    private const string Unseen = "\0";         // nobody compares it
    private readonly Request[] _operations;     // first those with an answer, then the unknown, each by their start
    private readonly int _answered;
    private readonly int[] _byEnd;
    private readonly int[] _byRevision;
    private readonly int[] _placeByEnd;
    private readonly int[] _placeByRevision;
    private readonly int[] _twins;              // of an unknown write: the same one before it, or -1
    private readonly long[] _seenAs;            // of an unknown write: the revision with which its value was seen, or 0
    private readonly bool[] _isUnseen;          // of an unknown write: nobody has seen its value
    private readonly HashSet<long> _taken = []; // revisions whose writers are known
    private readonly ulong[] _done;
    private readonly HashSet<Configuration> _visited = [];
    private readonly Stack<Step> _steps = new();
    private int _left;
    private int _first;                         // everything answered before it is done; likewise the next two
    private int _firstByEnd;
    private int _firstByRevision;

    private readonly record struct Step(int Chosen, KeyState Before, KeyState? Without, bool IsForced);

    public KeySearch(IEnumerable<Request> requests)
    {
        Request[] all = [.. requests.OrderBy(one => one.Start)];
        _operations = [.. all.Where(one => !one.IsUnknown), .. all.Where(one => one is { IsUnknown: true, Operation: PutKey or DeleteKey })];
        _answered = _left = all.Count(one => !one.IsUnknown);
        _byEnd = [.. Enumerable.Range(0, _answered).OrderBy(i => _operations[i].End)];
        _byRevision = [.. Enumerable.Range(0, _answered).Where(i => RevisionOf(i) is not null).OrderBy(RevisionOf)];
        _placeByEnd = Places(_byEnd);
        _placeByRevision = Places(_byRevision);
        _done = new ulong[(_operations.Length + 63) / 64];
        _twins = new int[_operations.Length];
        (_seenAs, _isUnseen) = (new long[_operations.Length], new bool[_operations.Length]);
        Dictionary<Operation, int> last = [];
        FindWriters();
        for (int i = _answered; i < _operations.Length; i++)
        {
            Operation same = _operations[i].Operation switch
            {
                PutKey put => put with { IdempotencyKey = null, Value = _isUnseen[i] ? Unseen : put.Value },
                DeleteKey delete => delete with { IdempotencyKey = null },
                var other => other,
            };
            _twins[i] = last.TryGetValue(same, out int twin) ? twin : -1;
            last[same] = i;
        }
    }

    /// <summary>Whether there is such an order; null when more configurations than allowed did not tell.</summary>
    public bool? Run(int configurationsMax)
    {
        KeyState state = default;
        KeyState? without = null;   // the state if the unknown write just before had not happened
        int from = 0;
        while (_left > 0)
        {
            bool isForced = false;
            KeyState after = state;
            int chosen = from == 0 ? FittingRead(state) : -1;
            if (chosen >= 0)
                isForced = true;
            else
                chosen = Next(from, state, without, out after);

            if (chosen >= 0)
            {
                _steps.Push(new Step(chosen, state, without, isForced));
                Mark(chosen);
                without = chosen < _answered ? null : state;
                state = after;
                from = 0;
                if (isForced || _visited.Add(new Configuration([.. _done], state, without)))
                {
                    if (_visited.Count > configurationsMax)
                        return null;
                    continue;
                }
            }

            Step undone;
            do
            {
                if (!_steps.TryPop(out undone))
                    return false;
                Unmark(undone.Chosen);
            }
            while (undone.IsForced);

            (state, without, from) = (undone.Before, undone.Without, undone.Chosen + 1);
        }

        return true;
    }

    private long? RevisionOf(int i) => KeyState.RevisionOf(_operations[i].Outcome);

    /// <summary>What the reads tell of the writers.</summary>
    private void FindWriters()
    {
        Dictionary<string, int> writers = [];
        foreach (Request request in _operations)
        {
            if (request.Operation is PutKey put)
                writers[put.Value] = writers.GetValueOrDefault(put.Value) + 1;
        }

        Dictionary<string, long> seen = [];
        foreach (Request request in _operations)
        {
            if (request.Outcome is Found found)
                seen[found.Value] = found.Revision;
            else if (request.Outcome is Written written)
                _taken.Add(written.Revision);
        }

        for (int i = _answered; i < _operations.Length; i++)
        {
            if (_operations[i].Operation is not PutKey put)
                continue;
            _isUnseen[i] = !seen.TryGetValue(put.Value, out long revision);
            if (_isUnseen[i] || writers[put.Value] > 1)
                continue;
            _seenAs[i] = revision;
            _taken.Add(revision);
        }
    }

    /// <summary>The state after an operation that comes next; null when it cannot.</summary>
    private KeyState? After(int i, KeyState state)
    {
        if (state.After(_operations[i]) is not { } next)
            return null;
        if (i >= _answered && _seenAs[i] is > 0 and var revision)
            return revision > next.Floor && IsNextRevision(revision) ? next with { Revision = revision, Floor = revision } : null;
        if (i >= _answered && _isUnseen[i])
            return next with { Value = Unseen };
        bool isBinding = state.Revision == KeyState.Unbound && next.Revision > 0 && !IsWrite(i);
        return isBinding && _taken.Contains(next.Revision) ? null : next;
    }

    private int FittingRead(KeyState state)
    {
        int end = FirstEnd();
        for (int i = _first; i < _answered && _operations[i].Start < end; i++)
        {
            if (!IsDone(i) && !IsWrite(i) && IsNextRevision(i) && state.After(_operations[i]) == state)
                return i;
        }

        return -1;
    }

    private bool IsWrite(int i) => _operations[i].Outcome is Written or Removed;

    /// <summary>The next operation that may come now, of those from a number on.</summary>
    private int Next(int from, KeyState state, KeyState? without, out KeyState after)
    {
        int end = FirstEnd();
        for (int i = Math.Max(from, _first); i < _operations.Length; i++)
        {
            Request operation = _operations[i];
            if (operation.Start > end)
            {
                if (i >= _answered)
                    break;
                i = _answered - 1; // the unknown ones are left
                continue;
            }

            if (IsDone(i) || (i < _answered ? !IsNextRevision(i) : _twins[i] >= 0 && !IsDone(_twins[i])))
                continue;
            if (After(i, state) is { } next && !(without is { } other && After(i, other) is { } same && same.Allows(next)))
            {
                after = next;
                return i;
            }
        }

        after = default;
        return -1;
    }

    /// <summary>What has not begun when the first of those left ends cannot come before it.</summary>
    private int FirstEnd() => _operations[_byEnd[_firstByEnd]].End;

    private bool IsNextRevision(int i) => RevisionOf(i) is not { } revision || IsNextRevision(revision);

    private bool IsNextRevision(long revision) => _firstByRevision == _byRevision.Length || revision <= RevisionOf(_byRevision[_firstByRevision]);

    private bool IsDone(int i) => (_done[i / 64] & (1UL << (i % 64))) != 0;

    private void Mark(int i)
    {
        _done[i / 64] |= 1UL << (i % 64);
        if (i >= _answered)
            return;

        _left--;
        while (_first < _answered && IsDone(_first))
            _first++;
        while (_firstByEnd < _answered && IsDone(_byEnd[_firstByEnd]))
            _firstByEnd++;
        while (_firstByRevision < _byRevision.Length && IsDone(_byRevision[_firstByRevision]))
            _firstByRevision++;
    }

    private void Unmark(int i)
    {
        _done[i / 64] &= ~(1UL << (i % 64));
        if (i >= _answered)
            return;

        _left++;
        _first = Math.Min(_first, i);
        _firstByEnd = Math.Min(_firstByEnd, _placeByEnd[i]);
        _firstByRevision = Math.Min(_firstByRevision, _placeByRevision[i]);
    }

    /// <summary>Where each answered operation stands in an order; those that are not in it stand behind everything.</summary>
    private int[] Places(int[] order)
    {
        int[] places = new int[_answered];
        Array.Fill(places, int.MaxValue);
        for (int place = 0; place < order.Length; place++)
            places[order[place]] = place;
        return places;
    }

    private sealed class Configuration(ulong[] done, KeyState state, KeyState? without) : IEquatable<Configuration>
    {
        private readonly int _hash = HashOf(done, state, without);

        public bool Equals(Configuration? other) => other is not null && other._hash == _hash && other.IsSame(done, state, without);

        public override bool Equals(object? obj) => Equals(obj as Configuration);

        public override int GetHashCode() => _hash;

        private bool IsSame(ulong[] otherDone, KeyState otherState, KeyState? otherWithout) =>
            state == otherState && without == otherWithout && done.AsSpan().SequenceEqual(otherDone);

        private static int HashOf(ulong[] done, KeyState state, KeyState? without)
        {
            HashCode hash = default;
            foreach (ulong word in done)
                hash.Add(word);
            hash.Add(state);
            hash.Add(without);
            return hash.ToHashCode();
        }
    }
}
