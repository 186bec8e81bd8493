using System.Buffers.Binary;
using System.Text;

namespace Raft.Host.StateMachine;

/// <summary>Items of a store's snapshot to bytes and back. Version 1, little endian:</summary>
/// <remarks><code>
/// name      "rhstore" version:1
/// sections  kind:1 length:4 payload, in this order, those of 2 to 4 any number of times:
///   1 head      appliedIndex:8 stateHash:16 journalFirst:8 forgottenThrough:8
///   2 journal   {term:8 time:8 contentType:1+n payload:4+n}*            from journalFirst on, without holes
///   3 outcomes  {time:8 sha256:32 outcome:33 scope:2+n}*                the oldest first
///   4 keys      {revision:8 contentType:1+n key:2+n value:4+n}*         each key once, in no order
///   5 end       journalEntries:8 outcomes:8 keys:8
/// </code>
/// The stream ends there. Whoever reads it adds up the state hash again and compares it with the head's.</remarks>
internal static class StoreSnapshotFormat
{
    public const byte Head = 1;
    public const byte JournalEntries = 2;
    public const byte Outcomes = 3;
    public const byte Keys = 4;
    public const byte End = 5;

    public const int HeadBytes = 8 + 16 + 8 + 8;
    public const int EndBytes = 3 * 8;

    public static ReadOnlyMemory<byte> Name { get; } = "rhstore\u0001"u8.ToArray();

    public static int BytesOf(in JournalEntry entry) => 8 + 8 + 1 + (entry.ContentType?.Length ?? 0) + 4 + entry.Payload.Length;

    public static int BytesOf(SettledKey key) => 8 + StoreCommands.Sha256Bytes + StoreResult.EncodedBytes + 2 + key.Scope.Length;

    public static int BytesOf(KeyValue item) => 8 + 1 + (item.ContentType?.Length ?? 0) + 2 + item.Key.Length + 4 + item.Value.Length;

    public static void Write(Span<byte> target, in JournalEntry entry)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target, entry.Term);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], entry.TimeMs);
        Span<byte> rest = WriteContentType(target[16..], entry.ContentType);
        BinaryPrimitives.WriteInt32LittleEndian(rest, entry.Payload.Length);
        entry.Payload.Span.CopyTo(rest[4..]);
    }

    public static void Write(Span<byte> target, SettledKey key)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target, key.TimeMs);
        key.Sha256.CopyTo(target[8..]);
        Span<byte> rest = target[(8 + StoreCommands.Sha256Bytes)..];
        key.Outcome.Encode(rest);
        rest = rest[StoreResult.EncodedBytes..];
        BinaryPrimitives.WriteUInt16LittleEndian(rest, checked((ushort)key.Scope.Length));
        key.Scope.CopyTo(rest[2..]);
    }

    public static void Write(Span<byte> target, KeyValue item)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target, item.Revision);
        Span<byte> rest = WriteContentType(target[8..], item.ContentType);
        BinaryPrimitives.WriteUInt16LittleEndian(rest, checked((ushort)item.Key.Length));
        item.Key.CopyTo(rest[2..]);
        rest = rest[(2 + item.Key.Length)..];
        BinaryPrimitives.WriteInt32LittleEndian(rest, item.Value.Length);
        item.Value.CopyTo(rest[4..]);
    }

    private static Span<byte> WriteContentType(Span<byte> target, string? contentType)
    {
        target[0] = checked((byte)(contentType?.Length ?? 0));
        return target[(1 + Encoding.ASCII.GetBytes(contentType ?? "", target[1..]))..];
    }
}
