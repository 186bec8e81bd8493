namespace Raft.Simulator.Histories;

/// <summary>Attempts with the same idempotency key are one request.</summary>
internal static class Retry
{
    public static string TextOf(string? key) => key is null ? "" : $" (idempotency key {key})";

    public static string? KeyOf(Operation operation) => operation switch
    {
        PutKey put => put.IdempotencyKey,
        DeleteKey delete => delete.IdempotencyKey,
        AppendEntry append => append.IdempotencyKey,
        _ => null,
    };

    /// <summary>Each request once. Its one effect lies between its first invocation and its first answer, and all attempts
    /// have the first outcome.</summary>
    /// <remarks>That is exact and not only necessary: every attempt that was answered had ended no earlier than the first
    /// answer, so the effect may be given to whichever of them had begun, and the others are replays.</remarks>
    /// <exception cref="ViolationException">Two attempts were answered differently.</exception>
    public static List<Request> Merge(IEnumerable<Request> attempts)
    {
        List<Request> merged = [];
        Dictionary<string, int> places = new(StringComparer.Ordinal);
        foreach (Request attempt in attempts)
        {
            if (KeyOf(attempt.Operation) is not { } key)
            {
                merged.Add(attempt);
            }
            else if (!places.TryGetValue(key, out int place))
            {
                places.Add(key, merged.Count);
                merged.Add(attempt);
            }
            else
            {
                merged[place] = Merge(merged[place], attempt);
            }
        }

        return merged;
    }

    private static Request Merge(Request first, Request second)
    {
        if (first.Outcome is not null && second.Outcome is not null && first.Outcome != second.Outcome)
            throw new ViolationException("a repeated request must get the first outcome", [first, second]);
        return (second.Outcome is null || first.End <= second.End ? first : second) with { Start = Math.Min(first.Start, second.Start) };
    }
}
