using Raft.Engine.Protocol;

namespace Raft.Engine.Contracts;

/// <summary>What a storage should hold: the plainest thing that could work.</summary>
internal sealed class LogModel
{
    private readonly List<Entry> _entries = [];

    public TermAndVote TermAndVote { get; private set; }

    public IReadOnlyList<Entry> Entries => _entries;

    public LogIndex Last => new(_entries.Count);

    public Term LastTerm => _entries.Count == 0 ? Term.Zero : _entries[^1].Term;

    public PersistRequest Take(PersistRequest request)
    {
        if (request.TermAndVote is { } termAndVote)
            TermAndVote = termAndVote;
        if (request.TruncateFrom is { } from && from <= Last)
            _entries.RemoveRange((int)from.Value - 1, _entries.Count - (int)from.Value + 1);
        _entries.AddRange(request.Entries);
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
            truncate = new LogIndex(random.Next(Math.Max(1, _entries.Count - 40), _entries.Count + 1));
            last = truncate.Value.Previous;
        }

        var entries = new List<Entry>();
        long time = last.Value == 0 ? 1_000 : _entries[(int)last.Value - 1].TimeMs;
        for (int n = what == 9 ? 0 : random.Next(1, 30); n > 0; n--)
        {
            last = last.Next;
            time += random.Next(3);
            entries.Add(Samples.Random(random, last, term, time));
        }

        return Take(new PersistRequest(termAndVote, truncate, entries));
    }
}
