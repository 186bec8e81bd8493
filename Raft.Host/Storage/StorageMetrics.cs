using System.Diagnostics.Metrics;

namespace Raft.Host.Storage;

/// <summary>Numbers of the store; one store per process, tests aside.</summary>
internal sealed class StorageMetrics : IDisposable
{
    public const string MeterName = "Raft.Storage";

    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _sync;
    private readonly Histogram<double> _queueWait;
    private readonly Histogram<double> _checkpoint;
    private readonly Histogram<long> _recordBatches;
    private readonly Histogram<long> _recordBytes;
    private readonly Counter<long> _written;
    private readonly Counter<long> _postponed;
    private readonly Counter<long> _abandoned;
    private static readonly KeyValuePair<string, object?> s_wal = new("kind", "wal");
    private static readonly KeyValuePair<string, object?> s_copy = new("kind", "copy");
    private static readonly KeyValuePair<string, object?> s_snapshot = new("kind", "snapshot");
    private static readonly KeyValuePair<string, object?> s_data = new("kind", "data");

    /// <param name="lag">Records and bytes that are durable in the WAL and not yet in the database.</param>
    /// <param name="sizes">The sizes of the files, by kind.</param>
    public StorageMetrics(Func<(long Records, long Bytes)> lag, Func<IEnumerable<Measurement<long>>> sizes)
    {
        // 0.05 ms doubling up to 0.8 s: a sync on a good disk takes 0.1 ms, on a stalled one the bound is DiskStallMs.
        _sync = Seconds("raft.storage.sync", "Time of one fdatasync of the write-ahead log.");
        _queueWait = Seconds("raft.storage.queue.wait", "Time from the call until the write of its record begins.");
        _checkpoint = _meter.CreateHistogram("raft.storage.checkpoint", "s", "Time of one checkpoint of the database.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [.. Enumerable.Range(0, 15).Select(n => 0.001 * (1 << n))] });
        _recordBatches = _meter.CreateHistogram("raft.storage.record.batches", "{batch}", "Batches of all groups in one record, one write, one sync.", null,
            new InstrumentAdvice<long> { HistogramBucketBoundaries = [.. Enumerable.Range(0, 12).Select(n => 1L << n)] });
        _recordBytes = _meter.CreateHistogram("raft.storage.record", "By", "Bytes of one record.", null,
            new InstrumentAdvice<long> { HistogramBucketBoundaries = [.. Enumerable.Range(0, 12).Select(n => 4096L << n)] });
        _written = _meter.CreateCounter<long>("raft.storage.written", "By", "Bytes written, by kind: wal, copy (before a checkpoint), data, snapshot.");
        _abandoned = _meter.CreateCounter<long>("raft.storage.snapshots.abandoned", "{snapshot}", "Snapshots, own or received, that were given up because the disk had no room for them.");
        _postponed = _meter.CreateCounter<long>("raft.storage.checkpoints.postponed", "{checkpoint}", "Attempts at a checkpoint that found no room on the disk; tried again every second.");
        _abandoned.Add(0);          // a series that is not there cannot be alerted on
        _postponed.Add(0);
        _meter.CreateObservableGauge("raft.storage.lag.records", () => lag().Records, "{record}", "Records that the database does not have yet.");
        _meter.CreateObservableGauge("raft.storage.lag", () => lag().Bytes, "By", "Bytes of records that the database does not have yet.");
        _meter.CreateObservableGauge("raft.storage.file.size", sizes, "By", "Sizes of the files, by kind.");
    }

    public void Synced(TimeSpan duration) => _sync.Record(duration.TotalSeconds);

    public void Waited(TimeSpan duration) => _queueWait.Record(duration.TotalSeconds);

    public void RecordWritten(int batches, int bytes)
    {
        _recordBatches.Record(batches);
        _recordBytes.Record(bytes);
        _written.Add(bytes, s_wal);
    }

    public void Checkpointed(TimeSpan duration) => _checkpoint.Record(duration.TotalSeconds);

    public void SnapshotAbandoned() => _abandoned.Add(1);

    public void CheckpointPostponed() => _postponed.Add(1);

    public void CopyWritten(long bytes) => _written.Add(bytes, s_copy);

    public void DataWritten(long bytes) => _written.Add(bytes, s_data);

    public void SnapshotWritten(long bytes) => _written.Add(bytes, s_snapshot);

    public void Dispose() => _meter.Dispose();

    private Histogram<double> Seconds(string name, string description) =>
        _meter.CreateHistogram(name, "s", description, null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [.. Enumerable.Range(0, 15).Select(n => 0.00005 * (1 << n))] });
}
