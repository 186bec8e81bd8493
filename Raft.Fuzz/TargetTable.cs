using Raft.Fuzz.Targets;

namespace Raft.Fuzz;

/// <summary>All targets by name.</summary>
internal static class TargetTable
{
    private static readonly SortedDictionary<string, Func<FuzzTarget>> _all = new(StringComparer.Ordinal)
    {
        ["frames"] = () => new FramesTarget(),
        ["handshake"] = () => new HandshakeTarget(),
        ["messages"] = () => new MessagesTarget(),
        ["calls"] = () => new CallsTarget(),
        ["liveness"] = () => new LivenessTarget(),
        ["chunks"] = () => new ChunksTarget(),
        ["configuration"] = () => new ConfigurationTarget(),
        ["lines"] = () => new LinesTarget(),
        ["bodies"] = () => new BodiesTarget(),
        ["commands"] = () => new CommandsTarget(),
        ["system-commands"] = () => new SystemCommandsTarget(),
        ["wal-payload"] = () => new WalPayloadTarget(),
        ["wal"] = () => new WalTarget(),
        ["group-record"] = () => new GroupRecordTarget(),
        ["manifest"] = () => new ManifestTarget(),
        ["snapshot-file"] = () => new SnapshotFileTarget(),
        ["store-snapshot"] = () => new StoreSnapshotTarget(),
        ["group-snapshot"] = () => new GroupSnapshotTarget(),
        ["settings"] = () => new SettingsTarget(),
        ["rest"] = () => new RestTarget(),
    };

    public static IEnumerable<string> Names => _all.Keys;

    public static FuzzTarget Create(string name) => _all[name]();
}
