using System.Buffers.Binary;
using System.Text;

namespace Raft.Host.StateMachine;

public enum CommandKind : byte
{
    /// <summary>One journal entry.</summary>
    Append = 1,

    /// <summary>One journal entry for each line, all or nothing.</summary>
    AppendLines = 2,

    Put = 3,
    Delete = 4,
}

public enum PreconditionKind : byte
{
    None = 0,

    /// <summary>The key exists (<c>If-Match: *</c>).</summary>
    Exists = 1,

    /// <summary>The key's revision is one of those named.</summary>
    Matches = 2,

    /// <summary>The key does not exist (<c>If-None-Match: *</c>).</summary>
    Absent = 3,

    /// <summary>The key's revision is none of those named.</summary>
    MatchesNot = 4,
}

/// <summary>What must hold of a key for a write to happen.</summary>
public readonly record struct Precondition(PreconditionKind Kind, long[] Revisions)
{
    public const int RevisionsMax = 64;

    public static readonly Precondition None = new(PreconditionKind.None, []);

    /// <summary>Whether it holds of a key at this revision; 0 is a key that is not there.</summary>
    public bool Holds(long revision) => Kind switch
    {
        PreconditionKind.None => true,
        PreconditionKind.Exists => revision > 0,
        PreconditionKind.Absent => revision == 0,
        PreconditionKind.Matches => revision > 0 && Array.IndexOf(Revisions, revision) >= 0,
        _ => revision == 0 || Array.IndexOf(Revisions, revision) < 0,
    };
}

/// <summary>Whose request this is, and what it is, so that a repetition is recognised.</summary>
/// <param name="Sha256">Of method, resource, preconditions, content type and body: 32 bytes.</param>
/// <param name="MaxKeys">The limits travel with the command, so that every replica decides alike whatever its own configuration.</param>
public sealed record IdempotencyInfo(string Principal, string Key, byte[] Sha256, int MaxKeys, int MinAgeSeconds);

/// <summary>A command as the state machine sees it; slices of the entry's bytes.</summary>
public readonly ref struct StoreCommand
{
    public CommandKind Kind { get; init; }
    public Precondition Precondition { get; init; }

    /// <summary>Principal and key, each with its length: what the table is searched by. Empty: no key.</summary>
    public ReadOnlySpan<byte> IdempotencyScope { get; init; }
    public ReadOnlySpan<byte> IdempotencyKey { get; init; }
    public ReadOnlySpan<byte> Sha256 { get; init; }
    public int MaxKeys { get; init; }
    public int MinAgeSeconds { get; init; }
    public long JournalMaxEntries { get; init; }
    public long JournalMaxBytes { get; init; }
    public ReadOnlySpan<byte> ContentType { get; init; }
    public ReadOnlySpan<byte> Key { get; init; }
    public ReadOnlySpan<byte> Payload { get; init; }
}

/// <summary>Command to bytes and back. Version 1, little endian:</summary>
/// <remarks><code>
/// version:1 kind:1 flags:1 precondition:1 revisions:1 revision:8*
/// [flags and 1]  principal:1+n key:1+n sha256:32 maxKeys:4 minAgeSeconds:4
/// [an append]    journalMaxEntries:8 journalMaxBytes:8
/// contentType:1+n key:2+n payload:rest
/// </code>
/// The payload comes last, so a body can be read straight to its place.</remarks>
public static class StoreCommands
{
    public const int KeyBytesMax = 1024;
    public const int ContentTypeBytesMax = 255;
    public const int IdempotencyKeyBytesMax = 255;
    public const int PrincipalBytesMax = 255;
    internal const int Sha256Bytes = 32;

    /// <summary>The largest header that there can be: what a command takes beside its body.</summary>
    public const int HeaderBytesMax = 5 + (Precondition.RevisionsMax * sizeof(long))
        + 1 + PrincipalBytesMax + 1 + IdempotencyKeyBytesMax + Sha256Bytes + 8
        + 16
        + 1 + ContentTypeBytesMax + 2 + KeyBytesMax;

