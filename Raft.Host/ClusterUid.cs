using System.Globalization;

namespace Raft.Host;

/// <summary>Names one cluster for ever: the hash of its first configuration. ClusterId is only what people type.</summary>
public readonly record struct ClusterUid(UInt128 Value)
{
    public static ClusterUid Parse(string hex) => new(UInt128.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture));

    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}
