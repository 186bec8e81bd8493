using System.Buffers.Binary;
using System.Text;

namespace Raft.Engine.Protocol;

public enum MemberKind : byte
{
    /// <summary>Counts in every quorum.</summary>
    Voter = 1,

    /// <summary>Gets the log and never counts.</summary>
    Learner = 2,

    /// <summary>As a learner, until the leader finds it caught up and makes it a voter. Rule 8.</summary>
    Joining = 3,
}

/// <summary>One member as the log names it.</summary>
public sealed record Member(NodeId Node, StorageId Storage, MemberKind Kind, string PeerUrl, string ApiUrl)
{
    public ServerId Id => new(Node, Storage);
}

/// <summary>Who belongs to the group. While <see cref="IsJoint"/>, both sets must agree to everything. PhD 4.3</summary>
/// <param name="Current">The members, ascending by node id (ordinal).</param>
/// <param name="Previous">While joint the members before the change; else empty.</param>
public sealed record Configuration(IReadOnlyList<Member> Current, IReadOnlyList<Member> Previous)
{
    public static readonly Configuration Empty = new([], []);

    /// <summary>A joint configuration: C_old,new.</summary>
    public bool IsJoint => Previous.Count > 0;

    public static Configuration Of(IEnumerable<Member> members) =>
        new([.. members.OrderBy(member => member.Node.Value, StringComparer.Ordinal)], []);

    /// <summary>Every member of either set, each once; the current set's kind and address win.</summary>
    public IEnumerable<Member> All =>
        Current.Concat(Previous.Where(old => !Current.Any(member => member.Id == old.Id)));

    public bool Contains(ServerId server) => All.Any(member => member.Id == server);

    /// <summary>Whether the server is a voter of either set.</summary>
    public bool CanVote(ServerId server) =>
        Current.Any(member => member.Id == server && member.Kind == MemberKind.Voter)
        || Previous.Any(member => member.Id == server && member.Kind == MemberKind.Voter);

    private const byte FormatVersion = 1;

    /// <summary>The bytes of a configuration entry. Version, then both sets; little endian, UTF-8 with length.</summary>
    public byte[] Encode()
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write(FormatVersion);
        WriteMembers(writer, Current);
        WriteMembers(writer, Previous);
        writer.Flush();
        return bytes.ToArray();
    }

    /// <exception cref="InvalidDataException">The bytes are no configuration that this release knows.</exception>
    public static Configuration Decode(ReadOnlySpan<byte> payload)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(payload.ToArray()), Encoding.UTF8);
            byte version = reader.ReadByte();
            if (version != FormatVersion)
                throw new InvalidDataException($"A configuration entry has format {version}; this release knows {FormatVersion}.");

            return new Configuration(ReadMembers(reader), ReadMembers(reader));
        }
        catch (EndOfStreamException error)
        {
            throw new InvalidDataException("A configuration entry ends too early.", error);
        }
    }

    private static void WriteMembers(BinaryWriter writer, IReadOnlyList<Member> members)
    {
        writer.Write(members.Count);
        Span<byte> storage = stackalloc byte[16];
        foreach (Member member in members)
        {
            writer.Write(member.Node.Value);
            BinaryPrimitives.WriteUInt128LittleEndian(storage, member.Storage.Value);
            writer.Write(storage);
            writer.Write((byte)member.Kind);
            writer.Write(member.PeerUrl);
            writer.Write(member.ApiUrl);
        }
    }

    private static List<Member> ReadMembers(BinaryReader reader)
    {
        int count = reader.ReadInt32();
        if (count is < 0 or > 10_000)
            throw new InvalidDataException($"A configuration entry claims {count} members.");

        var members = new List<Member>(count);
        for (int i = 0; i < count; i++)
        {
            var node = new NodeId(reader.ReadString());
            byte[] storage = reader.ReadBytes(16);
            if (storage.Length < 16)
                throw new EndOfStreamException();
            var kind = (MemberKind)reader.ReadByte();
            if (kind is < MemberKind.Voter or > MemberKind.Joining)
                throw new InvalidDataException($"A configuration entry names member kind {(byte)kind}.");
            members.Add(new Member(
                node, new StorageId(BinaryPrimitives.ReadUInt128LittleEndian(storage)), kind, reader.ReadString(), reader.ReadString()));
        }

        return members;
    }
}
