using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using LiteDB;
using LiteDB.Engine;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// What LiteDB holds: <c>chunks</c> (_id = group and first index, big endian; hash, entries), <c>groups</c> (_id = group;
/// hash, <see cref="GroupRecord"/>) and <c>node</c> (position, start count, cluster uid). Few collections, because each new
/// one rewrites the header page. Only the database thread touches this.
/// </summary>
internal sealed class ChunkStore : IDisposable
{
    private const int HashBytes = 8;
    private const string NodeDocument = "node";
    private static readonly List<object> s_kept = [];

    private readonly LiteDatabase _database;
    private readonly ILiteCollection<BsonDocument> _chunks;
    private readonly ILiteCollection<BsonDocument> _groups;
    private readonly ILiteCollection<BsonDocument> _node;
    private readonly DatabaseLogStream _log;
    private readonly CheckpointStream _data;
    private readonly string _path;
    private readonly ulong _salt;
    private readonly StorageSettings _settings;
    private readonly Dictionary<string, StoredGroup> _stored = new(StringComparer.Ordinal);
    private readonly HashSet<StoredGroup> _changed = [];
    private readonly HashSet<StoredGroup> _withDeletions = [];      // chunks at or below their marks
    private long _restageBytesLeft;

    /// <summary>One group as the database holds it, with what the transaction under way will add.</summary>
    private sealed class StoredGroup(string name)
    {
        public string Name { get; } = name;
        public byte[] NameBytes { get; } = Encoding.UTF8.GetBytes(name);
        public GroupRecord Record { get; set; } = new();

        /// <summary>First index of each chunk, ascending, and its bytes.</summary>
        public List<(LogIndex First, int Bytes)> Chunks { get; } = [];

        /// <summary>Entries on their way into new chunks.</summary>
        public List<Entry> Staged { get; } = [];

        /// <summary>First index of each chunk that was taken back and is still stored under it.</summary>
        public HashSet<LogIndex> TakenBack { get; } = [];

        public int ChunkOf(LogIndex index)
        {
            int low = 0, high = Chunks.Count - 1;
            while (low <= high)
            {
                int middle = (low + high) / 2;
                if (Chunks[middle].First <= index)
                    low = middle + 1;
                else
                    high = middle - 1;
            }

            return high;
        }
    }

    /// <summary>Opens LiteDB on the stream, with an empty log.</summary>
    public ChunkStore(CheckpointStream data, string path, ulong salt, StorageSettings settings)
    {
        _data = data;
        _path = path;
        _salt = salt;
        _settings = settings;
        _log = new DatabaseLogStream(settings.DatabaseLogBytes + settings.TransactionBytes);
        lock (s_kept)
            s_kept.Add(_log);

        var engine = new LiteEngine(new EngineSettings { DataStream = data, LogStream = _log, Collation = Collation.Binary });
        _database = new LiteDatabase(engine, disposeOnClose: true);

        // A LiteDB dropped with an open transaction throws in its finalizer and ends the process; after an exception it
        // stays referenced for ever. Dispose lets go of it.
        lock (s_kept)
            s_kept.Add(_database);
        if (_database.CheckpointSize != 0)
            _database.CheckpointSize = 0;
        _chunks = _database.GetCollection("chunks", BsonAutoId.ObjectId);
        _groups = _database.GetCollection("groups", BsonAutoId.ObjectId);
        _node = _database.GetCollection("node", BsonAutoId.ObjectId);
    }

    /// <summary>Step 2 of opening.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">The position is not the one of the last checkpoint.</exception>
    public void Read()
    {
        ReadNode();
        if (_data.WalPosition >= 0 && _data.WalPosition != Position)
            throw Damage.In(_path, 0, $"it holds the log up to sequence {Position}, and its last checkpoint was one of sequence {_data.WalPosition}");
        ReadGroups();
        ReadChunkKeys();
    }

    /// <summary>All WAL records up to here are in the database, though perhaps not checkpointed.</summary>
    public long Position { get; private set; }

    public long StartCount { get; private set; }

    public ClusterUid? ClusterUid { get; private set; }

    /// <summary>LiteDB's log in memory; a checkpoint empties it.</summary>
    public long LogBytes => _log.Length;

