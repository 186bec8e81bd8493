using System.IO.Hashing;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Index and term name one entry for ever, with one entry before it: so two logs that share an entry share all before it. PhD 3.5</summary>
/// <remarks>By induction: it is enough to look at each entry as it is sent or becomes durable, and at the one before it.</remarks>
internal sealed class LogMatching(GroupLedger ledger) : IInvariant
{
    private readonly Dictionary<EntryId, Known> _entries = [];

    private readonly record struct Known(Entry Entry, ulong Hash, Term? Before);

    public string? OnSent(SimulatedServer sender, Message message)
    {
        if (message is not AppendRequest { Entries.Count: > 0, IsRemovalNotice: false } append)
            return null;
        return FindViolation(sender, append.Entries, append.PreviousTerm);
    }

    public string? OnDurable(SimulatedServer server, PersistRequest request) =>
        request.Entries.Count == 0 ? null : FindViolation(server, request.Entries, ledger.ShadowOf(server.Id).TermAt(request.Entries[0].Index.Previous));

    private string? FindViolation(SimulatedServer server, IReadOnlyList<Entry> entries, Term? before)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            Entry entry = entries[i];
            if (!_entries.TryGetValue(entry.Id, out Known known))
            {
                _entries.Add(entry.Id, new Known(entry, HashOf(entry), before));
            }
            else
            {
                if (!ReferenceEquals(known.Entry, entry) && known.Hash != HashOf(entry))
                    return $"{server} has another entry {entry.Index} of term {entry.Term} than was seen before";
                if (before is not null && known.Before is not null && before != known.Before)
                    return $"{server} has an entry of term {before} before entry {entry.Index} of term {entry.Term}; elsewhere it is of term {known.Before}";
                if (known.Before is null)
                    _entries[entry.Id] = known with { Before = before };
            }

            before = entry.Term;
        }

        return null;
    }

    private static ulong HashOf(Entry entry) => XxHash3.HashToUInt64(entry.Payload.Span, ((long)entry.Kind << 56) ^ entry.TimeMs);
}
