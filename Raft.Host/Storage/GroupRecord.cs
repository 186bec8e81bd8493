using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>The state document of one group: everything but the entries. The database thread's own.</summary>
internal sealed class GroupRecord
{
    private const byte FormatVersion = 1;

    public TermAndVote TermAndVote { get; set; }
    public SnapshotDescriptor? Descriptor { get; set; }

    /// <summary>The log begins after it.</summary>
    public LogIndex DeletedThrough { get; set; }

    public LogIndex Last { get; set; }

    /// <summary>Ascending; of the whole stored log.</summary>
    public List<TermRun> TermRuns { get; } = [];

    /// <summary>The index of each configuration entry, ascending.</summary>
    public List<LogIndex> ConfigurationMarks { get; } = [];

    public void TruncateFrom(LogIndex from)
    {
        if (from > Last)
            return;
        Last = LogIndex.Max(from.Previous, DeletedThrough);
        while (TermRuns.Count > 0 && TermRuns[^1].FirstIndex >= from)
            TermRuns.RemoveAt(TermRuns.Count - 1);
        while (ConfigurationMarks.Count > 0 && ConfigurationMarks[^1] >= from)
            ConfigurationMarks.RemoveAt(ConfigurationMarks.Count - 1);
    }

    public void Append(Entry entry)
    {
        Last = entry.Index;
        if (TermRuns.Count == 0 || TermRuns[^1].Term != entry.Term)
            TermRuns.Add(new TermRun(entry.Index, entry.Term));
        if (entry.Kind == EntryKind.Configuration)
            ConfigurationMarks.Add(entry.Index);
    }

    public void DeleteThrough(LogIndex mark)
    {
        if (mark <= DeletedThrough)
            return;
        DeletedThrough = mark;
        Last = LogIndex.Max(Last, mark);
        while (TermRuns.Count > 1 && TermRuns[1].FirstIndex <= mark.Next)
            TermRuns.RemoveAt(0);
        if (Last == mark)
            TermRuns.Clear();
        else if (TermRuns[0].FirstIndex <= mark)
            TermRuns[0] = TermRuns[0] with { FirstIndex = mark.Next };
        ConfigurationMarks.RemoveAll(index => index <= mark);
    }

    public byte[] Encode()
    {
        byte[] descriptor = Descriptor is null ? [] : Encode(Descriptor);
        byte[] bytes = new byte[1 + StorageWriter.TermAndVoteBytes(TermAndVote) + 16 + 4 + 16 * TermRuns.Count + 4 + 8 * ConfigurationMarks.Count + 4 + descriptor.Length];
        var writer = new StorageWriter(bytes);
        writer.Byte(FormatVersion);
        writer.TermAndVote(TermAndVote);
        writer.Int64(DeletedThrough.Value);
        writer.Int64(Last.Value);
        writer.Int32(TermRuns.Count);
        foreach (TermRun run in TermRuns)
        {
            writer.Int64(run.FirstIndex.Value);
            writer.Int64(run.Term.Value);
        }

        writer.Int32(ConfigurationMarks.Count);
        foreach (LogIndex mark in ConfigurationMarks)
            writer.Int64(mark.Value);
        writer.Int32(descriptor.Length);
        writer.Bytes(descriptor);
        return bytes;
    }

    /// <exception cref="InvalidDataException">No state that this release knows.</exception>
    public static GroupRecord Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new StorageReader(bytes);
        byte version = reader.Byte();
        if (version != FormatVersion)
            throw new InvalidDataException($"A group's state has format {version}; this release knows {FormatVersion}.");

        var record = new GroupRecord { TermAndVote = reader.TermAndVote(), DeletedThrough = new LogIndex(reader.Int64()), Last = new LogIndex(reader.Int64()) };
        for (int count = reader.Count(16); count > 0; count--)
            record.TermRuns.Add(new TermRun(new LogIndex(reader.Int64()), new Term(reader.Int64())));
        for (int count = reader.Count(8); count > 0; count--)
            record.ConfigurationMarks.Add(new LogIndex(reader.Int64()));
        int descriptorBytes = reader.Int32();
        if (descriptorBytes > 0)
            record.Descriptor = DecodeDescriptor(reader.Bytes(descriptorBytes));
        return record;
    }

    public static byte[] Encode(SnapshotDescriptor descriptor)
    {
        byte[] configuration = descriptor.Configuration.Encode();
        byte[] bytes = new byte[StorageWriter.NameBytes(descriptor.SnapshotId) + 8 + 8 + 8 + 4 + configuration.Length + 8 + 16 + 8];
        var writer = new StorageWriter(bytes);
        writer.Name(descriptor.SnapshotId);
        writer.Int64(descriptor.Index.Value);
        writer.Int64(descriptor.Term.Value);
        writer.Int64(descriptor.ConfigurationIndex.Value);
        writer.Int32(configuration.Length);
        writer.Bytes(configuration);
        writer.Int64(descriptor.SizeBytes);
        writer.UInt128(descriptor.Hash);
        writer.Int64(descriptor.TimeMs);
        return bytes;
    }

    public static SnapshotDescriptor DecodeDescriptor(ReadOnlyMemory<byte> bytes)
    {
        var reader = new StorageReader(bytes);
        string id = reader.Name();
        var index = new LogIndex(reader.Int64());
        var term = new Term(reader.Int64());
        var configurationIndex = new LogIndex(reader.Int64());
        Configuration configuration = Configuration.Decode(reader.Bytes(reader.Int32()).Span);
        return new SnapshotDescriptor(id, index, term, configuration, configurationIndex, reader.Int64(), reader.UInt128()) { TimeMs = reader.Int64() };
    }
}
