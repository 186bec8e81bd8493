namespace Raft.Host.StateMachine;

// What the store takes of the node's memory, and what a command would add.
public sealed partial class Store
{
    /// <summary>Journal, keys and idempotency table, each item with its overhead. Any thread.</summary>
    public long StateBytes => Volatile.Read(ref _stateBytes);

    /// <summary>The shortest line is one byte and its end.</summary>
    public long GrowthMax(int commandBytes) =>
        commandBytes + KeyValueMap.OverheadBytes + IdempotencyTable.OverheadBytes + (commandBytes / 2L * Journal.OverheadBytes);

    /// <summary>0 for a delete, for a value that is not longer than the one it replaces, and for an entry that pushes as much out of the
    /// journal as it brings. An idempotency key counts on top, but for a delete that removes something.</summary>
    public long GrowthOf(ReadOnlySpan<byte> command)
    {
        if (!StoreCommands.TryRead(command, out StoreCommand read, out _))
            return 0;       // it changes nothing

        long key = read.IdempotencyScope.IsEmpty ? 0 : IdempotencyTable.OverheadBytes + read.IdempotencyScope.Length;
        if (read.Kind is CommandKind.Append or CommandKind.AppendLines)
            return key + GrowthOfJournal(read);

        KeyValue? existing = Get(read.Key);
        if (read.Kind == CommandKind.Delete)
            return existing is null ? key : 0;
        return key + (existing is null
            ? KeyValueMap.OverheadBytes + read.Key.Length + read.Payload.Length
            : Math.Max(0, read.Payload.Length - existing.Value.Length));
    }

    private long GrowthOfJournal(in StoreCommand command)
    {
        int entries = command.Kind == CommandKind.Append ? 1 : command.Payload.Count((byte)'\n') + 1;
        long before;
        lock (_lock)
            before = _state.Journal.Bytes;
        long after = Math.Min(before + command.Payload.Length + ((long)entries * Journal.OverheadBytes), command.JournalMaxBytes);
        return Math.Max(0, after - before);
    }
}