    /// <summary>Chunks wait for their deletion.</summary>
    public bool HasDeletions => _withDeletions.Count > 0;

    public IEnumerable<string> GroupNames => _stored.Keys;

    public GroupRecord? RecordOf(string group) => _stored.GetValueOrDefault(group)?.Record;

    /// <summary>One transaction of deletions when some are due, and one with everything in these records.</summary>
    public void Apply(IReadOnlyList<WalRecordContent> records)
    {
        long bytes = 0;
        foreach (WalRecordContent record in records)
            bytes += record.Bytes;
        DeleteMarked(2 * bytes);

        // Many small writes must not end in many small chunks; neither must many groups, each with a little to write, write
        // their last chunks again and again: for all together there is a bound.
        _restageBytesLeft = Math.Max(4 * _settings.ChunkBytes, 2 * bytes);
        _database.BeginTrans();
        foreach (WalRecordContent record in records)
        {
            foreach (WalPart part in record.Parts)
                Apply(part);
        }

        foreach (StoredGroup group in _changed)
        {
            WriteStaged(group);
            _groups.Upsert(Document(group.Name, Seed(group.NameBytes), group.Record.Encode()));
        }

        _changed.Clear();
        Position = records[^1].Sequence;
        WriteNode();
        Commit();
    }

    /// <summary>Writes all into the data file: whole, or not at all.</summary>
    /// <exception cref="StorageFailedException">When <see cref="CheckpointStream.Failure"/> is null, there was only no room, and
    /// it may be called again: see <see cref="CheckpointStream.WriteCollected"/>.</exception>
    public void Checkpoint()
    {
        if (_log.Length > 0)
        {
            int flushes = _data.Flushes;
            _data.WalPosition = Position;
            _database.Checkpoint();
            Verify(_data.Failure is null, "a checkpoint failed", _data.Failure);
            Verify(_log.Length == 0, "LiteDB's log is not empty after a checkpoint");
            Verify(_data.Flushes == flushes + 1, "a checkpoint did not flush exactly once");
        }

        _data.WriteCollected();
    }

    /// <summary>What is in the chunks that are not on their way out; after <see cref="Verify()"/>.</summary>
    public long LiveBytes
    {
        get
        {
            long bytes = 0;
            foreach (StoredGroup group in _stored.Values)
            {
                for (int i = group.Chunks.Count - 1; i >= 0 && !IsDeletable(group, i); i--)
                    bytes += group.Chunks[i].Bytes;
            }

            return bytes;
        }
    }

    /// <summary>All that lives goes into an empty store, document by document, and is checkpointed there.</summary>
    public void CopyTo(ChunkStore target)
    {
        long bytes = 0;
        foreach (StoredGroup group in _stored.Values)
        {
            for (int i = 0; i < group.Chunks.Count; i++)
            {
                if (IsDeletable(group, i))
                    continue;
                byte[] key = ChunkKey(group, group.Chunks[i].First);
                BsonDocument chunk = _chunks.FindById(key) ?? throw DamagedGroup(group, $"its chunk at entry {group.Chunks[i].First} is missing");
                if (bytes == 0)
                    target._database.BeginTrans();
                target._chunks.Insert(chunk);
                bytes += chunk["b"].AsBinary.Length;
                if (bytes < _settings.TransactionBytes)
                    continue;
                target.Commit();
                bytes = 0;
                if (target.LogBytes >= _settings.DatabaseLogBytes)
                    target.Checkpoint();
            }
        }

        if (bytes == 0)
            target._database.BeginTrans();
        target._groups.Insert([.. _groups.FindAll()]);
        target._node.Insert([.. _node.FindAll()]);
        target.Commit();
        target.Checkpoint();
    }

