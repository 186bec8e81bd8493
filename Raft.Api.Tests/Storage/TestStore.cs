using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Api.Tests.Storage;

/// <summary>Short words for tests of the store.</summary>
internal static class TestStore
{
    public static readonly GroupId Default = new("default");

    /// <summary>As in production, but small, so that little work goes through every path; failures do not end the process.</summary>
    public static readonly StorageSettings Small = new()
    {
        SegmentBytes = 64 << 10,
        RecordBytes = 16 << 10,
        CopyBytes = 8 << 10,
        CopyDelayMs = 5,
        TransactionBytes = 16 << 10,
        DatabaseLogBytes = 256 << 10,
        IdleCheckpointMs = 50,
        ChunkBytes = 4 << 10,
        ReadTurnBytes = 8 << 10,
        OnFailure = _ => { },
    };

    public static NodeStore Open(string directory, StorageSettings? settings = null, string node = "n1") =>
        NodeStore.Open(new NodeStoreSettings(directory, new NodeId(node)), NullLoggerFactory.Instance, settings ?? Small);

    public static Entry Command(long index, long term, string text) =>
        new(new LogIndex(index), new Term(term), EntryKind.Command, 1000 + index, Encoding.UTF8.GetBytes(text));

    public static Entry[] Commands(long from, long to, long term, int bytes = 10) =>
        [.. Enumerable.Range(0, (int)(to - from + 1)).Select(n => Command(from + n, term, $"{term}:{from + n}".PadRight(bytes, '.')))];

    public static PersistRequest Append(params Entry[] entries) => new(null, null, entries);

    public static TermAndVote Vote(long term, string? node = null) =>
        new(new Term(term), node is null ? null : new ServerId(new NodeId(node), new StorageId(7)));

    public static PersistRequest InForce(SnapshotDescriptor snapshot, long deleteThrough, long? truncateFrom = null) =>
        new(null, truncateFrom is { } from ? new LogIndex(from) : null, []) { Snapshot = snapshot, DeleteThrough = new LogIndex(deleteThrough) };

    /// <summary>Writes a snapshot with this content; in force it is not.</summary>
    public static async Task<SnapshotDescriptor> WriteSnapshotAsync(this IRaftStorage storage, long index, long term, byte[] content)
    {
        SnapshotFile file = await storage.WriteSnapshotAsync(new Picture(content), CancellationToken.None);
        return new SnapshotDescriptor(file.SnapshotId, new LogIndex(index), new Term(term), Configuration.Empty, new LogIndex(1), file.SizeBytes, file.Hash);
    }

    public static async Task<byte[]> ReadSnapshotAsync(this IRaftStorage storage, SnapshotDescriptor snapshot)
    {
        await using ISnapshotReader reader = await storage.OpenSnapshotAsync(snapshot, CancellationToken.None);
        byte[] content = new byte[reader.SizeBytes];
        int done = 0;
        while (done < content.Length)
            done += await reader.ReadAsync(done, content.AsMemory(done, Math.Min(content.Length - done, 100_000)), CancellationToken.None);
        return content;
    }

    private sealed class Picture(byte[] content) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation) => await target.WriteAsync(content, cancellation);

        public void Dispose()
        {
        }
    }

    public static async Task<List<Entry>> ReadAllAsync(this IRaftStorage storage, long from, long to, int maxBytes = 1 << 20)
    {
        var all = new List<Entry>();
        while (from + all.Count <= to)
        {
            IReadOnlyList<Entry> some = await storage.ReadEntriesAsync(new LogIndex(from + all.Count), new LogIndex(to), maxBytes, CancellationToken.None);
            if (some.Count == 0)
                break;
            all.AddRange(some);
        }

        return all;
    }

    public static void AssertSame(IEnumerable<Entry> expected, IEnumerable<Entry> actual) =>
        Assert.Equal(expected.Select(Text), actual.Select(Text));

    private static string Text(Entry entry) =>
        $"{entry.Index} {entry.Term} {entry.Kind} {entry.TimeMs} {Convert.ToHexString(entry.Payload.Span)}";
}

/// <summary>A directory of its own, gone afterwards.</summary>
public sealed class TempDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("raft-storage-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, "data", name);

    public string Data => System.IO.Path.Combine(Path, "data");

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
