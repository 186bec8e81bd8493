using System.Buffers.Binary;
using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>What a command did. Immutable; the outcomes of the first group are kept with an idempotency key.</summary>
public abstract record StoreResult
{
    /// <summary>Bytes of the fixed form that goes into the state hash.</summary>
    internal const int EncodedBytes = 1 + (4 * sizeof(long));

    /// <summary>A fixed form of the outcome, for the state hash and for snapshots.</summary>
    internal void Encode(Span<byte> target)
    {
        (byte kind, long a, long b, long c, long term) = this switch
        {
            Appended r => ((byte)1, r.FirstIndex, r.LastIndex, r.RaftIndex, r.Term.Value),
            Put r => ((byte)2, r.Revision, r.Created ? 1L : 0L, 0L, r.Term.Value),
            Deleted r => ((byte)3, r.RaftIndex, r.Existed ? 1L : 0L, 0L, r.Term.Value),
            PreconditionFailed r => ((byte)4, r.CurrentRevision, 0L, r.RaftIndex, r.Term.Value),
            _ => throw new InvalidOperationException($"{GetType().Name} is not kept."),
        };
        target[0] = kind;
        BinaryPrimitives.WriteInt64LittleEndian(target[1..], a);
        BinaryPrimitives.WriteInt64LittleEndian(target[9..], b);
        BinaryPrimitives.WriteInt64LittleEndian(target[17..], c);
        BinaryPrimitives.WriteInt64LittleEndian(target[25..], term);
    }

    /// <exception cref="InvalidDataException">The bytes are no outcome that is kept.</exception>
    internal static StoreResult Decode(ReadOnlySpan<byte> bytes)
    {
        long a = BinaryPrimitives.ReadInt64LittleEndian(bytes[1..]);
        long b = BinaryPrimitives.ReadInt64LittleEndian(bytes[9..]);
        long c = BinaryPrimitives.ReadInt64LittleEndian(bytes[17..]);
        var term = new Term(BinaryPrimitives.ReadInt64LittleEndian(bytes[25..]));
        return bytes[0] switch
        {
            1 => new Appended(a, b, c, term),
            2 => new Put(a, b != 0, term),
            3 => new Deleted(b != 0, a, term),
            4 => new PreconditionFailed(a, c, term),
            _ => throw new InvalidDataException($"An outcome has kind {bytes[0]}."),
        };
    }
}

/// <summary>Journal entries were appended, all of one command.</summary>
public sealed record Appended(long FirstIndex, long LastIndex, long RaftIndex, Term Term) : StoreResult
{
    public long Count => LastIndex - FirstIndex + 1;
}

/// <summary>A value was written; its revision is the Raft index of the write.</summary>
public sealed record Put(long Revision, bool Created, Term Term) : StoreResult;

/// <summary>The key is not there (any more).</summary>
public sealed record Deleted(bool Existed, long RaftIndex, Term Term) : StoreResult;

/// <summary>Nothing was written: the precondition did not hold. 0: the key was not there.</summary>
public sealed record PreconditionFailed(long CurrentRevision, long RaftIndex, Term Term) : StoreResult;

/// <summary>The key was seen before with the same request: this is the first outcome.</summary>
public sealed record Replayed(StoreResult First) : StoreResult;

/// <summary>The idempotency key was used for another request; nothing was done.</summary>
public sealed record KeyReused : StoreResult
{
    public static readonly KeyReused Instance = new();
}

/// <summary>The key's own time is older than the table remembers: it may have been executed, so it is not. Nothing was done.</summary>
public sealed record KeyTooOld(long WindowSeconds) : StoreResult;

/// <summary>The key's own time is ahead of the leader's by more than clocks may differ. Nothing was done.</summary>
public sealed record KeyFromTheFuture(long AheadMs) : StoreResult;

/// <summary>The table is full of young keys; nothing was done.</summary>
public sealed record TableFull(int MaxKeys, long RetryAfterMs) : StoreResult;

/// <summary>The bytes are no command that this release knows; nothing was done.</summary>
public sealed record Malformed(string Reason) : StoreResult;
