using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>What survives a crash: requests take effect in order, each whole or not at all.</summary>
internal sealed class TestDisk
{
    public TermAndVote TermAndVote { get; private set; }
    public List<Entry> Log { get; } = [];

    /// <summary>How many of the last entries a start finds in memory; null for all.</summary>
    public int? RecentMax { get; set; }

    public void Write(PersistRequest? request)
    {
        if (request is null)
            return;
        TermAndVote = request.TermAndVote ?? TermAndVote;
        if (request.TruncateFrom is { } from)
            Log.RemoveAll(entry => entry.Index >= from);
        foreach (Entry entry in request.Entries)
        {
            Assert.Equal(Log.Count + 1, entry.Index.Value);
            Log.Add(entry);
        }
    }

    public PersistedState Load()
    {
        var runs = new List<TermRun>();
        foreach (Entry entry in Log)
        {
            if (runs.Count == 0 || runs[^1].Term != entry.Term)
                runs.Add(new TermRun(entry.Index, entry.Term));
        }

        return new PersistedState(
            TermAndVote, null, new LogIndex(1), new LogIndex(Log.Count), runs,
            RecentMax is { } max ? Log.TakeLast(max).ToList() : [.. Log],
            Log.Where(entry => entry.Kind == EntryKind.Configuration).ToList());
    }

    public List<Entry> Read(EntriesWanted wanted)
    {
        var entries = new List<Entry>();
        long bytes = 0;
        for (LogIndex index = wanted.From; index <= wanted.To && (entries.Count == 0 || bytes < wanted.MaxBytes); index = index.Next)
        {
            Entry entry = Log[(int)index.Value - 1];
            entries.Add(entry);
            bytes += entry.CostBytes;
        }

        return entries;
    }
}
