using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>What one disk holds of one group for certain, as its storage has acknowledged it: a second book beside the storage's own.</summary>
internal sealed class DurableShadow
{
    private readonly List<Entry> _entries = [];
    private readonly List<PersistRequest> _underWay = [];

    public TermAndVote TermAndVote { get; private set; }
    public SnapshotDescriptor? Snapshot { get; private set; }
    public LogIndex FirstIndex { get; private set; } = new(1);
    public LogIndex LastIndex => FirstIndex + (_entries.Count - 1);

    /// <summary>Its disk was exchanged for an older one, so that what it said before proves nothing.</summary>
    public bool IsSuspect { get; set; }

    /// <summary>No start has looked at the disk yet: what is there then is a first configuration, or nothing.</summary>
    public bool IsNew { get; private set; } = true;

    /// <summary>Null above the log; below it only the snapshot's own index is known.</summary>
    public Term? TermAt(LogIndex index)
    {
        if (index == LogIndex.Zero)
            return Term.Zero;
        if (index >= FirstIndex)
            return index <= LastIndex ? _entries[(int)(index - FirstIndex)].Term : null;
        return Snapshot?.Index == index ? Snapshot.Term : null;
    }

    /// <summary>The entry is on the disk, or a snapshot that covers it.</summary>
    public bool Holds(LogIndex index, Term term) =>
        TermAt(index) is { } own ? own == term : index < FirstIndex && index <= Snapshot?.Index;

    /// <summary>The configuration that was in force in this log below an index; null when none is known.</summary>
    public (EntryId Id, Configuration Configuration)? ConfigurationBefore(LogIndex index)
    {
        for (int i = (int)Math.Min(_entries.Count, index - FirstIndex) - 1; i >= 0; i--)
        {
            if (_entries[i].Kind == EntryKind.Configuration)
                return (_entries[i].Id, Configuration.Decode(_entries[i].Payload.Span));
        }

        return Snapshot is { ConfigurationIndex.Value: > 0 } snapshot && snapshot.Index < index
            ? (new EntryId(snapshot.ConfigurationIndex, Term.Zero), snapshot.Configuration)
            : null;
    }

    /// <summary>The last entry of the log with what is under way to the disk; of an unknown term when only a snapshot is left.</summary>
    public (LogIndex Index, Term? Term) LastEntry()
    {
        for (int i = _underWay.Count - 1; i >= 0; i--)
        {
            PersistRequest request = _underWay[i];
            if (request.Entries.Count > 0)
                return (request.Entries[^1].Index, request.Entries[^1].Term);
            if (request.TruncateFrom is not null || request.Snapshot is not null)
                return (request.Snapshot?.Index ?? request.TruncateFrom!.Value.Previous, null);     // one of the two is there
        }

        return (LastIndex, TermAt(LastIndex));
    }

    /// <summary>The last configuration of the log with what is under way to the disk, or the newest snapshot's; empty when there is none.</summary>
    public (LogIndex Index, Configuration Configuration) LastConfiguration()
    {
        // Backwards: what a later request truncates is not in the log any more.
        var end = new LogIndex(long.MaxValue);
        SnapshotDescriptor? newest = null;
        for (int i = _underWay.Count - 1; i >= 0; i--)
        {
            PersistRequest request = _underWay[i];
            if (FindLast(request.Entries, end) is { } entry && entry.Index > (newest?.ConfigurationIndex ?? LogIndex.Zero))
                return (entry.Index, Configuration.Decode(entry.Payload.Span));
            newest ??= request.Snapshot;
            end = LogIndex.Min(end, request.TruncateFrom ?? end);
        }

        newest ??= Snapshot;
        if (FindLast(_entries, end) is { } stored && stored.Index > (newest?.ConfigurationIndex ?? LogIndex.Zero))
            return (stored.Index, Configuration.Decode(stored.Payload.Span));
        return (newest?.ConfigurationIndex ?? LogIndex.Zero, newest?.Configuration ?? Configuration.Empty);

        static Entry? FindLast(IReadOnlyList<Entry> entries, LogIndex end)
        {
            for (int i = entries.Count - 1; i >= 0; i--)
            {
                if (entries[i].Kind == EntryKind.Configuration && entries[i].Index < end)
                    return entries[i];
            }

            return null;
        }
    }

