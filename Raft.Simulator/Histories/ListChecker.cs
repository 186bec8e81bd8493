namespace Raft.Simulator.Histories;

/// <summary>A list of keys is of one moment: there is an index in the log at which each key was what the list shows.</summary>
/// <remarks>That each key for itself is right, <see cref="KeyChecker"/> sees: to it a list is a read of each of its keys.</remarks>
internal sealed class ListChecker
{
    /// <summary>The writes of each key of which the index is known, in its order.</summary>
    private readonly Dictionary<string, SortedList<long, Request>> _writes = new(StringComparer.Ordinal);

    /// <summary>Of these nobody knows whether and where in the log they were removed.</summary>
    private readonly HashSet<string> _maybeRemoved = new(StringComparer.Ordinal);

    private ListChecker(IEnumerable<Request> requests)
    {
        foreach (Request request in requests)
        {
            if (request.Outcome is (Written or Removed) && Answers.RaftIndexOf(request.Outcome) is { } index)
            {
                string key = KeyOf(request.Operation)!;
                if (!_writes.TryGetValue(key, out SortedList<long, Request>? ofKey))
                    _writes.Add(key, ofKey = []);
                ofKey.Add(index, request);
            }
            else if (request is { Operation: DeleteKey { Key: var removed }, Outcome: null or Removed })
            {
                _maybeRemoved.Add(removed);
            }
        }
    }

    /// <exception cref="ViolationException">A list is of no one moment.</exception>
    public static void Check(IReadOnlyList<Request> requests)
    {
        var checker = new ListChecker(requests);
        foreach (Request request in requests)
        {
            if (request is { Operation: ListKeys { Prefix: var prefix }, Outcome: Listed { Items.Count: > 0 } listed })
                checker.Check(request, prefix, listed);
        }
    }

    /// <summary>A list as reads of each key that it shows or that a history names.</summary>
    public static IEnumerable<Request> AsReads(Request list, IEnumerable<string> keys)
    {
        string prefix = ((ListKeys)list.Operation).Prefix;
        if (list.Outcome is not Listed listed)
            yield break;

        Dictionary<string, ListedKey> items = listed.Items.ToDictionary(item => item.Key, StringComparer.Ordinal);
        foreach (string key in keys.Union(items.Keys, StringComparer.Ordinal).Where(key => key.StartsWith(prefix, StringComparison.Ordinal)))
        {
            ListedKey? item = items.GetValueOrDefault(key);
            Outcome seen = item is null ? new Missing() : new Found(item.Value, item.Revision);
            yield return list with { Operation = new GetKey(key), Outcome = seen };
        }
    }

    public static string? KeyOf(Operation operation) => operation switch
    {
        GetKey get => get.Key,
        PutKey put => put.Key,
        DeleteKey delete => delete.Key,
        _ => null,
    };

    private void Check(Request list, string prefix, Listed listed)
    {
        // The youngest value is there from its revision on. Later moments matter only where something was removed then.
        long youngest = listed.Items.Max(item => item.Revision);
        Dictionary<string, long> revisions = listed.Items.ToDictionary(item => item.Key, item => item.Revision, StringComparer.Ordinal);
        string[] keys = [.. _writes.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal))];
        IEnumerable<long> removals = keys.SelectMany(key => _writes[key]).Where(one => one.Key > youngest && one.Value.Outcome is Removed).Select(one => one.Key);
        Request? against = null;
        foreach (long index in removals.Prepend(youngest))
        {
            Request? other = keys.Select(key => FindOther(key, revisions.GetValueOrDefault(key), index)).FirstOrDefault(one => one is not null);
            if (other is null)
                return;
            against ??= other;
        }

        throw new ViolationException($"a list with revision {youngest} is of no one moment", [against!, list]);
    }

    /// <summary>The write that made the key another than the list shows, at an index; null when it may have been what is shown.</summary>
    private Request? FindOther(string key, long seen, long index)
    {
        (long at, Request? last) = _writes[key].LastOrDefault(one => one.Key <= index);
        if (last is null || at <= seen)
            return null;
        bool mayBeMissing = last.Outcome is Removed || _maybeRemoved.Contains(key);
        return seen == 0 && mayBeMissing ? null : last;
    }
}
