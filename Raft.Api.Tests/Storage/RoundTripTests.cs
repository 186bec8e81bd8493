using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

public sealed class RoundTripTests : IDisposable
{
    private readonly TempDirectory _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task A_new_directory_holds_nothing()
    {
        await using NodeStore store = Open(_temp.Data);

        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);

        Assert.Equal(default, state.TermAndVote);
        Assert.Equal(new LogIndex(1), state.FirstIndex);
        Assert.Equal(LogIndex.Zero, state.LastIndex);
        Assert.Empty(state.RecentEntries);
        Assert.Null(store.ClusterUid);
        Assert.Equal(1, store.StartCount);
        Assert.NotEqual(default, store.StorageId);
    }

    [Fact]
    public async Task Term_vote_and_entries_of_every_kind_survive_a_restart()
    {
        var configuration = Configuration.Of([new Member(new NodeId("n1"), new StorageId(1), MemberKind.Voter, "http://a", "http://b")]);
        Entry[] entries =
        [
            new(new LogIndex(1), new Term(1), EntryKind.Configuration, 5, configuration.Encode()),
            new(new LogIndex(2), new Term(2), EntryKind.Empty, 6, default),
            Command(3, 2, "hello"),
            Command(4, 5, ""),
        ];
        await using (NodeStore store = Open(_temp.Data))
            await store.Group(Default).PersistAsync(new PersistRequest(Vote(5, "n2"), null, entries));

        await using NodeStore again = Open(_temp.Data);
        PersistedState state = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);

        Assert.Equal(Vote(5, "n2"), state.TermAndVote);
        AssertSame(entries, state.RecentEntries);
        AssertSame(entries[..1], state.ConfigurationEntries);
        Assert.Equal([new TermRun(new LogIndex(1), new Term(1)), new TermRun(new LogIndex(2), new Term(2)), new TermRun(new LogIndex(4), new Term(5))], state.TermRuns);
        Assert.Equal(2, again.StartCount);
        AssertSame(entries, await again.Group(Default).ReadAllAsync(1, 4));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(60)]
    [InlineData(100)]
    public async Task What_was_truncated_is_gone_and_what_came_after_is_there(long from)
    {
        Entry[] old = Commands(1, 100, 1, 300), fresh = Commands(from, from + 20, 2, 300);
        await using (NodeStore store = Open(_temp.Data))
        {
            IRaftStorage group = store.Group(Default);
            Task first = group.PersistAsync(Append(old[..60]));
            if (from % 2 == 0)
                await first;
            _ = group.PersistAsync(Append(old[60..]));
            await group.PersistAsync(new PersistRequest(Vote(2), new LogIndex(from), fresh));

            AssertSame([.. old[..(int)(from - 1)], .. fresh], await group.ReadAllAsync(1, from + 20));
            Assert.Empty(await group.ReadEntriesAsync(new LogIndex(from + 21), new LogIndex(from + 30), 1000, CancellationToken.None));
        }

        await using NodeStore again = Open(_temp.Data);
        PersistedState state = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(new LogIndex(from + 20), state.LastIndex);
        AssertSame([.. old[..(int)(from - 1)], .. fresh], state.RecentEntries);
    }

    [Fact]
    public async Task Groups_are_apart()
    {
        string[] names = ["default", "a", "A", "ab", "b", "ä"];
        await using (NodeStore store = Open(_temp.Data))
        {
            await Task.WhenAll(names.Select((name, n) =>
                store.Group(new GroupId(name)).PersistAsync(new PersistRequest(Vote(n + 1), null, Commands(1, 10 * (n + 1), n + 1)))));
        }

        await using NodeStore again = Open(_temp.Data);
        for (int n = 0; n < names.Length; n++)
        {
            IRaftStorage group = again.Group(new GroupId(names[n]));
            PersistedState state = await group.LoadAsync(1 << 20, CancellationToken.None);
            Assert.Equal(Vote(n + 1), state.TermAndVote);
            AssertSame(Commands(1, 10 * (n + 1), n + 1), state.RecentEntries);
        }
    }

    [Fact]
    public async Task Load_gives_the_last_entries_within_the_cache_and_the_terms_of_all()
    {
        Entry[] entries = [.. Commands(1, 200, 1, 200), .. Commands(201, 300, 4, 200)];
        await using (NodeStore store = Open(_temp.Data))
            await store.Group(Default).PersistAsync(Append(entries));

        await using NodeStore again = Open(_temp.Data);
        PersistedState state = await again.Group(Default).LoadAsync(10 * 248, CancellationToken.None);

        AssertSame(entries[290..], state.RecentEntries);
        Assert.Equal([new TermRun(new LogIndex(1), new Term(1)), new TermRun(new LogIndex(201), new Term(4))], state.TermRuns);
        AssertSame(entries, await again.Group(Default).ReadAllAsync(1, 300, 5000));
    }

    [Fact]
    public async Task A_read_gives_at_least_one_entry_and_stops_at_the_bound()
    {
        await using NodeStore store = Open(_temp.Data);
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(Append(Commands(1, 100, 1, 152)));

        Assert.Single(await group.ReadEntriesAsync(new LogIndex(50), new LogIndex(100), 1, CancellationToken.None));
        Assert.Equal(5, (await group.ReadEntriesAsync(new LogIndex(50), new LogIndex(100), 1000, CancellationToken.None)).Count);
        Assert.Empty(await group.ReadEntriesAsync(new LogIndex(101), new LogIndex(200), 1000, CancellationToken.None));
    }

    [Fact]
    public async Task Segments_are_used_again_and_nothing_is_lost()
    {
        const int count = 3000;                     // about 1.3 MB through 256 KiB of segments
        Entry[] entries = Commands(1, count, 1, 400);
        await using (NodeStore store = Open(_temp.Data))
        {
            IRaftStorage group = store.Group(Default);
            var tasks = new List<Task>();
            for (int i = 0; i < count; i += 5)
                tasks.Add(group.PersistAsync(Append(entries[i..(i + 5)])));
            await Task.WhenAll(tasks);
            AssertSame(entries, await group.ReadAllAsync(1, count));
        }

        await using NodeStore again = Open(_temp.Data);
        AssertSame(entries, await again.Group(Default).ReadAllAsync(1, count));
    }

    [Fact]
    public async Task A_batch_longer_than_a_record_and_an_entry_longer_than_one_are_kept()
    {
        Entry[] entries = [.. Commands(1, 400, 3, 300), .. Commands(401, 402, 3, 30_000)];
        await using (NodeStore store = Open(_temp.Data))
            await store.Group(Default).PersistAsync(new PersistRequest(Vote(3, "n3"), null, entries));

        await using NodeStore again = Open(_temp.Data);
        PersistedState state = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(Vote(3, "n3"), state.TermAndVote);
        AssertSame(entries, state.RecentEntries);
    }

    [Fact]
    public async Task Forming_writes_uid_term_and_first_configuration_and_keeps_them()
    {
        var uid = new ClusterUid(77);
        var configuration = Configuration.Of([new Member(new NodeId("n1"), new StorageId(1), MemberKind.Voter, "http://a", "http://b")]);
        StorageId storageId;
        await using (NodeStore store = Open(_temp.Data))
        {
            storageId = store.StorageId;
            await store.FormAsync(uid, Default, configuration);
            Assert.Equal(uid, store.ClusterUid);
        }

        await using NodeStore again = Open(_temp.Data);
        PersistedState state = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(uid, again.ClusterUid);
        Assert.Equal(storageId, again.StorageId);
        Assert.Equal(Vote(1), state.TermAndVote);
        Entry entry = Assert.Single(state.ConfigurationEntries);
        Assert.Equal(configuration.Encode(), Configuration.Decode(entry.Payload.Span).Encode());
    }

    [Fact]
    public async Task What_was_formed_is_loaded_at_once()
    {
        await using NodeStore store = Open(_temp.Data);
        var configuration = Configuration.Of([new Member(new NodeId("n1"), store.StorageId, MemberKind.Voter, "http://a", "http://b")]);
        await store.FormAsync(new ClusterUid(77), Default, configuration);

        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);

        Assert.Equal(Vote(1), state.TermAndVote);
        Assert.Equal(configuration.Encode(), Assert.Single(state.ConfigurationEntries).Payload.ToArray());
    }

    [Fact]
    public async Task Null_completes_after_what_came_before()
    {
        await using NodeStore store = Open(_temp.Data);
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(null);

        Task before = group.PersistAsync(Append(Commands(1, 10, 1)));
        await group.PersistAsync(null);

        Assert.True(before.IsCompletedSuccessfully);
    }
}
