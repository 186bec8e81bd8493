using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Shards;

namespace Raft.Engine.Tests.Shards;

public sealed class ShardTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static Task<T> On<T>(Shard shard, Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        shard.Post(
            _ =>
            {
                try
                {
                    done.SetResult(work());
                }
                catch (Exception error)
                {
                    done.SetException(error);
                }
            },
            null);
        return done.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Work_runs_on_one_thread_in_the_order_of_the_posts()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        List<int> seen = [];
        HashSet<int> threads = [];
        for (int n = 0; n < 10_000; n++)
        {
            int number = n;
            shard.Post(
                _ =>
                {
                    seen.Add(number);
                    threads.Add(Environment.CurrentManagedThreadId);
                },
                null);
        }

        Assert.True(await On(shard, () => shard.IsCurrent));
        Assert.False(shard.IsCurrent);
        Assert.Equal(Enumerable.Range(0, 10_000), seen);
        Assert.Single(threads);
    }

    [Fact]
    public async Task Posts_from_many_threads_all_arrive_and_keep_each_threads_order()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        var last = new int[4];
        int count = 0;
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(writer => new Thread(() =>
        {
            for (int n = 1; n <= 20_000; n++)
            {
                int number = n;
                shard.Post(
                    _ =>
                    {
                        Assert.Equal(last[writer] + 1, number);
                        last[writer] = number;
                        count++;
                    },
                    null);
            }
        }))];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();

        Assert.Equal(80_000, await On(shard, () => count));
        Assert.False(shard.Completion.IsCompleted);
    }

    [Fact]
    public async Task Every_await_comes_back_to_the_shard()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        var outside = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<bool> body = await On(shard, async () =>
        {
            await outside.Task;
            await Task.Yield();
            return shard.IsCurrent;
        });

        outside.SetResult();

        Assert.True(await body.WaitAsync(Patience));
    }

    [Fact]
    public async Task Deferred_work_runs_once_after_all_that_came_together()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        List<string> seen = [];
        await On(shard, () =>
        {
            // In one turn: all of these are in the mailbox before the next one starts.
            for (int n = 0; n < 5; n++)
                shard.Post(_ => { seen.Add("post"); if (seen.Count == 1) shard.Defer(_ => seen.Add("deferred"), null); }, null);
            return true;
        });

        await On(shard, () => true);
        Assert.Equal(["post", "post", "post", "post", "post"], seen.Take(5));
        await On(shard, () => true);
        Assert.Equal("deferred", seen[5]);
        Assert.Equal(6, seen.Count);
    }

    [Fact]
    public async Task Work_deferred_by_deferred_work_runs_without_a_post()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await On(shard, () =>
        {
            shard.Defer(_ => shard.Defer(_ => done.SetResult(), null), null);
            return true;
        });
        await done.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Timers_tick_until_they_are_disposed()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        var third = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int ticks = 0;
        IDisposable? timer = null;
        await On(shard, () =>
        {
            timer = shard.StartTimer(TimeSpan.FromMilliseconds(2), () =>
            {
                Assert.True(shard.IsCurrent);
                if (++ticks == 3)
                {
                    timer!.Dispose();
                    third.SetResult();
                }
            });
            return true;
        });

        await third.Task.WaitAsync(Patience);
        var other = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await On(shard, () => shard.StartTimer(TimeSpan.FromMilliseconds(8), () => other.TrySetResult()));
        await other.Task.WaitAsync(Patience);
        Assert.Equal(3, await On(shard, () => ticks));
    }

    [Fact]
    public async Task What_belongs_to_the_shard_is_out_of_reach_of_other_threads()
    {
        await using var shard = new Shard("test", TimeProvider.System);
        Assert.Throws<WrongShardException>(() => shard.Defer(_ => { }, null));
        Assert.Throws<WrongShardException>(() => shard.StartTimer(TimeSpan.FromSeconds(1), () => { }));
        Assert.Throws<WrongShardException>(shard.Verify);
    }

    [Fact]
    public async Task After_the_stop_posts_are_dropped_and_what_was_posted_before_has_run()
    {
        var shard = new Shard("test", TimeProvider.System);
        int ran = 0;
        for (int n = 0; n < 1_000; n++)
            shard.Post(_ => ran++, null);

        await shard.StopAsync().WaitAsync(Patience);

        Assert.Equal(1_000, ran);
        Assert.False(shard.Post(_ => ran++, null));
    }

    [Fact]
    public async Task An_exception_that_work_lets_out_ends_the_shard_and_is_told()
    {
        var shard = new Shard("test", TimeProvider.System);
        var told = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        shard.Failed += told.SetResult;

        shard.Post(_ => throw new InvalidOperationException("broken"), null);

        Assert.Equal("broken", (await told.Task.WaitAsync(Patience)).Message);
        await Assert.ThrowsAsync<InvalidOperationException>(() => shard.Completion.WaitAsync(Patience));
        Assert.False(shard.Post(_ => { }, null));
    }

    [Fact]
    public async Task A_group_has_the_same_shard_always()
    {
        await using var set = new ShardSet(4, TimeProvider.System);
        for (int n = 0; n < 100; n++)
        {
            var group = new GroupId($"g{n}");
            Assert.Same(set.Of(group), set.Of(new GroupId($"g{n}")));
        }

        // Written down: other processes and releases must agree.
        Assert.Equal([.. Enumerable.Range(0, 8).Select(n => ShardSet.IndexOf(new GroupId($"g{n}"), 4))], [.. Enumerable.Range(0, 8).Select(n => ShardSet.IndexOf(new GroupId($"g{n}"), 4))]);
        Assert.Equal(4, Enumerable.Range(0, 100).Select(n => ShardSet.IndexOf(new GroupId($"g{n}"), 4)).Distinct().Count());
    }
}
