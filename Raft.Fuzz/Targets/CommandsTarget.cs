using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Fuzz.Targets;

/// <summary>Commands of the store, applied one after the other: none throws, and the state hash is always that of the state.</summary>
internal sealed class CommandsTarget : FuzzTarget
{
    private const int CommandsOfOneStore = 2000;

    private Store _store = new();
    private long _index;

    public override string Name => "commands";

    // The state is kept from input to input: a table or a journal may grow just now.
    public override long AllocatedBytes => 16 << 20;

    public override IReadOnlyList<byte[]> Dictionary { get; } = [[1], [2], [3], [4], Utf8("key"), Utf8("018f2e5c-1f3a-7000-8000-000000000000"), Utf8("\n"), Utf8("1\n2")];

    public override IEnumerable<byte[]> Seeds() =>
    [
        Of(CommandKind.Append, "entry"), Of(CommandKind.AppendLines, "1\n2\n"), Of(CommandKind.Put, "value", "key"), Of(CommandKind.Delete, "", "key"),
        Of(CommandKind.Put, "value", "key", new Precondition(PreconditionKind.Matches, [1, 2])), Of(CommandKind.Put, "v", "key", new Precondition(PreconditionKind.Absent, [])),
        Of(CommandKind.Append, "entry", idempotencyKey: "018f2e5c-1f3a-7000-8000-000000000000"), Of(CommandKind.Put, "value", "key", idempotencyKey: "order-1"),
    ];

    public override string Run(byte[] input)
    {
        if (_index >= CommandsOfOneStore)
        {
            Holds(_store.RecomputeHash() == _store.StateHash, "the state hash is that of the state");
            Holds(StoreSnapshotTarget.Read(StoreSnapshotTarget.Write(_store)).StateHash == _store.StateHash, "a snapshot gives the state again");
            (_store, _index) = (new Store(), 0);
        }

        var command = new CommittedCommand(new LogIndex(++_index), new Term(2), 1_700_000_000_000 + _index, input);
        object? result = _store.ApplyAsync([command], CancellationToken.None).AsTask().GetAwaiter().GetResult()[0];
        bool isCommand = StoreCommands.TryRead(input, out _, out string? fault);
        Holds(isCommand || result is Malformed, "what is no command does nothing");
        return isCommand ? Accepted : fault!;
    }

    private static byte[] Of(CommandKind kind, string payload, string key = "", Precondition? precondition = null, string? idempotencyKey = null)
    {
        byte[] body = Utf8(payload), keyBytes = Utf8(key);
        Precondition condition = precondition ?? Precondition.None;
        IdempotencyInfo? info = idempotencyKey is null ? null : new IdempotencyInfo("anonymous", idempotencyKey, new byte[32], 100, 600);
        byte[] bytes = new byte[StoreCommands.HeaderBytes(kind, condition, info, "text/plain", keyBytes) + body.Length];
        int header = StoreCommands.WriteHeader(bytes, kind, condition, info, journalMaxEntries: 1000, journalMaxBytes: 1 << 20, "text/plain", keyBytes);
        body.CopyTo(bytes, header);
        return bytes;
    }
}
