using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>The library checks the settings that it is given.</summary>
public class ProtocolSettingsTests
{
    public static readonly TheoryData<string, string> OutOfRange = new()
    {
        { "StartCount", "1 or more; it is 0" },
        { "ElectionTicks", "3 to 1000000; it is 2" },
        { "LivenessTimeoutTicks", "1 to 1000000; it is 0" },
        { "MaxInFlightAppends", "1 to 100000; it is 0" },
        { "MaxInFlightBytes", "1 to 1073741824; it is -1" },
        { "MaxAppendBytes", "1 to 1073741824; it is 2147483647" },
        { "SnapshotTrailingEntries", "0 or more; it is -1" },
        { "SnapshotTrailingBytes", "0 or more; it is -2" },
        { "MaxCacheBytes", "0 or more; it is -3" },
        { "Self", "1 to 63 characters" },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public void A_setting_out_of_range_is_refused_with_its_name_value_and_range(string key, string rest)
    {
        var good = new ProtocolSettings { Self = IdOf(1), StartCount = 1 };
        ProtocolSettings bad = key switch
        {
            "StartCount" => good with { StartCount = 0 },
            "ElectionTicks" => good with { ElectionTicks = 2 },
            "LivenessTimeoutTicks" => good with { LivenessTimeoutTicks = 0 },
            "MaxInFlightAppends" => good with { MaxInFlightAppends = 0 },
            "MaxInFlightBytes" => good with { MaxInFlightBytes = -1 },
            "MaxAppendBytes" => good with { MaxAppendBytes = int.MaxValue },
            "SnapshotTrailingEntries" => good with { SnapshotTrailingEntries = -1 },
            "SnapshotTrailingBytes" => good with { SnapshotTrailingBytes = -2 },
            "MaxCacheBytes" => good with { MaxCacheBytes = -3 },
            _ => good with { Self = default },
        };
        Exception error = Assert.ThrowsAny<ArgumentException>(() => new RaftProtocol(bad, PersistedState.Empty, new ScriptedLiveness(), new Random(7)));
        Assert.Contains("ProtocolSettings." + key, error.Message);
        Assert.Contains(rest, error.Message);
        good.Validate();
    }
}
