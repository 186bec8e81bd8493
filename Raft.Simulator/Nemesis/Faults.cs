namespace Raft.Simulator;

/// <summary>All kinds of faults. The order is part of what a seed means.</summary>
internal static class Faults
{
    public static readonly IReadOnlyList<IFault> All =
    [
        new LossFault(), new DoublingFault(), new ReorderFault(), new SlowLinkFault(), new LostRepliesFault(),
        new IsolationFault(), new SplitFault(), new OneWayFault(), new RingFault(),
        new CrashFault(), new CrashAtAwaitFault(), new PowerCutFault(), new PauseFault(), new WipeFault(),
        new SlowDiskFault(), new HungDiskFault(), new FailingDiskFault(), new DamagedDiskFault(), new OldDiskFault(),
        new ClockRateFault(), new WallClockFault(), new SlowLeaderFault(),
        new AddMemberFault(), new RemoveMemberFault(), new SetMembersFault(), new TransferFault(), new SnapshotFault(),
        new LateEntriesFault(), new ClockLeapFault(), new LyingDiskFault(),
    ];
}
