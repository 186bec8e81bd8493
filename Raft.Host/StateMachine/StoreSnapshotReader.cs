namespace Raft.Host.StateMachine;

/// <summary>A store's state from its snapshot. Layout: <see cref="StoreSnapshotFormat"/>.</summary>
/// <remarks>All bytes have been compared with their hash before, so a fault here is a fault of the program that wrote them,
/// or of this one. It is found all the same: by structure first, then by the state hash, which is added up anew.</remarks>
internal sealed class StoreSnapshotReader
{
    private const int BufferBytes = 128 << 10;

    private readonly ContentTypes _contentTypes = new();
    private readonly List<KeyValue> _items = [];
    private long _appliedIndex;
    private UInt128 _stateHash;
    private Journal _journal = new();
    private IdempotencyTable _idempotency = new();
    private byte _section;

    private StoreSnapshotReader()
    {
    }

    /// <exception cref="InvalidDataException">The content is no snapshot of a store, or not whole.</exception>
    public static async Task<StoreState> ReadAsync(Stream content, CancellationToken cancellation)
    {
        var sections = new SectionReader(new ReadAheadStream(content, BufferBytes), cancellation);
        var reader = new StoreSnapshotReader();
        await sections.ReadNameAsync(StoreSnapshotFormat.Name, "a store");
        StoreState? state = null;
        while (state is null)
        {
            (byte kind, ReadOnlyMemory<byte> payload) = await sections.ReadAsync();
            state = reader.Read(kind, payload);
            if (kind == StoreSnapshotFormat.JournalEntries)
                sections.KeepBuffer();      // entries are slices of it; they go in the order in which they came
        }

        await sections.EndAsync();
        return state;
    }

    /// <summary>Reads a section; gives the state when it was the last one.</summary>
    private StoreState? Read(byte kind, ReadOnlyMemory<byte> payload)
    {
        bool isInOrder = kind == StoreSnapshotFormat.Head ? _section == 0 : _section != 0 && kind >= _section && kind <= StoreSnapshotFormat.End;
        if (!isInOrder)
            throw new InvalidDataException($"The snapshot has a section {kind} after a section {_section}.");

        _section = kind;
        var reader = new ItemReader(payload.Span);
        switch (kind)
        {
            case StoreSnapshotFormat.Head:
                ReadHead(ref reader);
                break;
            case StoreSnapshotFormat.JournalEntries:
                while (!reader.IsAtEnd)
                    ReadEntry(ref reader, payload);
                break;
            case StoreSnapshotFormat.Outcomes:
                while (!reader.IsAtEnd)
                    ReadOutcome(ref reader);
                break;
            case StoreSnapshotFormat.Keys:
                while (!reader.IsAtEnd)
                    ReadItem(ref reader);
                break;
            default:
                return ReadEnd(ref reader);
        }

        return reader.IsAtEnd ? null : throw new InvalidDataException($"Section {kind} of the snapshot is too long.");
    }

    private void ReadHead(ref ItemReader reader)
    {
        _appliedIndex = reader.Int64();
        _stateHash = reader.UInt128();
        long journalFirst = reader.Int64();
        if (_appliedIndex < 0 || journalFirst < 1)
            throw new InvalidDataException($"The snapshot claims index {_appliedIndex} and a journal from {journalFirst} on.");
        _journal = new Journal(journalFirst);
        _idempotency = new IdempotencyTable(forgottenThroughMs: reader.Int64());
    }

    private void ReadEntry(ref ItemReader reader, ReadOnlyMemory<byte> payload)
    {
        long term = reader.Int64();
        long timeMs = reader.Int64();
        string? contentType = _contentTypes.Of(reader.Sized8());
        int length = reader.Sized32().Length;
        _journal.Append(new JournalEntry(term, timeMs, contentType, payload.Slice(reader.At - length, length)));
    }

    private void ReadOutcome(ref ItemReader reader)
    {
        long timeMs = reader.Int64();
        byte[] sha256 = reader.Take(StoreCommands.Sha256Bytes).ToArray();
        StoreResult outcome = StoreResult.Decode(reader.Take(StoreResult.EncodedBytes));
        byte[] scope = reader.Sized16().ToArray();
        if (!StoreCommands.IsScope(scope))
            throw new InvalidDataException("The snapshot holds an outcome without a key.");
        if (_idempotency.Find(scope) is not null)
            throw new InvalidDataException("The snapshot holds two outcomes of one key.");

        // In the order in which they were settled, and of whatever time: releases before this one wrote stamps that fall.
        _idempotency.Add(new SettledKey(scope, sha256, outcome, timeMs));
    }

    private void ReadItem(ref ItemReader reader)
    {
        long revision = reader.Int64();
        string? contentType = _contentTypes.Of(reader.Sized8());
        byte[] key = reader.Sized16().ToArray();
        byte[] value = reader.Sized32().ToArray();
        if (revision < 1 || revision > _appliedIndex || key.Length is 0 or > StoreCommands.KeyBytesMax)
            throw new InvalidDataException($"The snapshot of index {_appliedIndex} holds a key of {key.Length} bytes with revision {revision}.");
        _items.Add(new KeyValue(key, value, contentType, revision) { Hash = StateHash.OfKeyValue(key, value, contentType, revision) });
    }

    private StoreState ReadEnd(ref ItemReader reader)
    {
        (long entries, long outcomes, long keys) = (reader.Int64(), reader.Int64(), reader.Int64());
        (long, long, long) found = (_journal.LastIndex - _journal.FirstIndex + 1, _idempotency.Count, _items.Count);
        if (!reader.IsAtEnd || found != (entries, outcomes, keys))
            throw new InvalidDataException($"The snapshot claims {(entries, outcomes, keys)} entries, outcomes and keys and holds {found}.");

        var state = new StoreState { Journal = _journal, Idempotency = _idempotency, Map = new KeyValueMap(_items), AppliedIndex = _appliedIndex };
        return state.Hash == _stateHash ? state
            : throw new InvalidDataException($"The snapshot's state hash is {_stateHash:x32}, that of its content {state.Hash:x32}.");
    }
}
