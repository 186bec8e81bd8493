using System.Security.Cryptography;
using System.Text;
using Raft.Host.StateMachine;
using Raft.Simulator.Histories;

namespace Raft.Simulator;

/// <summary>A client's operation as the store's command, and the store's result as a client's outcome.</summary>
internal static class Commands
{
    public const string Principal = "tester";

    public static byte[] Encode(Operation operation) => operation switch
    {
        PutKey put => Encode(CommandKind.Put, put.Condition, put.IdempotencyKey, put.Key, put.Value, operation),
        DeleteKey delete => Encode(CommandKind.Delete, delete.Condition, delete.IdempotencyKey, delete.Key, "", operation),
        AppendEntry append => Encode(CommandKind.Append, condition: null, append.IdempotencyKey, key: "", append.Value, operation),
        _ => throw new ArgumentException($"{operation} is no write.", nameof(operation)),
    };

    /// <summary>Null: an answer that no client of a simulation should get.</summary>
    public static Outcome? OutcomeOf(StoreResult result) => result switch
    {
        Replayed replayed => OutcomeOf(replayed.First),
        Put put => new Written(put.Revision, put.Created),
        Deleted deleted => new Removed(deleted.RaftIndex),
        PreconditionFailed failed => new Refused(failed.CurrentRevision, failed.RaftIndex),
        Host.StateMachine.Appended appended => new Histories.Appended(appended.FirstIndex, appended.RaftIndex),
        _ => null,
    };

    private static byte[] Encode(CommandKind kind, KeyCondition? condition, string? idempotencyKey, string key, string value, Operation operation)
    {
        Precondition precondition = condition?.Kind switch
        {
            null => Precondition.None,
            KeyConditionKind.Exists => new Precondition(PreconditionKind.Exists, []),
            KeyConditionKind.Absent => new Precondition(PreconditionKind.Absent, []),
            KeyConditionKind.Is => new Precondition(PreconditionKind.Matches, [condition.Revision]),
            _ => new Precondition(PreconditionKind.MatchesNot, [condition.Revision]),
        };
        IdempotencyInfo? idempotency = idempotencyKey is null ? null
            : new IdempotencyInfo(Principal, idempotencyKey, SHA256.HashData(Encoding.UTF8.GetBytes(operation.ToString())), MaxKeys: 100_000, MinAgeSeconds: 600);
        byte[] keyBytes = Encoding.UTF8.GetBytes(key);
        byte[] payload = Encoding.UTF8.GetBytes(value);
        byte[] command = new byte[StoreCommands.HeaderBytes(kind, precondition, idempotency, contentType: null, keyBytes) + payload.Length];
        int at = StoreCommands.WriteHeader(
            command, kind, precondition, idempotency, journalMaxEntries: 1_000_000, journalMaxBytes: 1 << 28, contentType: null, keyBytes);
        payload.CopyTo(command.AsSpan(at));
        return command;
    }
}
