using System.Diagnostics;
using Xunit.Abstractions;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Lost and stale sectors and pages of storage: see docs/testing.md. RAFT_DISK_FAULTS=all tries each sector of each file.</summary>
/// <remarks>What it must find, each planted by eng/defects/run:
/// <list type="bullet">
/// <item>eng/defects/C20-pages-may-be-of-another-checkpoint.defect</item>
/// <item>eng/defects/C21-changed-last-record-is-torn.defect</item>
/// <item>eng/defects/C22-changed-blocks-stay-in-the-log.defect</item>
/// <item>eng/defects/C23-unreadable-block-reads-as-zeros.defect</item>
/// <item>eng/defects/C25-copy-is-applied-before-the-file-is-proven.defect</item>
/// <item>eng/defects/C26-gap-in-the-log-is-its-end.defect</item>
/// <item>eng/defects/C27-snapshots-content-is-not-read.defect</item>
/// </list>
/// </remarks>
public sealed class DiskFaultTests(ITestOutputHelper output)
{
    private static readonly bool s_all = Environment.GetEnvironmentVariable("RAFT_DISK_FAULTS") == "all";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void What_a_disk_loses_or_gives_back_old_is_proven_or_harmless(int seed)
    {
        long before = Stopwatch.GetTimestamp();
        var faults = new DiskFaults(seed, everySoManyCalls: s_all ? 10 : 100);
        faults.TryRandom(ofEach: s_all ? 10 : 3);
        output.WriteLine($"seed {seed}: {faults.Damaged} damaged, {faults.Unharmed} unharmed; {Stopwatch.GetElapsedTime(before).TotalSeconds:F1} s");

        // Otherwise this shows less than it says.
        Assert.True(faults.Damaged > 10 && faults.Unharmed > 10, $"{faults.Damaged} damaged, {faults.Unharmed} unharmed.");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Every_sector_and_page_may_be_lost_stale_or_unreadable(int moment)
    {
        long before = Stopwatch.GetTimestamp();
        var faults = new DiskFaults(seed: 1, everySoManyCalls: 20);
        faults.TryAll(moment, oneIn: s_all ? 1 : 400);
        output.WriteLine($"moment {moment}: {faults.Damaged} damaged, {faults.Unharmed} unharmed; {Stopwatch.GetElapsedTime(before).TotalSeconds:F1} s");

        Assert.True(faults.Damaged > 30 && faults.Unharmed > 30, $"{faults.Damaged} damaged, {faults.Unharmed} unharmed.");
    }
}
