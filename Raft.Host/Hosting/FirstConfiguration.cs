using System.IO.Hashing;
using System.Text;
using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>What a cluster begins with, and the two hashes made of it.</summary>
internal static class FirstConfiguration
{
    /// <summary>The cluster's identity: two clusters never share it, because storage ids are random.</summary>
    public static ClusterUid UidOf(string clusterId, Configuration first)
    {
        var hash = new XxHash128();
        hash.Append(Encoding.UTF8.GetBytes(clusterId));
        hash.Append([0]);
        hash.Append(first.Encode());
        return new ClusterUid(hash.GetCurrentHashAsUInt128());
    }

    /// <summary>Tells whether two nodes were given the same list, in whatever order.</summary>
    public static string HashOf(IEnumerable<MemberOptions> members)
    {
        var text = new StringBuilder();
        foreach (MemberOptions member in members.OrderBy(member => member.Id, StringComparer.Ordinal))
            text.Append(member.Id).Append('\n').Append(Normal(member.PeerUrl)).Append('\n').Append(Normal(member.ApiUrl)).Append('\n').Append(member.Voter ? 'v' : 'l').Append('\n');

        return XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(text.ToString())).ToString("x32");
    }

    /// <summary>The configuration of Members, each with the storage id that it answered.</summary>
    public static Configuration Of(IEnumerable<MemberOptions> members, IReadOnlyDictionary<string, StorageId> storages) =>
        Configuration.Of(members.Select(member => new Member(
            new NodeId(member.Id),
            storages[member.Id],
            member.Voter ? MemberKind.Voter : MemberKind.Learner,
            Normal(member.PeerUrl),
            Normal(member.ApiUrl))));

    /// <summary>The member that wrote it: the smallest node id.</summary>
    public static Member FormerOf(Configuration first) => first.Current.MinBy(member => member.Node.Value, StringComparer.Ordinal)
        ?? throw new InvalidDataException("A first configuration names no member.");

    /// <summary>http://Host:80/ and http://host are one address.</summary>
    private static string Normal(string url) => url.Length == 0 ? "" : new Uri(url).GetLeftPart(UriPartial.Authority);
}