    /// <summary>Entries [from, to], until so many bytes; within one chunk, or a few.</summary>
    public void Read(string groupName, LogIndex from, LogIndex to, int maxBytes, List<Entry> entries, ref long bytes)
    {
        if (!_stored.TryGetValue(groupName, out StoredGroup? group))
            return;
        long turn = 0;
        to = LogIndex.Min(to, group.Record.Last);
        for (LogIndex next = from; next <= to;)
        {
            int chunk = group.ChunkOf(next);
            if (chunk < 0 || next <= group.Record.DeletedThrough)
                return;
            List<Entry> held = ReadChunk(group, group.Chunks[chunk].First);
            for (int i = (int)(next - held[0].Index); i < held.Count; i++, next = next.Next)
            {
                if (held[i].Index > to || (entries.Count > 0 && (bytes >= maxBytes || turn >= _settings.ReadTurnBytes)))
                    return;
                entries.Add(held[i]);
                bytes += held[i].CostBytes;
                turn += held[i].CostBytes;
            }
        }
    }

    /// <summary>What a server finds at its start.</summary>
    public PersistedState Load(string groupName, long cacheBytes)
    {
        if (!_stored.TryGetValue(groupName, out StoredGroup? group))
            return PersistedState.Empty;

        GroupRecord record = group.Record;
        LogIndex first = record.DeletedThrough.Next;
        var recent = new List<List<Entry>>();
        long bytes = 0;
        LogIndex recentFirst = record.Last.Next;
        for (int i = group.Chunks.Count - 1; i >= 0 && (bytes == 0 || bytes < cacheBytes) && recentFirst > first; i--)
        {
            List<Entry> entries = ReadChunk(group, group.Chunks[i].First);
            int keepFrom = entries.Count;
            while (keepFrom > 0 && entries[keepFrom - 1].Index >= first
                && (bytes == 0 || bytes + entries[keepFrom - 1].CostBytes <= cacheBytes))      // the last one however large it is
            {
                bytes += entries[--keepFrom].CostBytes;
            }

            bool isCut = keepFrom > 0;
            entries.RemoveRange(0, keepFrom);
            if (entries.Count > 0)
            {
                recent.Add(entries);
                recentFirst = entries[0].Index;
            }

            if (isCut)
                break;
        }

        var configurations = new List<Entry>();
        foreach (LogIndex mark in record.ConfigurationMarks)
        {
            long ignored = 0;
            Read(groupName, mark, mark, int.MaxValue, configurations, ref ignored);
        }

        recent.Reverse();
        return new PersistedState(
            record.TermAndVote, record.Descriptor, first, record.Last, [.. record.TermRuns], [.. recent.SelectMany(entries => entries)], configurations);
    }

    /// <summary>Step 5 of opening: chunks against marks, contiguous and with terms that never fall; each is read.</summary>
    public void Verify()
    {
        foreach (StoredGroup group in _stored.Values)
        {
            if (IsDeletable(group, 0))
                _withDeletions.Add(group);
            GroupRecord record = group.Record;
            LogIndex next = LogIndex.Zero;
            var computed = new GroupRecord();
            for (int i = 0; i < group.Chunks.Count; i++)
            {
                LogIndex first = group.Chunks[i].First;
                bool isDeleted = i + 1 < group.Chunks.Count && group.Chunks[i + 1].First <= record.DeletedThrough.Next;
                if (isDeleted)
                    continue;                       // on its way out: nobody reads it again
                if (next == LogIndex.Zero && first > record.DeletedThrough.Next)
                    throw DamagedGroup(group, $"entries {record.DeletedThrough.Next} to {first.Previous} are missing");
                if (next != LogIndex.Zero && first != next)
                    throw DamagedGroup(group, $"a chunk begins at {first}, and not at {next}");

                List<Entry> entries = ReadChunk(group, first);
                group.Chunks[i] = (first, BytesOf(entries));
                foreach (Entry entry in entries)
                {
                    if (entry.Index <= record.DeletedThrough)
                        continue;
                    if (computed.TermRuns.Count > 0 && entry.Term < computed.TermRuns[^1].Term)
                        throw DamagedGroup(group, $"the term falls at entry {entry.Index}");
                    computed.Append(entry);
                }

                next = entries[^1].Index.Next;
            }

            LogIndex last = next == LogIndex.Zero ? record.DeletedThrough : LogIndex.Max(next.Previous, record.DeletedThrough);
            if (last != record.Last)
                throw DamagedGroup(group, $"its log ends at {last}, and not at {record.Last}");
            if (!computed.TermRuns.SequenceEqual(record.TermRuns) || !computed.ConfigurationMarks.SequenceEqual(record.ConfigurationMarks))
                throw DamagedGroup(group, "its entries do not fit its state");
        }
    }

