using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Bench.Micro;

/// <summary>One durable commit of a group, from the call to the completion, with deletions and checkpoints running behind it.
/// The physical limit beside it is a raw pwrite and fdatasync of a preallocated file.</summary>
[MemoryDiagnoser]
public class StorageBench
{
    private readonly byte[] _payload = new byte[256];
    private string _directory = "";
    private NodeStore? _store;
    private IRaftStorage? _group;
    private long _last;

    /// <summary>Entries of 256 bytes in one commit.</summary>
    [Params(1, 16, 64, 256)]
    public int Entries { get; set; }

    [GlobalSetup]
    public void Open()
    {
        _directory = Directory.CreateTempSubdirectory("raft-bench-").FullName;
        _store = NodeStore.Open(new NodeStoreSettings(Path.Combine(_directory, "data"), new NodeId("n1")), NullLoggerFactory.Instance);
        _group = _store.Group(new GroupId("default"));
        _last = 0;
    }

    [GlobalCleanup]
    public async Task CloseAsync()
    {
        await _store!.DisposeAsync();       // Open comes first
        Directory.Delete(_directory, recursive: true);
    }

    [Benchmark]
    public Task CommitAsync()
    {
        var entries = new Entry[Entries];
        for (int i = 0; i < entries.Length; i++)
            entries[i] = new Entry(new LogIndex(++_last), new Term(1), EntryKind.Command, _last, _payload);
        return _group!.PersistAsync(new PersistRequest(null, null, entries));
    }
}