    private const byte Version = 1;
    private const byte HasIdempotency = 1;

    /// <summary>The size of everything before the payload.</summary>
    public static int HeaderBytes(CommandKind kind, in Precondition precondition, IdempotencyInfo? idempotency, string? contentType, ReadOnlySpan<byte> key)
    {
        int bytes = 5 + (precondition.Revisions.Length * sizeof(long)) + 1 + (contentType?.Length ?? 0) + 2 + key.Length;
        if (idempotency is not null)
            bytes += 2 + Encoding.UTF8.GetByteCount(idempotency.Principal) + idempotency.Key.Length + Sha256Bytes + 8;
        if (kind is CommandKind.Append or CommandKind.AppendLines)
            bytes += 16;
        return bytes;
    }

    /// <summary>Writes everything before the payload; gives where it ends. Content type and idempotency key are ASCII.</summary>
    public static int WriteHeader(
        Span<byte> target, CommandKind kind, in Precondition precondition, IdempotencyInfo? idempotency,
        long journalMaxEntries, long journalMaxBytes, string? contentType, ReadOnlySpan<byte> key)
    {
        target[0] = Version;
        target[1] = (byte)kind;
        target[2] = idempotency is null ? (byte)0 : HasIdempotency;
        target[3] = (byte)precondition.Kind;
        target[4] = checked((byte)precondition.Revisions.Length);
        int at = 5;
        foreach (long revision in precondition.Revisions)
        {
            BinaryPrimitives.WriteInt64LittleEndian(target[at..], revision);
            at += sizeof(long);
        }

        if (idempotency is not null)
        {
            int principal = Encoding.UTF8.GetBytes(idempotency.Principal, target[(at + 1)..]);
            target[at] = checked((byte)principal);
            at += 1 + principal;
            target[at] = checked((byte)Encoding.ASCII.GetBytes(idempotency.Key, target[(at + 1)..]));
            at += 1 + idempotency.Key.Length;
            idempotency.Sha256.CopyTo(target[at..]);
            at += Sha256Bytes;
            BinaryPrimitives.WriteInt32LittleEndian(target[at..], idempotency.MaxKeys);
            BinaryPrimitives.WriteInt32LittleEndian(target[(at + 4)..], idempotency.MinAgeSeconds);
            at += 8;
        }

        if (kind is CommandKind.Append or CommandKind.AppendLines)
        {
            BinaryPrimitives.WriteInt64LittleEndian(target[at..], journalMaxEntries);
            BinaryPrimitives.WriteInt64LittleEndian(target[(at + 8)..], journalMaxBytes);
            at += 16;
        }

        target[at] = checked((byte)(contentType?.Length ?? 0));
        at += 1 + Encoding.ASCII.GetBytes(contentType ?? "", target[(at + 1)..]);
        BinaryPrimitives.WriteUInt16LittleEndian(target[at..], checked((ushort)key.Length));
        key.CopyTo(target[(at + 2)..]);
        return at + 2 + key.Length;
    }

