using Microsoft.Extensions.Configuration;
using Raft.Host.Settings;

namespace Raft.Fuzz.Targets;

/// <summary>Settings, a line for each key: <c>Raft:NodeId=n1</c>. Bound and checked, or refused with the list of faults.</summary>
internal sealed class SettingsTarget : FuzzTarget
{
    private static readonly System.Text.UTF8Encoding _utf8 = new();

    public override string Name => "settings";

    public override int InputsInTests => 3000;

    public override IReadOnlyList<byte[]> Dictionary { get; } =
    [
        .. new[]
        {
            "\nRaft:NodeId=", "\nRaft:ClusterId=", "\nRaft:Members:0:Id=", "\nRaft:Members:0:PeerUrl=", "\nRaft:Members:1:ApiUrl=", "\nRaft:Join:0=", "\nRaft:Groups:0:Id=",
            "\nRaft:TickMs=", "\nRaft:Limits:MaxCommandBytes=", "\nRaft:DataDirectory=", "\nKestrel:Endpoints:Api:Url=", "\nKestrel:Endpoints:Peer:Url=", "\nRaft:Security:AllowInsecure=true",
            "http://127.0.0.1:1", "https://[::1]:2", "http://*:3", "http://a@b:4/", "http://xn--:5", "http://1.2.3", "2147483647", "-1", "9223372036854775807", "true", "auto", ":", "::", "=", "\0", "ä", "%00",
        }.Select(Utf8),
    ];

    public override IEnumerable<byte[]> Seeds() =>
    [
        Utf8("Raft:NodeId=n1\nRaft:Bootstrap=true\nRaft:DataDirectory=./data"),
        Utf8("Raft:NodeId=n1\nRaft:Members:0:Id=n1\nRaft:Members:0:PeerUrl=http://127.0.0.1:8081\nRaft:Members:1:Id=n2\nRaft:Members:1:PeerUrl=http://127.0.0.1:8083\nRaft:Members:1:Voter=false"),
        Utf8("Raft:Join:0=http://127.0.0.1:8081\nKestrel:Endpoints:Api:Url=http://127.0.0.1:8090\nKestrel:Endpoints:Peer:Url=http://0.0.0.0:8091\nRaft:Security:AllowInsecure=true"),
        Utf8("Raft:Groups:0:Id=orders\nRaft:Groups:1:Id=users\nRaft:Limits:MaxCommandBytes=2048\nRaft:TickMs=50\nRaft:ElectionTicks=10"),
    ];

    public override string Run(byte[] input)
    {
        Dictionary<string, string?> values = new(StringComparer.OrdinalIgnoreCase);
        foreach (string line in _utf8.GetString(input).Split('\n'))
        {
            int at = line.IndexOf('=', StringComparison.Ordinal);
            values[at < 0 ? line : line[..at]] = at < 0 ? null : line[(at + 1)..];
        }

        try
        {
            NodeSettings settings = NodeSettings.Read(new ConfigurationBuilder().AddInMemoryCollection(values).Build());
            _ = settings.DataDirectory;
            return Accepted;
        }
        catch (SettingsException refusal)
        {
            Holds(refusal.Faults.Count > 0, "a refusal names its faults");
            return refusal.Faults[0];
        }
    }
}
