using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Crash points of storage: see docs/testing.md. RAFT_CRASH_POINT_SEEDS=100 tries so many workloads.</summary>
public sealed class CrashPointTests(ITestOutputHelper output)
{
    private const int SeedsOfEachRun = 5;

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
        Assert.Superset(
            new HashSet<string>(StringComparer.Ordinal)
            {
                "pwrite wal-0", "fdatasync wal-3", "pwrite copy0", "fdatasync copy1", "pwrite .db", "fdatasync .db",
                "pwrite .tmp", "rename .tmp", "rename .part", "unlink .snap", "fsync snapshots", "rename manifest.json.tmp", "rename new", "fsync data",
            },
            points.Calls);
    }
}
