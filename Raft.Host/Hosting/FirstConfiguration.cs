using System.IO.Hashing;
using System.Text;
using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>What a cluster begins with, and the hashes made of it.</summary>
internal static class FirstConfiguration
{
    /// <summary>The cluster's identity: two clusters never share it, because storage ids are random.</summary>
    /// <remarks>Its first 32 bits are of the cluster id alone: so a directory tells whose it is also when it joined later, or when
    /// its log no longer holds the first configuration.</remarks>
    public static ClusterUid UidOf(string clusterId, Configuration first)
    {
        byte[] name = Encoding.UTF8.GetBytes(clusterId);
        var hash = new XxHash128();
        hash.Append(name);
        hash.Append([0]);
        hash.Append(first.Encode());
        return new ClusterUid(((UInt128)NameHash(name) << 96) | (hash.GetCurrentHashAsUInt128() & (UInt128.MaxValue >> 32)));
    }

    /// <summary>Whether the cluster with this uid has this cluster id.</summary>
    public static bool IsNamed(ClusterUid uid, string clusterId) => (uint)(uid.Value >> 96) == NameHash(Encoding.UTF8.GetBytes(clusterId));

    /// <summary>Tells whether two nodes were given the same list, in whatever order.</summary>
    public static string HashOf(IEnumerable<MemberOptions> members)
    {
        var text = new StringBuilder();
        foreach (MemberOptions member in members.OrderBy(member => member.Id, StringComparer.Ordinal))
            text.Append(member.Id).Append('\n').Append(Normal(member.PeerUrl)).Append('\n').Append(Normal(member.ApiUrl)).Append('\n').Append(member.Voter ? 'v' : 'l').Append('\n');

        return Hex(text);
    }

    /// <summary>Tells whether two nodes were given the same groups: which one is the first, and which others there are.</summary>
    public static string HashOf(IReadOnlyList<GroupOptions> groups)
    {
        var text = new StringBuilder(groups[0].Id);
        foreach (string id in groups.Skip(1).Select(group => group.Id).Order(StringComparer.Ordinal))
            text.Append('\n').Append(id);

        return Hex(text);
    }

    /// <summary>The configuration of Members, each with the storage id that it answered.</summary>
    public static Configuration Of(IEnumerable<MemberOptions> members, IReadOnlyDictionary<string, StorageId> storages) =>
        Configuration.Of(members.Select(member => new Member(
            new NodeId(member.Id),
            storages[member.Id],
            member.Voter ? MemberKind.Voter : MemberKind.Learner,
            Normal(member.PeerUrl),
            Normal(member.ApiUrl))));

    /// <summary>http://Host:80/ and http://host are one address.</summary>
    internal static string Normal(string url) => url.Length == 0 ? "" : new Uri(url) is var parsed ? BoundEndpoints.UrlOf(parsed, parsed.Port) : "";

    private static uint NameHash(byte[] clusterId) => XxHash32.HashToUInt32(clusterId);

    private static string Hex(StringBuilder text) => XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(text.ToString())).ToString("x32");
}
