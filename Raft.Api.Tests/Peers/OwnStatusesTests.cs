using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>What frames say of many groups, on a clock of the test's own.</summary>
public sealed class OwnStatusesTests : IDisposable
{
    private static readonly GroupStatus Leads = new(new Term(5), IsLeader: true, Follows: null);
    private static readonly GroupStatus Follows = new(new Term(5), IsLeader: false, new ServerId(new NodeId("n2"), new StorageId(2)));

    private readonly ManualTime _time = new();
    private readonly PeerMetrics _metrics = new(static () => []);
    private readonly OwnStatuses _own;

    public OwnStatusesTests() => _own = new OwnStatuses(new PeerContext(new PeerSettings(), _time, NullLogger.Instance, _metrics));

    public void Dispose() => _metrics.Dispose();

    [Fact]
    public void Only_what_changed_makes_a_new_version()
    {
        _own.Announce(new GroupId("a"), Leads);
        _own.Announce(new GroupId("b"), Leads);
        _own.Collect(looksAtAll: false);
        long version = _own.Version;
        Assert.Equal(2, _own.Said.Count);

        Assert.False(_own.Announce(new GroupId("a"), Leads));
        _own.Collect(looksAtAll: true);
        Assert.Equal(version, _own.Version);

        Assert.True(_own.Announce(new GroupId("b"), Follows));
        _own.Collect(looksAtAll: false);
        Assert.Equal(version + 1, _own.Version);
        Assert.Equal((new GroupId("b"), (GroupStatus?)Follows), Assert.Single(_own.Changes));
    }

    [Fact]
    public void A_group_whose_shard_is_silent_for_two_pings_is_left_out_and_comes_back_with_its_next_word()
    {
        _own.Announce(new GroupId("silent"), Leads);
        _own.Announce(new GroupId("alive"), Leads);
        _own.Collect(looksAtAll: true);
        _time.Advance(TimeSpan.FromMilliseconds(150));
        _own.Announce(new GroupId("alive"), Leads);
        _own.Collect(looksAtAll: true);
        Assert.Equal(2, _own.Said.Count);

        _time.Advance(TimeSpan.FromMilliseconds(60));
        _own.Collect(looksAtAll: true);
        Assert.Equal((new GroupId("silent"), (GroupStatus?)null), Assert.Single(_own.Changes));
        Assert.Equal(new GroupId("alive"), Assert.Single(_own.Current()).Key);

        Assert.True(_own.Announce(new GroupId("silent"), Leads));
        _own.Collect(looksAtAll: false);
        Assert.Equal((new GroupId("silent"), (GroupStatus?)Leads), Assert.Single(_own.Changes));
    }

    [Fact]
    public void A_forgotten_group_is_said_to_be_gone()
    {
        _own.Announce(new GroupId("a"), Leads);
        _own.Collect(looksAtAll: true);
        Assert.True(_own.Forget(new GroupId("a")));
        Assert.False(_own.Forget(new GroupId("a")));
        _own.Collect(looksAtAll: false);
        Assert.Equal((new GroupId("a"), (GroupStatus?)null), Assert.Single(_own.Changes));
        Assert.Empty(_own.Said);
    }

    [Fact]
    public void Three_hundred_groups_that_say_nothing_new_allocate_nothing()
    {
        GroupId[] groups = [.. Enumerable.Range(0, 300).Select(n => new GroupId($"group-{n}"))];
        Say(groups);
        _own.Collect(looksAtAll: true);
        Say(groups);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int n = 0; n < 100; n++)
        {
            Say(groups);
            _own.Collect(looksAtAll: true);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private void Say(GroupId[] groups)
    {
        foreach (GroupId group in groups)
            _own.Announce(group, Follows);
    }

    private sealed class ManualTime : TimeProvider
    {
        private long _now = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan time) => _now += time.Ticks;
    }
}
