using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>What survives a crash: requests take effect in order, each whole or not at all. Snapshot files are there as soon as
/// they are written; a start keeps only the one in force.</summary>
internal sealed class TestDisk
{
    public TermAndVote TermAndVote { get; private set; }

    /// <summary>What the log holds, from <see cref="FirstIndex"/> on.</summary>
    public List<Entry> Log { get; } = [];
    public LogIndex FirstIndex { get; private set; } = new(1);
    public LogIndex LastIndex => FirstIndex + (Log.Count - 1);
    public SnapshotDescriptor? Snapshot { get; private set; }

    /// <summary>Snapshot id -> the applied entries that it stands for.</summary>
    public Dictionary<string, List<Entry>> Files { get; } = [];

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
            Assert.Equal(LastIndex.Next, entry.Index);
            Log.Add(entry);
        }

        if (request.Snapshot is { } snapshot)
        {
            Assert.True(snapshot.Index > (Snapshot?.Index ?? LogIndex.Zero), "a snapshot in force is replaced by an older one");
            Assert.True(Files.ContainsKey(snapshot.SnapshotId), "a descriptor without its file");
            Snapshot = snapshot;
        }

        if (request.DeleteThrough is { } through)
        {
            Assert.True(through <= Snapshot?.Index, "the log is deleted above the snapshot");
            LogIndex last = LogIndex.Max(LastIndex, through);
            Log.RemoveAll(entry => entry.Index <= through);
            FirstIndex = LogIndex.Max(FirstIndex, through.Next);
            Assert.Equal(last, LastIndex);
        }
    }

    public void Crash()
    {
        foreach (string id in Files.Keys.Where(id => id != Snapshot?.SnapshotId).ToList())
            Files.Remove(id);
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
            TermAndVote, Snapshot, FirstIndex, LastIndex, runs,
            RecentMax is { } max ? Log.TakeLast(max).ToList() : [.. Log],
            Log.Where(entry => entry.Kind == EntryKind.Configuration).ToList());
    }

    public Entry? At(LogIndex index) => index < FirstIndex || index > LastIndex ? null : Log[(int)(index - FirstIndex)];

    public List<Entry> Read(EntriesWanted wanted)
    {
        var entries = new List<Entry>();
        long bytes = 0;
        for (LogIndex index = wanted.From; index <= wanted.To && (entries.Count == 0 || bytes < wanted.MaxBytes); index = index.Next)
        {
            if (At(index) is not { } entry)
                break;
            entries.Add(entry);
            bytes += entry.CostBytes;
        }

        return entries;
    }
}
