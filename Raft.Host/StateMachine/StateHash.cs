using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;

namespace Raft.Host.StateMachine;

/// <summary>One number for the whole state: equal on all replicas at the same applied index, whatever way they came there.</summary>
/// <remarks>Each of the three parts is a sum modulo 2^128 over its items, so that one change costs one hash; the parts are
/// then hashed together. A sum does not depend on order: a journal entry's hash holds its index.</remarks>
internal static class StateHash
{
    /// <summary>Hashes of different versions are not compared.</summary>
    public const int Version = 1;

    public static UInt128 OfKeyValue(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, string? contentType, long revision) =>
        OfItem(key, value, contentType, revision, 0, 0);

    public static UInt128 OfJournalEntry(long index, in JournalEntry entry) =>
        OfItem([], entry.Payload.Span, entry.ContentType, index, entry.Term, entry.TimeMs);

    public static UInt128 OfOutcome(ReadOnlySpan<byte> scope, ReadOnlySpan<byte> sha256, StoreResult outcome, long timeMs)
    {
        Span<byte> encoded = stackalloc byte[StoreCommands.Sha256Bytes + StoreResult.EncodedBytes];
        sha256.CopyTo(encoded);
        outcome.Encode(encoded[StoreCommands.Sha256Bytes..]);
        return OfItem(scope, encoded, contentType: null, timeMs, 0, 0);
    }

    public static UInt128 Combine(UInt128 keys, UInt128 journal, long journalFirst, long journalLast, UInt128 outcomes, long forgottenThroughMs)
    {
        Span<byte> parts = stackalloc byte[72];
        BinaryPrimitives.WriteUInt128LittleEndian(parts, keys);
        BinaryPrimitives.WriteUInt128LittleEndian(parts[16..], journal);
        BinaryPrimitives.WriteInt64LittleEndian(parts[32..], journalFirst);
        BinaryPrimitives.WriteInt64LittleEndian(parts[40..], journalLast);
        BinaryPrimitives.WriteUInt128LittleEndian(parts[48..], outcomes);
        BinaryPrimitives.WriteInt64LittleEndian(parts[64..], forgottenThroughMs);
        return XxHash128.HashToUInt128(parts);
    }

    /// <summary>Hot path. The lengths stand before the bytes, so that no two items look alike.</summary>
    private static UInt128 OfItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, string? contentType, long a, long b, long c)
    {
        const int Fixed = 40;
        int typeLength = contentType?.Length ?? 0;
        int size = Fixed + key.Length + typeLength + value.Length;
        byte[]? rented = size > 1024 ? ArrayPool<byte>.Shared.Rent(size) : null;
        Span<byte> item = rented is null ? stackalloc byte[1024] : rented;
        BinaryPrimitives.WriteInt32LittleEndian(item, key.Length);
        BinaryPrimitives.WriteInt32LittleEndian(item[4..], typeLength);
        BinaryPrimitives.WriteInt64LittleEndian(item[8..], a);
        BinaryPrimitives.WriteInt64LittleEndian(item[16..], b);
        BinaryPrimitives.WriteInt64LittleEndian(item[24..], c);
        BinaryPrimitives.WriteInt64LittleEndian(item[32..], value.Length);
        key.CopyTo(item[Fixed..]);
        System.Text.Encoding.ASCII.GetBytes(contentType, item[(Fixed + key.Length)..]);
        value.CopyTo(item[(Fixed + key.Length + typeLength)..]);
        UInt128 hash = XxHash128.HashToUInt128(item[..size]);
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented);
        return hash;
    }
}
