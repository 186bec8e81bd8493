using System.Diagnostics.Metrics;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>The numbers of one server, in the meter "Raft.Engine", tagged with its group.</summary>
/// <remarks>
/// Hot path: one time stamp per batch of entries and one sample per batch and stage, never per entry. A stage's time
/// counts from when the batch's first entry was appended.
/// </remarks>
internal sealed class ServerMetrics
{
    public const string MeterName = "Raft.Engine";

    private static readonly Meter Meter = new(MeterName);
    private static readonly Counter<long> EntriesAdded = Meter.CreateCounter<long>("raft.entries.added", "{entry}", "Entries appended to this server's log, by kind.");
    private static readonly Counter<long> MessagesSent = Meter.CreateCounter<long>("raft.messages.sent", "{message}", "Messages handed to the network, by type.");
    private static readonly Counter<long> MessagesReceived = Meter.CreateCounter<long>("raft.messages.received", "{message}", "Messages from the network, by type.");
    private static readonly Counter<long> MessagesMisdirected = Meter.CreateCounter<long>("raft.messages.misdirected", "{message}", "Messages meant for another server, refused.");
    private static readonly Counter<long> ElectionsStarted = Meter.CreateCounter<long>("raft.elections.started", "{election}", "Pre-votes and votes that this server asked for.");
    private static readonly Counter<long> LeaderChanges = Meter.CreateCounter<long>("raft.leader.changes", "{change}", "Times that this server learned of another leader.");
    private static readonly Counter<long> EntriesApplied = Meter.CreateCounter<long>("raft.entries.applied", "{entry}", "Commands that the state machine has applied.");
    private static readonly Counter<long> WritesDropped = Meter.CreateCounter<long>("raft.writes.dropped", "{write}", "Writes that provably will never be committed.");
    private static readonly Counter<long> WritesUnknown = Meter.CreateCounter<long>("raft.writes.unknown", "{write}", "Writes whose outcome could not be told.");
    private static readonly Counter<long> AdmissionWaits = Meter.CreateCounter<long>("raft.admission.waits", "{write}", "Writes that had to wait for room.");
    private static readonly Counter<long> CallsRefused = Meter.CreateCounter<long>("raft.calls.refused", "{call}", "Calls refused because too much waits already (MaxWaitingBytes, MaxPendingCalls).");
    private static readonly Counter<long> DiskQueueDrops = Meter.CreateCounter<long>("raft.disk.queue.drops", "{message}", "Requests of other members dropped because too many writes wait for the disk.");
    private static readonly Counter<long> Batches = Meter.CreateCounter<long>("raft.batches", "{batch}", "Output batches of the protocol.");
    private static readonly Counter<long> Truncations = Meter.CreateCounter<long>("raft.truncations", "{truncation}", "Times that another leader's entries replaced some of the log.");
    private static readonly Counter<long> Reads = Meter.CreateCounter<long>("raft.reads", "{read}", "Read barriers that this leader was asked for.");
    private static readonly Counter<long> SnapshotsTaken = Meter.CreateCounter<long>("raft.snapshots.taken", "{snapshot}", "Snapshots of the own state that were written.");
    private static readonly Counter<long> SnapshotsInstalled = Meter.CreateCounter<long>("raft.snapshots.installed", "{snapshot}", "Snapshots of a leader that were installed.");
    private static readonly Counter<long> SnapshotBytesSent = Meter.CreateCounter<long>("raft.snapshot.sent", "By", "Bytes of snapshots that peers have taken.");
    private static readonly Counter<long> SnapshotBytesReceived = Meter.CreateCounter<long>("raft.snapshot.received", "By", "Bytes of snapshots that came from leaders.");
    private static readonly Counter<long> TransfersFailed = Meter.CreateCounter<long>("raft.snapshot.transfers.failed", "{transfer}", "Snapshots that a peer did not take; aborted ones are not counted.");
    private static readonly Counter<long> LeaderTransfers = Meter.CreateCounter<long>("raft.leader.transfers", "{transfer}", "Times that this leader was asked to hand over, by outcome.");
    private static readonly Counter<long> ConfigurationChanges = Meter.CreateCounter<long>("raft.configuration.changes", "{change}", "Configurations that came into force here, also back by truncation.");
    private static readonly Counter<long> ClockLeapsRefused = Meter.CreateCounter<long>("raft.clock.leaps.refused", "{leap}", "Times that this leader's clock differed from the confirmed time by more than is allowed.");
    private static readonly Histogram<double> SnapshotTake = Meter.CreateHistogram<double>(
        "raft.snapshot.take", "s", "Time from the picture of the state until its file is synced.", tags: null,
        new InstrumentAdvice<double>
        {
            // 1 ms, four times as much, up to a minute: from an empty state to gigabytes.
            HistogramBucketBoundaries = [.. Enumerable.Range(0, 9).Select(n => 0.001 * (1 << (2 * n)))],
        });

