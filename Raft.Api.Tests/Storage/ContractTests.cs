using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;

namespace Raft.Api.Tests.Storage;

/// <summary>The store on the file system.</summary>
public sealed class FileStorageContractTests : StorageContract
{
    protected override ValueTask<StorageDisk> CreateDiskAsync() => new(new FileDisk());

    private sealed class FileDisk : StorageDisk
    {
        private readonly TempDirectory _temp = new();
        private NodeStore? _store;

        public override ValueTask OpenAsync()
        {
            _store = TestStore.Open(_temp.Data, SimulatedDisk.Settings);
            return default;
        }

        public override IRaftStorage Group(GroupId group) => _store!.Group(group);      // the suite opens first

        public override async ValueTask CloseAsync()
        {
            if (_store is { } store)
                await store.DisposeAsync();
            _store = null;
        }

        public override async ValueTask DisposeAsync()
        {
            await CloseAsync();
            _temp.Dispose();
        }
    }
}

/// <summary>The store on a simulated disk: crashes are power cuts, and it can fail and stall.</summary>
public sealed class SimulatedStorageContractTests : StorageContract
{
    protected override ValueTask<StorageDisk> CreateDiskAsync() => new(new SimulatedDisk());
}

internal sealed class SimulatedDisk : StorageDisk
{
    private readonly SimulatedFiles _files = new();
    private readonly Random _random = new(11);
    private NodeStore? _store;

    /// <summary>Small, with room for the suite's entries of a mebibyte.</summary>
    public static StorageSettings Settings => TestStore.Small with { SegmentBytes = 4 << 20, RecordBytes = 1 << 20, DatabaseLogBytes = 2 << 20, CopyBytes = 64 << 10 };

    public override ValueTask OpenAsync()
    {
        _store = TestStore.Open("/data", Settings with { Files = _files });
        return default;
    }

    public override IRaftStorage Group(GroupId group) => _store!.Group(group);          // the suite opens first

    public override async ValueTask CloseAsync()
    {
        if (_store is { } store)
            await store.DisposeAsync();
        _store = null;
    }

    public override async ValueTask CrashAsync()
    {
        _files.CutAfter(1 + _random.Next(4));
        try
        {
            await CloseAsync();                     // whatever closing still wants to write meets the cut
        }
        finally
        {
            _files.CutAfter(0);
            _files.PowerOn(_random);
            _store = null;
        }
    }

    public override bool FailWrites()
    {
        _files.FailsWrite = _ => true;
        return true;
    }

    public override IDisposable? HoldWrites()
    {
        _files.HoldSyncs();
        return new Release(_files);
    }

    public override ValueTask DisposeAsync() => CloseAsync();

    private sealed class Release(SimulatedFiles files) : IDisposable
    {
        public void Dispose() => files.ReleaseSyncs();
    }
}