    /// <summary>After everything was checkpointed; never after a failure.</summary>
    public void Dispose()
    {
        _database.Dispose();
        LetGo();
    }

    /// <summary>After a failure, where the process goes on.</summary>
    public void Forget()
    {
        LetGo();
        try
        {
            _database.Dispose();
        }
        catch (Exception)
        {
            // LiteDB stumbles over what failed before; nothing of it counts any more.
        }
    }

    private void LetGo()
    {
        lock (s_kept)
        {
            s_kept.Remove(_database);
            s_kept.Remove(_log);
        }
    }

    private void Apply(in WalPart part)
    {
        WalBatch batch = part.Batch;
        if (part.IsFirst && batch.StartCount > 0)
            StartCount = batch.StartCount;
        if (part.IsFirst && batch.ClusterUid is { } uid)
            ClusterUid = uid;
        if (batch.Group is not { } target)
            return;

        StoredGroup group = GroupOf(target.Id.Value);
        GroupRecord record = group.Record;
        _changed.Add(group);
        if (part.IsFirst)
        {
            if (batch.TermAndVote is { } termAndVote)
                record.TermAndVote = termAndVote;
            if (batch.TruncateFrom is { } from)
                Truncate(group, from, batch.Entries.Count == 0 ? batch.DeletedThrough : null);
        }

        for (int i = part.From; i < part.From + part.Count; i++)
        {
            Entry entry = batch.Entries[i];
            Verify(entry.Index == record.Last.Next, "entries were stored that do not follow the log");
            record.Append(entry);
            group.Staged.Add(entry);
        }

        if (!part.IsLast)
            return;
        if (batch.Descriptor is { } descriptor)
            record.Descriptor = descriptor;
        if (batch.DeletedThrough is { } mark)
        {
            if (mark >= record.Last)
                group.Staged.Clear();
            record.DeleteThrough(mark);
            _withDeletions.Add(group);
        }
    }

    private StoredGroup GroupOf(string name)
    {
        if (!_stored.TryGetValue(name, out StoredGroup? group))
            _stored.Add(name, group = new StoredGroup(name));
        return group;
    }

    /// <param name="group">Whose log.</param>
    /// <param name="from">All from here on goes.</param>
    /// <param name="mark">Set when the log goes on behind it, and nothing at or below it comes again.</param>
    private void Truncate(StoredGroup group, LogIndex from, LogIndex? mark)
    {
        GroupRecord record = group.Record;
        from = LogIndex.Max(from, record.DeletedThrough.Next);
        LogIndex last = record.Last;
        if (from > last)
            return;

        record.TruncateFrom(from);
        if (from == record.DeletedThrough.Next)
        {
            // Nothing is left. What stands below the mark goes with the deletions: a whole log in one transaction is too much.
            group.Staged.Clear();
            LogIndex below = LogIndex.Max(record.DeletedThrough, mark ?? LogIndex.Zero);
            while (group.Chunks.Count > 0 && last > below)
            {
                last = group.Chunks[^1].First.Previous;
                DeleteChunk(group, group.Chunks.Count - 1);
            }

            return;
        }

        while (group.Staged.Count > 0 && group.Staged[^1].Index >= from)
            group.Staged.RemoveAt(group.Staged.Count - 1);
        while (group.Chunks.Count > 0 && group.Chunks[^1].First >= from)
            DeleteChunk(group, group.Chunks.Count - 1);
        if (group.Staged.Count == 0 && group.Chunks.Count > 0)
            Restage(group, upTo: from.Previous);
    }

    /// <summary>Takes the last chunk back, to write it again with less or more.</summary>
    private void Restage(StoredGroup group, LogIndex upTo)
    {
        List<Entry> entries = ReadChunk(group, group.Chunks[^1].First);
        while (entries[^1].Index > upTo)
            entries.RemoveAt(entries.Count - 1);
        group.TakenBack.Add(group.Chunks[^1].First);
        group.Chunks.RemoveAt(group.Chunks.Count - 1);
        group.Staged.InsertRange(0, entries);
    }

