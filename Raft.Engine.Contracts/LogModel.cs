using Raft.Engine.Protocol;

namespace Raft.Engine.Contracts;

/// <summary>What a storage should hold: the plainest thing that could work.</summary>
internal sealed class LogModel
{
    private readonly List<Entry> _entries = [];

    public TermAndVote TermAndVote { get; private set; }

    public IReadOnlyList<Entry> Entries => _entries;

    /// <summary>In force.</summary>
    public SnapshotDescriptor? Snapshot { get; private set; }

    /// <summary>The log begins here.</summary>
    public LogIndex First { get; private set; } = new(1);

    public LogIndex Last => First + (_entries.Count - 1);

    /// <summary>The entry at an index, which the log holds.</summary>
    public Entry this[LogIndex index] => _entries[(int)(index - First)];

    /// <summary>The entries from an index on.</summary>
    public IEnumerable<Entry> From(LogIndex index) => _entries.Skip((int)Math.Max(0, index - First));

    public PersistRequest Take(PersistRequest request)
    {
        if (request.TermAndVote is { } termAndVote)
            TermAndVote = termAndVote;
        if (request.TruncateFrom is { } from && from <= Last)
        {
            int keep = (int)Math.Max(0, from - First);
            _entries.RemoveRange(keep, _entries.Count - keep);
        }

        _entries.AddRange(request.Entries);
        Snapshot = request.Snapshot ?? Snapshot;
        if (request.DeleteThrough is { } mark && mark >= First)
        {
            _entries.RemoveRange(0, (int)Math.Min(_entries.Count, mark.Next - First));
            First = mark.Next;
        }

        return request;
    }

    public PersistRequest Vote(long term, ServerId? vote = null) => Take(new PersistRequest(new TermAndVote(new Term(term), vote), null, []));

    /// <summary>Appends that many commands of the current term.</summary>
    public PersistRequest Append(int count, int bytes = 20) =>
        Take(new PersistRequest(null, null, Samples.Commands(Last.Next, TermAndVote.Term, count, bytes)));

    public PersistRequest Append(params ReadOnlySpan<Entry> entries) => Take(new PersistRequest(null, null, entries.ToArray()));

    /// <summary>The next random request: more often an append than anything else.</summary>
    public PersistRequest Next(Random random)
    {
        TermAndVote? termAndVote = null;
        LogIndex? truncate = null;
        int what = random.Next(10);
        if (what == 0 || TermAndVote.Term == Term.Zero)
            termAndVote = new TermAndVote(TermAndVote.Term.Next, random.Next(2) == 0 ? null : Samples.Server(random.Next(5)));
        LogIndex last = Last;
        Term term = termAndVote?.Term ?? TermAndVote.Term;
        if (what <= 1 && _entries.Count > 0)
        {
            // A new leader overwrites a tail; never with older terms than what is left.
            truncate = First + random.Next(Math.Max(0, _entries.Count - 40), _entries.Count);
            last = truncate.Value.Previous;
        }

        var entries = new List<Entry>();
        long time = last < First ? 1_000 + last.Value : this[last].TimeMs;
        for (int n = what == 9 ? 0 : random.Next(1, 30); n > 0; n--)
        {
            last = last.Next;
            time += random.Next(3);
            entries.Add(Samples.Random(random, last, term, time));
        }

        return Take(new PersistRequest(termAndVote, truncate, entries));
    }
}
