using System.Buffers;
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
    /// <summary>The longest node id, in characters.</summary>
    public const int NodeIdCharactersMax = 63;

    /// <summary>The longest peer or API URL, in characters.</summary>
    public const int UrlCharactersMax = 2048;

    public ServerId Id => new(Node, Storage);

    /// <summary>Why the log cannot hold this member; empty when it can. A leader encodes configurations in the middle of its work,
    /// where an exception would stop it, so this is asked before.</summary>
    internal string Fault =>
        string.IsNullOrEmpty(Node.Value) || Node.Value.Length > NodeIdCharactersMax ? $"A node id has 1 to {NodeIdCharactersMax} characters; '{Node}' has not."
        : !IsUnicode(Node.Value) ? "A node id holds half of a surrogate pair, which UTF-8 cannot encode."
        : Storage == default ? $"'{Node}' has no storage id."
        : Kind is < MemberKind.Voter or > MemberKind.Joining ? $"'{Node}' has no kind."
        : FaultOfUrl("peer", PeerUrl) ?? FaultOfUrl("API", ApiUrl) ?? "";

    private string? FaultOfUrl(string which, string url) =>
        url is null ? $"The {which} URL of '{Node}' is null."
        : url.Length > UrlCharactersMax ? $"The {which} URL of '{Node}' has {url.Length} characters; allowed are {UrlCharactersMax}."
        : !IsUnicode(url) ? $"The {which} URL of '{Node}' holds half of a surrogate pair, which UTF-8 cannot encode."
        : null;

    private static bool IsUnicode(string text)
    {
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(rest, out _, out int consumed) != OperationStatus.Done)
                return false;
            rest = rest[consumed..];
        }

        return true;
    }
}

/// <summary>Who belongs to the group. While <see cref="IsJoint"/>, both sets must agree to everything. PhD 4.3</summary>
/// <param name="Current">The members, ascending by node id (ordinal).</param>
/// <param name="Previous">While joint the members before the change; else empty.</param>
public sealed record Configuration(IReadOnlyList<Member> Current, IReadOnlyList<Member> Previous)
{
    /// <summary>What the members are to be once those that join have caught up; empty when nothing more is wanted. It is in the
    /// log, so that whoever leads then finishes the change. Rule 8.</summary>
    public IReadOnlyList<Member> Target { get; init; } = [];

    public static readonly Configuration Empty = new([], []);

    /// <summary>Members whose disks lost what they had acknowledged and that could not be removed yet. In the log, so that the next
    /// leader does not count them either. Rule 13</summary>
    public IReadOnlyList<ServerId> LostData { get; init; } = [];

    /// <summary>A joint configuration: C_old,new.</summary>
    public bool IsJoint => Previous.Count > 0;

    public static Configuration Of(IEnumerable<Member> members) =>
        new([.. members.OrderBy(member => member.Node.Value, StringComparer.Ordinal)], []);

    /// <summary>Every member of either set, each once; the current set's kind and address win.</summary>
    public IEnumerable<Member> All =>
        Current.Concat(Previous.Where(old => !Current.Any(member => member.Id == old.Id)));

    public bool Contains(ServerId server) => Find(Current, server) is not null || Find(Previous, server) is not null;

    /// <summary>Whether somebody can vote: without that nothing is ever committed again, not even another configuration.</summary>
    public bool HasVoters => HasVoter(Current) && (!IsJoint || HasVoter(Previous));

    /// <summary>Every configuration that a leader appends, or a follower takes, passes this check, whatever led to it: nothing can
    /// lead out of a configuration without voters, nor may a target lead into one. Rule 8</summary>
    internal bool IsAllowed => HasVoters && (Target.Count == 0 || HasVoter(Target));

    /// <summary>Whether the server is a voter of either set.</summary>
    public bool CanVote(ServerId server) =>
        Find(Current, server) is { Kind: MemberKind.Voter } || Find(Previous, server) is { Kind: MemberKind.Voter };

    // Asked at every tick and message: without LINQ, which would allocate.
    private static Member? Find(IReadOnlyList<Member> members, ServerId server)
    {
        for (int i = 0; i < members.Count; i++)
        {
            if (members[i].Id == server)
                return members[i];
        }

        return null;
    }

    // 1: both sets. 2: and a target. Without one the bytes are of version 1, so that a first configuration keeps its hash.
    // Behind the target there may be the members that lost data: an earlier release does not look behind the target.
    private const byte FormatVersion = 1;
    private const byte FormatVersionWithTarget = 2;
    private const int MembersMax = 10_000;
    private static readonly UTF8Encoding _utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private bool IsOfVersionTwo => Target.Count > 0 || LostData.Count > 0;

    internal int EncodedSize => 1 + SizeOf(Current) + SizeOf(Previous) + (IsOfVersionTwo ? SizeOf(Target) : 0) + (LostData.Count > 0 ? SizeOf(LostData) : 0);

    /// <summary>The bytes of a configuration entry. Version, then both sets; little endian, UTF-8 with length.</summary>
    /// <exception cref="ArgumentException">A text holds half of a surrogate pair.</exception>
    public byte[] Encode()
    {
        var bytes = new byte[EncodedSize];
        bytes[0] = IsOfVersionTwo ? FormatVersionWithTarget : FormatVersion;
        Span<byte> rest = WriteMembers(bytes.AsSpan(1), Current);
        rest = WriteMembers(rest, Previous);
        if (IsOfVersionTwo)
            rest = WriteMembers(rest, Target);
        if (LostData.Count > 0)
            rest = WriteServers(rest, LostData);
        Invariant.Holds(rest.IsEmpty);
        return bytes;
    }

