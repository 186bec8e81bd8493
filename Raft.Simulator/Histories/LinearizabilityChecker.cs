namespace Raft.Simulator.Histories;

/// <summary>Whether a history can be explained by operations that take effect one at a time, each between its invocation and
/// its answer.</summary>
/// <remarks>
/// Linearizability is local, so each key is checked for itself, and the journal. Beyond it stand two promises about the log: its
/// indexes have the order of real time over all keys and the journal, and a list of keys is of one moment.
/// The store is empty at the beginning of a history.
/// </remarks>
public static class LinearizabilityChecker
{
    /// <summary>How many configurations of one key are tried before a history counts as undecided: below a second.</summary>
    public const int ConfigurationsMax = 200_000;

    /// <summary>Null when the history is linearizable; otherwise why not, with the operations that show it in the order of their
    /// invocation. A history that could not be decided has a text too, beginning with "undecided": nothing is vouched for.</summary>
    public static string? Check(History history, int configurationsMax = ConfigurationsMax)
    {
        ArgumentNullException.ThrowIfNull(history);
        try
        {
            List<Request> requests = Retry.Merge(Request.Of(history));
            IndexOrderChecker.Check(requests);
            ListChecker.Check(requests);
            JournalChecker.Check(requests);
            foreach ((string key, List<Request> ofKey) in ByKey(requests))
                KeyChecker.Check(key, ofKey, configurationsMax);
            return null;
        }
        catch (Exception found) when (found is ViolationException or UndecidedException)
        {
            return found.Message;
        }
    }

    private static SortedDictionary<string, List<Request>> ByKey(List<Request> requests)
    {
        SortedDictionary<string, List<Request>> keys = new(StringComparer.Ordinal);
        void Add(Request request)
        {
            string key = ListChecker.KeyOf(request.Operation)!;
            if (!keys.TryGetValue(key, out List<Request>? ofKey))
                keys.Add(key, ofKey = []);
            ofKey.Add(request);
        }

        foreach (Request request in requests.Where(one => ListChecker.KeyOf(one.Operation) is not null))
            Add(request);
        foreach (Request list in requests.Where(one => one.Operation is ListKeys))
        {
            foreach (Request read in ListChecker.AsReads(list, [.. keys.Keys]))
                Add(read);
        }

        return keys;
    }
}

/// <summary>The checker could not tell; the history counts as bad.</summary>
internal sealed class UndecidedException(string why) : Exception($"undecided: {why}");
