using System.IO.Compression;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>What was written by another release, and what cannot be opened for another reason than damage.</summary>
public sealed class FormatTests
{
    private const string ManifestPath = "/data/current/manifest.json";
    private static readonly GroupId s_other = new("other");
    private SimulatedFiles _files = new();

    private StorageSettings Settings => Small with { Files = _files, CopyDelayMs = 1, IdleCheckpointMs = 3 };

    [Theory]
    [InlineData("checkpointed")]
    [InlineData("stopped")]
    [InlineData("killed")]
    public async Task A_directory_of_format_1_opens_and_is_upgraded(string which)
    {
        Unpack(which);
        await using (NodeStore store = Open("/data", Settings))
        {
            await CheckAsync(store, which);
            string manifest = Encoding.UTF8.GetString(_files.Content(ManifestPath));
            Assert.Contains("\"walFormat\": 2", manifest, StringComparison.Ordinal);
            Assert.Contains("\"databaseFormat\": 2", manifest, StringComparison.Ordinal);
            await store.Group(s_other).PersistAsync(Append(Commands(11, 300, 3, 400)));
        }

        await using (NodeStore store = Open("/data", Settings))
        {
            await CheckAsync(store, which);
            AssertSame(Commands(11, 300, 3, 400), await store.Group(s_other).ReadAllAsync(11, 300));
        }
    }

    [Theory]
    [InlineData("checkpointed")]
    [InlineData("killed")]
    public async Task An_upgrade_may_be_cut_off_anywhere(string which)
    {
        int cuts = 0;
        for (int calls = 1; ; calls++)
        {
            _files = new SimulatedFiles();
            Unpack(which);
            _files.CutAfter(calls);
            bool wasCut = false;
            try
            {
                await using NodeStore store = Open("/data", Settings);
                wasCut = _files.IsOff;
            }
            catch (DataDirectoryException)
            {
                wasCut = true;
            }

            _files.CutAfter(0);
            _files.PowerOn(new Random(calls));
            await using (NodeStore store = Open("/data", Settings))
                await CheckAsync(store, which);
            if (!wasCut)
                break;
            cuts++;
        }

        Assert.True(cuts > 30, $"Only {cuts} cuts.");
    }

    [Theory]
    [InlineData("\"walFormat\": 2", "\"walFormat\": 3")]
    [InlineData("\"databaseFormat\": 2", "\"databaseFormat\": 77")]
    [InlineData("\"manifestFormat\": 1", "\"manifestFormat\": 2, \"pages\": [1, 2]")]
    [InlineData("\"snapshotFormat\": 1", "\"snapshotFormat\": 2")]
    public async Task A_manifest_of_a_newer_release_is_refused_and_no_damage(string was, string becomes)
    {
        await Open("/data", Settings).DisposeAsync();
        string manifest = Encoding.UTF8.GetString(_files.Content(ManifestPath));
        Assert.Contains(was, manifest, StringComparison.Ordinal);
        Rewrite(ManifestPath, manifest.Replace(was, becomes, StringComparison.Ordinal).Replace("\"segmentBytes\": 65536", "\"segmentBytes\": \"64 KiB\"", StringComparison.Ordinal));

        // TryOpen would give damage back as an answer, for Rejoin: auto.
        var refused = Assert.Throws<DataDirectoryException>(() =>
            NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Settings, out _));

