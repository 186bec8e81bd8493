using System.Text;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class KeyValueWalkTests
{
    private readonly KeyValueMap _map = new();
    private long _revision;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void A_walk_gives_each_key_of_its_moment_once_with_its_value_of_then(int seed)
    {
        var random = new Random(seed);
        int keys = random.Next(1, 200);
        for (int round = 0; round < 60; round++)
        {
            Change(random.Next(2 * keys));
            Dictionary<string, (string, long)> moment = Copy();
            KeyValueWalk walk = _map.BeginWalk(_revision);
            List<KeyValue> slice = [], all = [];
            bool isMore;
            do
            {
                if (random.Next(2) == 0)
                    Change(random.Next(30));
                slice.Clear();
                isMore = walk.Next(slice, random.Next(1, 20));
                all.AddRange(slice);
            }
            while (isMore && (round % 5 > 0 || random.Next(20) > 0));    // some are given up

            if (!isMore)
            {
                Change(5);
                Assert.False(walk.Next(all, 10));
                Assert.Equal(moment.Count, all.Count);
                Assert.Equal(moment, all.ToDictionary(item => Encoding.UTF8.GetString(item.Key), item => (Encoding.UTF8.GetString(item.Value), item.Revision)));
            }

            _map.End(walk);
            Assert.Equal(_map.RecomputeHashSum(), _map.HashSum);
        }

        void Change(int count)
        {
            while (count-- > 0)
            {
                byte[] key = Encoding.UTF8.GetBytes($"key {random.Next(keys)}");
                KeyValue? existing = _map.Find(key);
                _revision++;
                if (random.Next(3) > 0)
                    _map.Put(existing, key, Encoding.UTF8.GetBytes($"value {_revision}"), null, _revision);
                else if (existing is not null)
                    _map.Delete(existing);
            }
        }
    }

    [Fact]
    public void A_walk_over_nothing_ends_at_once_and_one_is_under_way_at_a_time()
    {
        KeyValueWalk walk = _map.BeginWalk(0);
        Assert.Throws<InvalidOperationException>(() => _map.BeginWalk(0));
        _map.Put(null, "new"u8, "value"u8, null, revision: 1);
        List<KeyValue> slice = [];
        Assert.False(walk.Next(slice, 10));
        Assert.Empty(slice);
        _map.End(walk);
        Assert.False(_map.BeginWalk(1).Next(slice, 10));
        Assert.Single(slice);
    }

    [Fact]
    public void A_map_made_of_items_equals_one_that_was_written()
    {
        for (int n = 0; n < 500; n++)
            _map.Put(_map.Find([(byte)(n * 7 % 251)]), [(byte)(n * 7 % 251)], [(byte)n], null, n + 1);
        List<KeyValue> items = [.. _map.After(null)];
        var random = new Random(1);
        var made = new KeyValueMap([.. items.OrderBy(_ => random.Next())]);
        Assert.Equal((_map.Count, _map.Bytes, _map.HashSum), (made.Count, made.Bytes, made.HashSum));
        Assert.Equal(items, made.After(null));
        Assert.Throws<InvalidDataException>(() => new KeyValueMap([items[0], items[0]]));
    }

    private Dictionary<string, (string, long)> Copy() =>
        _map.After(null).ToDictionary(item => Encoding.UTF8.GetString(item.Key), item => (Encoding.UTF8.GetString(item.Value), item.Revision));
}