    /// <summary>Reads a command; false, with the reason, when the bytes are none. Never throws: a committed entry must be got over.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out StoreCommand command, out string? fault)
    {
        command = default;
        fault = "The command is cut off.";
        var reader = new Reader(bytes);
        if (!reader.TryTake(5, out ReadOnlySpan<byte> head))
            return false;
        if (head[0] != Version)
        {
            fault = $"The command has version {head[0]}; this release reads {Version}.";
            return false;
        }

        var kind = (CommandKind)head[1];
        var condition = (PreconditionKind)head[3];
        if (kind is < CommandKind.Append or > CommandKind.Delete || head[2] > HasIdempotency
            || condition > PreconditionKind.MatchesNot || head[4] > Precondition.RevisionsMax)
        {
            fault = $"The command's head is not known: kind {head[1]}, flags {head[2]}, precondition {head[3]}.";
            return false;
        }

        if (!reader.TryTake(head[4] * sizeof(long), out ReadOnlySpan<byte> revisionBytes))
            return false;
        long[] revisions = revisionBytes.IsEmpty ? Precondition.None.Revisions : new long[head[4]];
        for (int i = 0; i < revisions.Length; i++)
            revisions[i] = BinaryPrimitives.ReadInt64LittleEndian(revisionBytes[(i * sizeof(long))..]);

        ReadOnlySpan<byte> scope = default, idempotencyKey = default, sha = default, limits = default, journal = default;
        if (head[2] == HasIdempotency)
        {
            int start = reader.At;
            if (!reader.TryTakeSized(out _) || !reader.TryTakeSized(out idempotencyKey))
                return false;
            scope = bytes[start..reader.At];
            if (!reader.TryTake(Sha256Bytes, out sha) || !reader.TryTake(8, out limits))
                return false;
        }

        if (kind is CommandKind.Append or CommandKind.AppendLines && !reader.TryTake(16, out journal))
            return false;
        if (!reader.TryTakeSized(out ReadOnlySpan<byte> contentType) || !reader.TryTake(2, out ReadOnlySpan<byte> keySize)
            || !reader.TryTake(BinaryPrimitives.ReadUInt16LittleEndian(keySize), out ReadOnlySpan<byte> key))
        {
            return false;
        }

        if (kind is CommandKind.Put or CommandKind.Delete && key.Length is 0 or > KeyBytesMax)
        {
            fault = $"The key has {key.Length} bytes; allowed: 1 to {KeyBytesMax}.";
            return false;
        }

        fault = null;
        command = new StoreCommand
        {
            Kind = kind,
            Precondition = new Precondition(condition, revisions),
            IdempotencyScope = scope,
            IdempotencyKey = idempotencyKey,
            Sha256 = sha,
            MaxKeys = limits.IsEmpty ? 0 : BinaryPrimitives.ReadInt32LittleEndian(limits),
            MinAgeSeconds = limits.IsEmpty ? 0 : BinaryPrimitives.ReadInt32LittleEndian(limits[4..]),
            JournalMaxEntries = journal.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(journal),
            JournalMaxBytes = journal.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(journal[8..]),
            ContentType = contentType,
            Key = key,
            Payload = bytes[reader.At..],
        };
        return true;
    }

    /// <summary>What the idempotency table is searched by.</summary>
    internal static byte[] Scope(string principal, string key)
    {
        byte[] scope = new byte[2 + Encoding.UTF8.GetByteCount(principal) + key.Length];
        int at = Encoding.UTF8.GetBytes(principal, scope.AsSpan(1));
        scope[0] = checked((byte)at);
        scope[at + 1] = checked((byte)Encoding.ASCII.GetBytes(key, scope.AsSpan(at + 2)));
        return scope;
    }

    /// <summary>Whether these are a principal and a key, each with its length.</summary>
    internal static bool IsScope(ReadOnlySpan<byte> scope) =>
        scope.Length >= 2 && scope[0] + 2 <= scope.Length && scope[0] + 2 + scope[scope[0] + 1] == scope.Length;

    /// <summary>The key of such a scope.</summary>
    internal static ReadOnlySpan<byte> KeyOf(ReadOnlySpan<byte> scope) => scope[(scope[0] + 2)..];

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> _bytes = bytes;

        public int At { get; private set; }

        public bool TryTake(int count, out ReadOnlySpan<byte> taken)
        {
            taken = default;
            if (count > _bytes.Length - At)
                return false;
            taken = _bytes.Slice(At, count);
            At += count;
            return true;
        }

        public bool TryTakeSized(out ReadOnlySpan<byte> taken)
        {
            taken = default;
            return TryTake(1, out ReadOnlySpan<byte> size) && TryTake(size[0], out taken);
        }
    }
}