    /// <exception cref="InvalidDataException">The bytes are no configuration that this release knows.</exception>
    public static Configuration Decode(ReadOnlySpan<byte> payload)
    {
        ReadOnlySpan<byte> rest = payload;
        byte version = Take(ref rest, 1)[0];
        if (version is not (FormatVersion or FormatVersionWithTarget))
            throw new InvalidDataException($"A configuration entry has format {version}; this release knows up to {FormatVersionWithTarget}.");

        var configuration = new Configuration(ReadMembers(ref rest), ReadMembers(ref rest));
        if (version == FormatVersion)
            return configuration;
        configuration = configuration with { Target = ReadMembers(ref rest) };
        return rest.IsEmpty ? configuration : configuration with { LostData = ReadServers(ref rest) };
    }

    private static bool HasVoter(IReadOnlyList<Member> members)
    {
        for (int i = 0; i < members.Count; i++)
        {
            if (members[i].Kind == MemberKind.Voter)
                return true;
        }

        return false;
    }

    private static int SizeOf(IReadOnlyList<Member> members)
    {
        int size = sizeof(int);
        foreach (Member member in members)
            size += SizeOf(member.Node.Value) + 16 + 1 + SizeOf(member.PeerUrl) + SizeOf(member.ApiUrl);
        return size;
    }

    private static int SizeOf(IReadOnlyList<ServerId> servers) => sizeof(int) + servers.Sum(server => SizeOf(server.Node.Value) + 16);

    private static int SizeOf(string text) => sizeof(int) + _utf8.GetByteCount(text);

    private static Span<byte> WriteMembers(Span<byte> rest, IReadOnlyList<Member> members)
    {
        BinaryPrimitives.WriteInt32LittleEndian(rest, members.Count);
        rest = rest[sizeof(int)..];
        foreach (Member member in members)
        {
            rest = WriteText(rest, member.Node.Value);
            BinaryPrimitives.WriteUInt128LittleEndian(rest, member.Storage.Value);
            rest[16] = (byte)member.Kind;
            rest = WriteText(rest[17..], member.PeerUrl);
            rest = WriteText(rest, member.ApiUrl);
        }

        return rest;
    }

    private static Span<byte> WriteServers(Span<byte> rest, IReadOnlyList<ServerId> servers)
    {
        BinaryPrimitives.WriteInt32LittleEndian(rest, servers.Count);
        rest = rest[sizeof(int)..];
        foreach (ServerId server in servers)
        {
            rest = WriteText(rest, server.Node.Value);
            BinaryPrimitives.WriteUInt128LittleEndian(rest, server.Storage.Value);
            rest = rest[16..];
        }

        return rest;
    }

    private static Span<byte> WriteText(Span<byte> rest, string text)
    {
        int length = _utf8.GetBytes(text, rest[sizeof(int)..]);
        BinaryPrimitives.WriteInt32LittleEndian(rest, length);
        return rest[(sizeof(int) + length)..];
    }

    private static List<Member> ReadMembers(ref ReadOnlySpan<byte> rest)
    {
        int count = BinaryPrimitives.ReadInt32LittleEndian(Take(ref rest, sizeof(int)));
        if (count is < 0 or > MembersMax)
            throw new InvalidDataException($"A configuration entry claims {count} members.");

        var members = new List<Member>();
        for (int i = 0; i < count; i++)
        {
            var node = new NodeId(ReadText(ref rest));
            var storage = new StorageId(BinaryPrimitives.ReadUInt128LittleEndian(Take(ref rest, 16)));
            var kind = (MemberKind)Take(ref rest, 1)[0];
            if (kind is < MemberKind.Voter or > MemberKind.Joining)
                throw new InvalidDataException($"A configuration entry names member kind {(byte)kind}.");
            var member = new Member(node, storage, kind, PeerUrl: ReadText(ref rest), ApiUrl: ReadText(ref rest));
            if (members.Exists(other => other.Id == member.Id))
                throw new InvalidDataException($"A configuration entry names {member.Id} twice.");
            members.Add(member);
        }

        return members;
    }

    private static List<ServerId> ReadServers(ref ReadOnlySpan<byte> rest)
    {
        int count = BinaryPrimitives.ReadInt32LittleEndian(Take(ref rest, sizeof(int)));
        if (count is < 0 or > MembersMax)
            throw new InvalidDataException($"A configuration entry claims {count} members that lost data.");

        var servers = new List<ServerId>();
        for (int i = 0; i < count; i++)
            servers.Add(new ServerId(new NodeId(ReadText(ref rest)), new StorageId(BinaryPrimitives.ReadUInt128LittleEndian(Take(ref rest, 16)))));
        return servers;
    }

    private static string ReadText(ref ReadOnlySpan<byte> rest)
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(Take(ref rest, sizeof(int)));
        try
        {
            return _utf8.GetString(Take(ref rest, length));
        }
        catch (DecoderFallbackException error)
        {
            throw new InvalidDataException("A configuration entry holds text that is not UTF-8.", error);
        }
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> rest, int length)
    {
        if ((uint)length > (uint)rest.Length)
            throw new InvalidDataException("A configuration entry ends too early.");
        ReadOnlySpan<byte> taken = rest[..length];
        rest = rest[length..];
        return taken;
    }
}