    private static readonly Histogram<double> WriteStage = Meter.CreateHistogram<double>(
        "raft.write.stage", "s", "Time from append until the stage is reached (leader, one sample per batch); admitted: the wait for room.", tags: null,
        new InstrumentAdvice<double>
        {
            // 0.25 ms doubling up to 4 s: a sync takes about 0.5 ms, an election about 1 s.
            HistogramBucketBoundaries = [.. Enumerable.Range(0, 15).Select(n => 0.00025 * (1 << n))],
        });

    private static readonly string[] MessageTypes =
        ["append_request", "append_reply", "vote_request", "vote_reply", "read_quorum_request", "read_quorum_reply", "timeout_now", "other"];

    private static readonly KeyValuePair<string, object?>[] TypeTags = [.. MessageTypes.Select(type => new KeyValuePair<string, object?>("type", type))];
    private static readonly KeyValuePair<string, object?>[] KindTags =
        [.. Enumerable.Range(0, 5).Select(kind => new KeyValuePair<string, object?>("kind", kind == 0 ? "unknown" : ((EntryKind)kind).ToString().ToLowerInvariant()))];

    private static readonly KeyValuePair<string, object?> TransferDone = new("outcome", "done");
    private static readonly KeyValuePair<string, object?> TransferTimedOut = new("outcome", "timed_out");
    private static readonly KeyValuePair<string, object?> Admitted = new("stage", "admitted");
    private static readonly KeyValuePair<string, object?> Durable = new("stage", "durable");
    private static readonly KeyValuePair<string, object?> Committed = new("stage", "committed");
    private static readonly KeyValuePair<string, object?> Applied = new("stage", "applied");

    private readonly KeyValuePair<string, object?> _group;
    private readonly TimeProvider _time;
    private readonly Queue<Mark> _durable = new();
    private readonly Queue<Mark> _committed = new();
    private readonly Queue<Mark> _applied = new();
    private readonly long[] _counts = new long[8];
    private long _appendedAt;       // of the first entry since the last batch; 0: none
    private long _longestWait;

    private readonly record struct Mark(LogIndex Last, long Since);

    public ServerMetrics(string group, TimeProvider time)
    {
        _group = new KeyValuePair<string, object?>("group", group);
        _time = time;

        // A series that is not there cannot be alerted on: what is rare begins at 0.
        foreach (Counter<long> counter in (Counter<long>[])[MessagesMisdirected, LeaderChanges, EntriesApplied, WritesDropped, WritesUnknown, AdmissionWaits, CallsRefused, DiskQueueDrops, Batches, Truncations, Reads,
            SnapshotsTaken, SnapshotsInstalled, SnapshotBytesSent, SnapshotBytesReceived, TransfersFailed, ConfigurationChanges, ClockLeapsRefused])
            counter.Add(0, _group);
        foreach (string kind in (string[])["vote", "pre_vote"])
            ElectionsStarted.Add(0, _group, new KeyValuePair<string, object?>("kind", kind));
        LeaderTransfers.Add(0, _group, TransferDone);
        LeaderTransfers.Add(0, _group, TransferTimedOut);
    }

    public void OnClockLeapRefused() => ClockLeapsRefused.Add(1, _group);

    public void OnAppended(long waitsSince)
    {
        if (_appendedAt == 0)
            _appendedAt = _time.GetTimestamp();
        if (waitsSince != 0)
            _longestWait = Math.Max(_longestWait, _appendedAt - waitsSince);
    }