        Assert.Contains("newer release, format", refused.Message, StringComparison.Ordinal);
        Assert.Contains("this release reads up to", refused.Message, StringComparison.Ordinal);
        Assert.Null(refused.InnerException);
    }

    [Fact]
    public async Task A_former_of_a_newer_release_is_refused_and_no_damage()
    {
        await Open("/data", Settings).DisposeAsync();
        new Former(new ClusterUid(5), new NodeId("n1"), [new StorageId(9)]).Write(_files, "/data");
        string former = Encoding.UTF8.GetString(_files.Content("/data/former"));
        Rewrite("/data/former", former.Replace("\"format\": 1", "\"format\": 2, \"why\": \"a new field\"", StringComparison.Ordinal).Replace("\"storageIds\"", "\"ids\"", StringComparison.Ordinal));

        Assert.Contains("newer release, format 2", Assert.Throws<DataDirectoryException>(() => Open("/data", Settings)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_changed_bit_that_makes_a_format_look_newer_is_damage()
    {
        await Open("/data", Settings).DisposeAsync();
        string manifest = Encoding.UTF8.GetString(_files.Content(ManifestPath));
        foreach (string name in new[] { "manifestFormat", "walFormat", "databaseFormat", "snapshotFormat" })
        {
            int at = manifest.IndexOf(name, StringComparison.Ordinal) + name.Length + 3;
            for (int mask = 1; mask < 16; mask *= 2)
            {
                _files.Flip(ManifestPath, at, (byte)mask);
                Assert.Equal(ManifestPath, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
                _files.Flip(ManifestPath, at, (byte)mask);
            }
        }
    }

    public static TheoryData<string, Type> OtherFailures => new()
    {
        { "raft-", typeof(OutOfMemoryException) },
        { "raft-", typeof(NullReferenceException) },
        { "wal-", typeof(IndexOutOfRangeException) },
        { "copy", typeof(UnauthorizedAccessException) },
        { "manifest", typeof(OutOfMemoryException) },
    };

    [Theory]
    [MemberData(nameof(OtherFailures))]
    public async Task What_is_not_proven_by_bytes_ends_the_start_and_leaves_the_directory_alone(string file, Type kind)
    {
        NodeStore store = Open("/data", Settings);
        await store.Group(Default).PersistAsync(Append(Commands(1, 50, 1, 500)));
        await store.DisposeAsync();
        string[] paths = [.. _files.Paths];
        _files.FailsRead = path => Path.GetFileName(path).StartsWith(file, StringComparison.Ordinal)
            ? throw (Exception)Activator.CreateInstance(kind)! : false;        // a type of the table above

        var ended = Assert.Throws<DataDirectoryException>(() =>
            NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Settings, out _));

        Assert.Contains(kind.Name, ended.Message, StringComparison.Ordinal);
        Assert.Equal(paths, _files.Paths);
        _files.FailsRead = _ => false;
        await using NodeStore again = Open("/data", Settings);
        AssertSame(Commands(1, 50, 1, 500), await again.Group(Default).ReadAllAsync(1, 50));
    }

    [Theory]
    [InlineData("manifest.json")]
    [InlineData("raft-")]
    [InlineData("former")]
    [InlineData(".snap")]
    public async Task A_file_that_cannot_be_read_is_damage(string name)
    {
        NodeStore store = Open("/data", Settings);
        await store.Group(Default).PersistAsync(Append(Commands(1, 50, 1, 500)));
        SnapshotDescriptor snapshot = await store.Group(Default).WriteSnapshotAsync(40, 1, new byte[1000]);
        await store.Group(Default).PersistAsync(InForce(snapshot, 30));
        await store.DisposeAsync();
        new Former(new ClusterUid(5), new NodeId("n1"), [new StorageId(9)]).Write(_files, "/data");
        string path = _files.Paths.Single(path => Path.GetFileName(path).Contains(name, StringComparison.Ordinal));
        _files.MakeUnreadable(path, 0, 4096);

        NodeStore? opened = NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Settings, out DamagedDirectory? damaged);

        Assert.Null(opened);
        Assert.Equal(path, damaged!.Damage.File);       // as nothing was opened
        damaged.Dispose();
    }

    [Fact]
    public async Task A_name_that_cannot_be_looked_at_is_not_missing()
    {
        using var directory = new TempDirectory();
        await Open(directory.Data).DisposeAsync();
        string copy = directory.File("current/copy1");
        File.Delete(copy);
        File.CreateSymbolicLink(copy, copy);            // ELOOP, as EACCES would be for whoever is not root

        Assert.Throws<DataDirectoryException>(() => Open(directory.Data));
    }

    private static async Task CheckAsync(NodeStore store, string which)
    {
        Assert.Equal(new ClusterUid(77), store.ClusterUid);
        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(new LogIndex(121), state.FirstIndex);
        Assert.Equal(new LogIndex(150), state.Snapshot?.Index);
        Entry[] expected = which == "killed" ? [.. Commands(121, 200, 1, 500), .. Commands(201, 206, 4, 300)] : Commands(121, 200, 1, 500);
        AssertSame(expected, state.RecentEntries);
        Assert.Equal(which == "killed" ? Vote(4) : default, state.TermAndVote);
        AssertSame(Commands(1, 10, 3, 100), await store.Group(s_other).ReadAllAsync(1, 10));
        Assert.Equal(100_000, (await store.Group(Default).ReadSnapshotAsync(state.Snapshot!)).Length);      // the index says that it is there
    }

    /// <summary>Made by the last release that wrote format 1 (commit 9fd28d0).</summary>
    private void Unpack(string which)
    {
        using ZipArchive archive = ZipFile.OpenRead(Path.Combine(AppContext.BaseDirectory, "Storage", "Format1", which + ".zip"));
        foreach (string directory in new[] { "/data", "/data/current", "/data/current/snapshots" })
            _files.CreateDirectory(directory);
        foreach (ZipArchiveEntry entry in archive.Entries.Where(entry => entry.Name.Length > 0))
        {
            using Stream packed = entry.Open();
            using var content = new MemoryStream();
            packed.CopyTo(content);
            using IStorageFile file = _files.Open("/data/current/" + entry.FullName, create: true);
            file.Write(0, content.ToArray());
            file.Sync();
        }

        _files.SyncDirectory("/data/current");
    }

    private void Rewrite(string path, string content) => _files.ReplaceFile(path, Encoding.UTF8.GetBytes(content));
}
