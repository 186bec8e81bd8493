using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>What the logs of all groups may take on this node's disk together: each group has a limit of its own, and a thousand of them
/// would fill any disk.</summary>
/// <remarks>
/// The budget (Raft:Limits:MaxTotalLogDiskBytes) is for logs and snapshots. Snapshots are the state, and cannot be made smaller, so the logs
/// get what is left of it, and a quarter of it at least. Above that, the group whose log has grown most takes a snapshot, one after the
/// other. An eighth of the budget is for what stays in the logs behind their snapshots, in equal parts.
/// </remarks>
internal sealed class LogBudget(NodeSettings settings, GroupRegistry groups, TimeProvider time, ILogger<LogBudget> log)
{
    private const long SmallestBytes = 64L << 20;
    private const long SmallestTrailingBytes = 64L << 10;

    /// <summary>A log that has grown by less is not worth a snapshot.</summary>
    private const long WorthBytes = 256L << 10;

    /// <summary>As many as storage writes at once.</summary>
    private const int AtOnce = 4;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private NodeStore? _store;
    private long _lookedAt;
    private bool _hasWarned;

    public long Bytes { get; } = BytesOf(settings);

    /// <summary>Of one group.</summary>
    public long TrailingBytesMax => Math.Max(SmallestTrailingBytes, Bytes / 8 / Math.Max(1, settings.Raft.Groups.Count));

    public void Attach(NodeStore store) => _store = store;

    /// <summary>Once a second at most: the groups that should take a snapshot now, the longest log first.</summary>
    public IReadOnlyList<HostedGroup> Look()
    {
        if (_store is not { } store || (_lookedAt != 0 && time.GetElapsedTime(_lookedAt) < Interval))
            return [];

        _lookedAt = time.GetTimestamp();
        long snapshots = store.SnapshotBytes, logs = 0;
        List<(HostedGroup Group, long Bytes)> grown = [];
        foreach (HostedGroup group in groups.All)
        {
            long bytes = group.Server.LogBytesSinceSnapshot;
            logs += bytes;
            if (bytes >= WorthBytes && !group.Server.Status.IsTakingSnapshot)
                grown.Add((group, bytes));
        }

        long excess = logs - Allowed(Bytes, snapshots);
        if (excess <= 0)
        {
            _hasWarned = false;
            return [];
        }

        List<HostedGroup> due = [];
        foreach ((HostedGroup group, long bytes) in grown.OrderByDescending(one => one.Bytes).Take(AtOnce))
        {
            if (excess <= 0)
                break;
            log.LogBudgetExceeded(logs + snapshots, Bytes, group.Id, bytes);
            due.Add(group);
            excess -= bytes;
        }

        if (due.Count == 0 && !_hasWarned)
        {
            log.LogBudgetCannotBeHeld(logs + snapshots, Bytes);
            _hasWarned = true;
        }

        return due;
    }

    /// <summary>What logs may have grown by since their snapshots.</summary>
    internal static long Allowed(long budget, long snapshotBytes) => Math.Max(budget - (budget / 8) - snapshotBytes, budget / 4);

    private static long BytesOf(NodeSettings settings)
    {
        if (settings.Raft.Limits.MaxTotalLogDiskBytes is > 0 and var configured)
            return configured;
        try
        {
            return Math.Max(SmallestBytes, new DriveInfo(NearestDirectory(settings.DataDirectory)).TotalSize / 4);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return 16L << 30;           // the store says what is the matter; the watermark ends writing in any case
        }
    }

    /// <summary>The directory, or where a node that starts for the first time makes it.</summary>
    private static string NearestDirectory(string path)
    {
        while (!Directory.Exists(path) && Path.GetDirectoryName(path) is { } parent)
            path = parent;
        return path;
    }
}
