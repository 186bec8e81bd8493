using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Crash points of storage: see docs/testing.md. RAFT_CRASH_POINT_SEEDS=100 tries so many workloads.</summary>
/// <remarks>What it must find, each planted by eng/defects/run:
/// <list type="bullet">
/// <item>eng/defects/C01-torn-record-counts.defect</item>
/// <item>eng/defects/C02-log-space-is-free-before-the-checkpoint.defect</item>
/// <item>eng/defects/C03-snapshots-name-is-not-synced.defect</item>
/// <item>eng/defects/C04-acknowledged-before-the-sync.defect</item>
/// <item>eng/defects/C05-in-place-before-the-copy.defect</item>
/// <item>eng/defects/C06-snapshots-end-is-not-synced.defect</item>
/// <item>eng/defects/C07-copys-header-before-its-body.defect</item>
/// <item>eng/defects/C08-pages-in-place-are-not-synced.defect</item>
/// <item>eng/defects/C09-new-directory-is-not-synced.defect</item>
/// <item>eng/defects/C10-uncovered-segment-is-used-again.defect</item>
/// <item>eng/defects/C11-long-batch-loses-its-tail.defect</item>
/// <item>eng/defects/C12-older-snapshot-goes-at-once.defect</item>
/// <item>eng/defects/C13-manifest-before-the-copies-are-handed-over.defect</item>
/// <item>eng/defects/C15-old-data-file-goes-first.defect</item>
/// <item>eng/defects/C24-hand-over-with-the-old-pages.defect</item>
/// </list>
/// </remarks>
public sealed class CrashPointTests(ITestOutputHelper output)
{
    private const int SeedsOfEachRun = 5;

    private static readonly string[] s_kindsOfCalls =
    [
        "pwrite wal-0", "fdatasync wal-3", "pwrite copy0", "fdatasync copy1", "pwrite .db", "fdatasync .db",
        "pwrite .tmp", "rename .tmp", "rename .part", "unlink .snap", "unlink .db", "fsync snapshots", "rename manifest.json.tmp", "rename new", "fsync data",
    ];

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1,
        int.TryParse(Environment.GetEnvironmentVariable("RAFT_CRASH_POINT_SEEDS"), CultureInfo.InvariantCulture, out int wanted) ? wanted : SeedsOfEachRun)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Whatever_a_power_cut_leaves_is_opened_and_holds_what_was_acknowledged(int seed)
    {
        long before = Stopwatch.GetTimestamp();
        var points = new CrashPoints(seed);
        points.Run();
        output.WriteLine($"seed {seed}: {points.Cuts} cuts, {points.Images} images, {points.SecondCuts} cut again; {Stopwatch.GetElapsedTime(before).TotalSeconds:F1} s");

        // Otherwise this shows less than it says.
        Assert.True(points.Images > 500, $"Only {points.Images} images.");
    }

    /// <summary>Not every workload gets to each call: a smaller data file at a start, for one, depends on what lives then.</summary>
    [Fact]
    public void The_power_is_cut_before_every_kind_of_call()
    {
        var calls = new HashSet<string>(StringComparer.Ordinal);
        for (int seed = 1; seed <= SeedsOfEachRun; seed++)
        {
            IReadOnlyCollection<string> some = CrashPoints.CallsOf(seed);
            output.WriteLine($"seed {seed} lacks {string.Join(", ", s_kindsOfCalls.Except(some))}");
            calls.UnionWith(some);
        }

        Assert.Empty(s_kindsOfCalls.Except(calls));
    }
}