    public void Begin(PersistRequest request) => _underWay.Add(request);

    public void Complete(PersistRequest request)
    {
        _underWay.Remove(request);
        Apply(request);
    }

    /// <summary>What a start found must be what was acknowledged, and of what was under way any first part.</summary>
    public string? Compare(PersistedState found)
    {
        for (int taken = 0; ; taken++)
        {
            if (IsEqual(found))
            {
                _underWay.Clear();
                return null;
            }

            if (taken == _underWay.Count)
                break;
            if (BeginsWith(found, _underWay[taken]))
            {
                _underWay.Clear();
                return null;
            }

            Apply(_underWay[taken]);
        }

        return $"a start found term {found.TermAndVote.Term}, vote {found.TermAndVote.Vote}, log {found.FirstIndex} to {found.LastIndex}, snapshot {found.Snapshot?.Index}; "
            + $"with all that was under way it would be term {TermAndVote.Term}, vote {TermAndVote.Vote}, log {FirstIndex} to {LastIndex}, snapshot {Snapshot?.Index}";
    }

    /// <summary>A request longer than a record of the log is written in parts: of its entries the first may be there, without what comes
    /// with the last.</summary>
    private bool BeginsWith(PersistedState found, PersistRequest request)
    {
        if (request.Entries.Count < 2 || found.LastIndex < request.Entries[0].Index || found.LastIndex >= request.Entries[^1].Index)
            return false;
        (TermAndVote term, SnapshotDescriptor? snapshot, LogIndex first, Entry[] entries) = (TermAndVote, Snapshot, FirstIndex, [.. _entries]);
        Apply(request with { Entries = [.. request.Entries.TakeWhile(entry => entry.Index <= found.LastIndex)], Snapshot = null, DeleteThrough = null });
        if (IsEqual(found))
            return true;
        (TermAndVote, Snapshot, FirstIndex) = (term, snapshot, first);
        _entries.Clear();
        _entries.AddRange(entries);
        return false;
    }

    /// <summary>Another disk took its place.</summary>
    public void Reset(PersistedState found, IReadOnlyList<Entry> entries)
    {
        IsNew = false;
        _underWay.Clear();
        _entries.Clear();
        _entries.AddRange(entries);
        (TermAndVote, Snapshot, FirstIndex) = (found.TermAndVote, found.Snapshot, found.FirstIndex);
    }

    private bool IsEqual(PersistedState found)
    {
        if (found.TermAndVote != TermAndVote || found.FirstIndex != FirstIndex || found.LastIndex != LastIndex || found.Snapshot?.Index != Snapshot?.Index)
            return false;

        int run = -1;
        for (LogIndex index = FirstIndex; index <= LastIndex; index = index.Next)
        {
            while (run + 1 < found.TermRuns.Count && found.TermRuns[run + 1].FirstIndex <= index)
                run++;
            if (run < 0 || found.TermRuns[run].Term != TermAt(index))
                return false;
        }

        return true;
    }

    private void Apply(PersistRequest request)
    {
        if (request.TermAndVote is { } termAndVote)
            TermAndVote = termAndVote;
        if (request.TruncateFrom is { } from && from <= LastIndex)
        {
            int keep = (int)Math.Max(0, from - FirstIndex);
            _entries.RemoveRange(keep, _entries.Count - keep);
        }

        _entries.AddRange(request.Entries);
        if (request.Snapshot is { } snapshot)
            Snapshot = snapshot;
        if (request.DeleteThrough is { } mark && mark >= FirstIndex)
        {
            _entries.RemoveRange(0, (int)Math.Min(_entries.Count, mark.Next - FirstIndex));
            FirstIndex = mark.Next;
        }
    }
}