    private void WriteStaged(StoredGroup group)
    {
        List<Entry> staged = group.Staged;

        if (staged.Count > 0 && group.Chunks.Count > 0 && group.Chunks[^1] is var (lastFirst, lastBytes)
            && lastBytes < _settings.ChunkBytes / 2 && lastBytes <= _restageBytesLeft && lastFirst > group.Record.DeletedThrough)
        {
            _restageBytesLeft -= lastBytes;
            Restage(group, upTo: staged[0].Index.Previous);
        }

        for (int start = 0; start < staged.Count;)
        {
            int count = 0, bytes = 0;
            do
                bytes += StorageWriter.EntryHeaderBytes + staged[start + count++].Payload.Length;
            while (start + count < staged.Count && bytes + staged[start + count].Payload.Length <= _settings.ChunkBytes);

            WriteChunk(group, staged, start, count, bytes);
            start += count;
        }

        // Mostly they have been written again under the same key; a later truncation may have taken all of one.
        foreach (LogIndex first in group.TakenBack)
            _chunks.Delete(ChunkKey(group, first));
        group.TakenBack.Clear();

        staged.Clear();
        if (staged.Capacity > 65_536)
            staged.Capacity = 0;
    }

    private void WriteChunk(StoredGroup group, List<Entry> entries, int start, int count, int bytes)
    {
        byte[] payload = new byte[4 + bytes];
        var writer = new StorageWriter(payload);
        writer.Int32(count);
        for (int i = start; i < start + count; i++)
            writer.Entry(entries[i]);

        LogIndex first = entries[start].Index;
        byte[] key = ChunkKey(group, first);
        group.TakenBack.Remove(first);
        _chunks.Upsert(Document(key, Seed(key), payload));
        group.Chunks.Add((first, bytes));
    }

    private void DeleteChunk(StoredGroup group, int chunk)
    {
        _chunks.Delete(ChunkKey(group, group.Chunks[chunk].First));
        group.Chunks.RemoveAt(chunk);
    }

    /// <summary>Deletes chunks below the marks, so many bytes. A transaction of its own before the inserts, so that the freed
    /// pages are used at once.</summary>
    public void DeleteMarked(long bytesMax)
    {
        bool isOpen = false;
        foreach (StoredGroup group in _withDeletions)
        {
            int count = 0;
            while (bytesMax > 0 && IsDeletable(group, count))
            {
                isOpen = isOpen || _database.BeginTrans();
                _chunks.Delete(ChunkKey(group, group.Chunks[count].First));
                bytesMax -= group.Chunks[count].Bytes;
                count++;
            }

            group.Chunks.RemoveRange(0, count);
        }

        _withDeletions.RemoveWhere(group => !IsDeletable(group, 0));
        if (isOpen)
            Commit();
    }

    private static bool IsDeletable(StoredGroup group, int chunk) =>
        chunk < group.Chunks.Count
        && (chunk + 1 < group.Chunks.Count ? group.Chunks[chunk + 1].First.Previous : group.Record.Last) <= group.Record.DeletedThrough;

    private List<Entry> ReadChunk(StoredGroup group, LogIndex first)
    {
        byte[] key = ChunkKey(group, first);
        BsonDocument document = _chunks.FindById(key) ?? throw DamagedGroup(group, $"its chunk at entry {first} is missing");
        var reader = new StorageReader(Content(document, Seed(key), () => DamagedGroup(group, $"its chunk at entry {first} does not fit its hash")));
        int count = reader.Count(StorageWriter.EntryHeaderBytes);
        var entries = new List<Entry>(count);
        for (int i = 0; i < count; i++)
            entries.Add(reader.Entry(first + i));
        return entries.Count > 0 ? entries : throw new InvalidDataException($"The chunk at entry {first} of group {group.Name} is empty.");
    }

    private static int BytesOf(List<Entry> entries)
    {
        int bytes = 0;
        foreach (Entry entry in entries)
            bytes += StorageWriter.EntryHeaderBytes + entry.Payload.Length;
        return bytes;
    }