    /// <summary><paramref name="leaderLastIndex"/> is null when this server does not lead.</summary>
    public void OnBatch(OutputBatch batch, LogIndex? leaderLastIndex)
    {
        Batches.Add(1, _group);
        if (_appendedAt != 0 && leaderLastIndex is { } last)
        {
            WriteStage.Record((double)_longestWait / _time.TimestampFrequency, Admitted, _group);
            var mark = new Mark(last, _appendedAt);
            _durable.Enqueue(mark);
            _committed.Enqueue(mark);
            _applied.Enqueue(mark);
        }
        else if (leaderLastIndex is null && _durable.Count + _committed.Count + _applied.Count > 0)
        {
            _durable.Clear();
            _committed.Clear();
            _applied.Clear();
        }

        _appendedAt = 0;
        _longestWait = 0;
        if (batch.Persist is not { } persist)
            return;

        if (persist.TruncateFrom is not null)
            Truncations.Add(1, _group);
        if (persist.Entries.Count == 0 || !EntriesAdded.Enabled)
            return;

        for (int i = 0; i < persist.Entries.Count; i++)
            _counts[persist.Entries[i].Kind <= EntryKind.System ? (int)persist.Entries[i].Kind : 0]++;
        Flush(EntriesAdded, KindTags);
    }

    public void OnDurable(LogIndex index) => Reached(_durable, index, Durable);

    public void OnCommitted(LogIndex index) => Reached(_committed, index, Committed);

    public void OnApplied(LogIndex index, int commands)
    {
        Reached(_applied, index, Applied);
        if (commands > 0)
            EntriesApplied.Add(commands, _group);
    }

    public void OnMessages(IReadOnlyList<Message> messages, bool areSent)
    {
        Counter<long> counter = areSent ? MessagesSent : MessagesReceived;
        if (!counter.Enabled)
            return;

        for (int i = 0; i < messages.Count; i++)
            _counts[TypeOf(messages[i])]++;
        Flush(counter, TypeTags);
    }

    public void OnMisdirected() => MessagesMisdirected.Add(1, _group);

    public void OnRoleChange(RoleChange before, RoleChange now)
    {
        if (now.Role is Role.Candidate or Role.PreCandidate && now.Role != before.Role)
            ElectionsStarted.Add(1, _group, new KeyValuePair<string, object?>("kind", now.Role == Role.Candidate ? "vote" : "pre_vote"));
        if (now.Leader is not null && (now.Leader != before.Leader || now.Term != before.Term))
            LeaderChanges.Add(1, _group);
    }

    public void OnDropped() => WritesDropped.Add(1, _group);

    public void OnUnknown() => WritesUnknown.Add(1, _group);

    public void OnAdmissionWait() => AdmissionWaits.Add(1, _group);

    /// <summary>Any thread.</summary>
    public void OnRefused() => CallsRefused.Add(1, _group);

    public void OnDiskQueueFull() => DiskQueueDrops.Add(1, _group);

    public void OnSnapshotTaken(TimeSpan taken)
    {
        SnapshotsTaken.Add(1, _group);
        SnapshotTake.Record(taken.TotalSeconds, _group);
    }

    public void OnSnapshotInstalled() => SnapshotsInstalled.Add(1, _group);

    public void OnSnapshotBytesSent(int bytes) => SnapshotBytesSent.Add(bytes, _group);

    public void OnSnapshotBytesReceived(int bytes) => SnapshotBytesReceived.Add(bytes, _group);

    public void OnTransferFailed() => TransfersFailed.Add(1, _group);

    public void OnTransfer(bool isDone) => LeaderTransfers.Add(1, _group, isDone ? TransferDone : TransferTimedOut);

    public void OnConfiguration() => ConfigurationChanges.Add(1, _group);

    public void OnReads(int count) => Reads.Add(count, _group);

    private void Reached(Queue<Mark> marks, LogIndex index, KeyValuePair<string, object?> stage)
    {
        if (marks.Count == 0)
            return;

        long now = _time.GetTimestamp();
        while (marks.TryPeek(out Mark mark) && mark.Last <= index)
        {
            marks.Dequeue();
            WriteStage.Record(_time.GetElapsedTime(mark.Since, now).TotalSeconds, stage, _group);
        }
    }

    private void Flush(Counter<long> counter, KeyValuePair<string, object?>[] tags)
    {
        for (int i = 0; i < tags.Length; i++)
        {
            if (_counts[i] == 0)
                continue;

            counter.Add(_counts[i], tags[i], _group);
            _counts[i] = 0;
        }
    }

    private static int TypeOf(Message message) => message switch
    {
        AppendRequest => 0,
        AppendReply => 1,
        VoteRequest => 2,
        VoteReply => 3,
        ReadQuorumRequest => 4,
        ReadQuorumReply => 5,
        TimeoutNow => 6,
        _ => 7,
    };
}