    private void ReadNode()
    {
        if (_node.FindById(NodeDocument) is not { } document)
            return;                                 // new: position 0
        var reader = new StorageReader(Content(document, Seed([]), () => Damage.In(_path, 0, "the node's own document does not fit its hash")));
        Position = reader.Int64();
        StartCount = reader.Int64();
        ClusterUid = reader.Byte() == 0 ? null : new ClusterUid(reader.UInt128());
    }

    private void WriteNode()
    {
        byte[] bytes = new byte[8 + 8 + 1 + (ClusterUid is null ? 0 : 16)];
        var writer = new StorageWriter(bytes);
        writer.Int64(Position);
        writer.Int64(StartCount);
        writer.Byte(ClusterUid is null ? (byte)0 : (byte)1);
        if (ClusterUid is { } uid)
            writer.UInt128(uid.Value);
        _node.Upsert(Document(NodeDocument, Seed([]), bytes));
    }

    private void ReadGroups()
    {
        foreach (BsonDocument document in _groups.FindAll())
        {
            StoredGroup group = GroupOf(document["_id"].AsString);
            group.Record = GroupRecord.Decode(Content(document, Seed(group.NameBytes), () => DamagedGroup(group, "its state does not fit its hash")));
        }
    }

    private void ReadChunkKeys()
    {
        var keys = new List<byte[]>();
        foreach (BsonDocument document in _chunks.Query().Select("{_id}").ToEnumerable())
            keys.Add(document["_id"].AsBinary);
        keys.Sort((a, b) => a.AsSpan().SequenceCompareTo(b));

        foreach (byte[] key in keys)
        {
            int nameBytes = BinaryPrimitives.ReadUInt16BigEndian(key);
            string name = Encoding.UTF8.GetString(key, 2, nameBytes);
            if (!_stored.TryGetValue(name, out StoredGroup? group))
                throw Damage.In(_path, 0, $"there are entries of group {name}, but not its state");
            group.Chunks.Add((new LogIndex(BinaryPrimitives.ReadInt64BigEndian(key.AsSpan(2 + nameBytes))), _settings.ChunkBytes));
        }
    }

    private static byte[] ChunkKey(StoredGroup group, LogIndex first)
    {
        byte[] key = new byte[2 + group.NameBytes.Length + 8];
        BinaryPrimitives.WriteUInt16BigEndian(key, (ushort)group.NameBytes.Length);
        group.NameBytes.CopyTo(key, 2);
        BinaryPrimitives.WriteInt64BigEndian(key.AsSpan(2 + group.NameBytes.Length), first.Value);
        return key;
    }

    private long Seed(ReadOnlySpan<byte> key) => (long)XxHash3.HashToUInt64(key, (long)_salt);

    private static BsonDocument Document(BsonValue id, long seed, byte[] content)
    {
        byte[] bytes = new byte[HashBytes + content.Length];
        content.CopyTo(bytes, HashBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, XxHash3.HashToUInt64(content, seed));
        return new BsonDocument { ["_id"] = id, ["b"] = bytes };
    }

    /// <summary>What fits its hash and still cannot be understood is no damage: a newer release wrote it, or this one has a fault.</summary>
    private static ReadOnlyMemory<byte> Content(BsonDocument document, long seed, Func<Exception> damage)
    {
        byte[]? bytes = document["b"].AsBinary;
        if (bytes is null || bytes.Length < HashBytes || BinaryPrimitives.ReadUInt64LittleEndian(bytes) != XxHash3.HashToUInt64(bytes.AsSpan(HashBytes), seed))
            throw damage();
        return bytes.AsMemory(HashBytes);
    }

    private Engine.Errors.CorruptStorageException DamagedGroup(StoredGroup group, string detail) =>
        Damage.In(_path, 0, $"group {group.Name}: {detail}");

    private void Commit()
    {
        Verify(_database.Commit(), "LiteDB had no transaction to commit");
        Verify(_data.Failure is null, "a read failed", _data.Failure);

        // LiteDB queues the pages of a commit; here the queue must have run, inline and whole.
        Verify(_log.EndsConfirmed && !_log.WasWrittenElsewhere, "LiteDB did not write a commit at once");
    }

    private void Verify(bool isTrue, string claim, Exception? inner = null)
    {
        if (!isTrue)
            throw inner ?? new StorageFailedException("use", _path, 0, 0, new InvalidOperationException(claim));
    }
}
