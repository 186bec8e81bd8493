using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

/// <summary>Stamps that ran ahead under a wrong clock, and the correction in the log that gives the time back.</summary>
public sealed class TimeCorrectionTests
{
    private const long HourMs = 3_600_000;

    [Fact]
    public async Task After_a_correction_keys_of_today_are_taken_again_and_what_ran_is_still_known()
    {
        var replica = new Replica();
        string before = KeyAt(replica.NowMs);
        Assert.IsType<Appended>(await replica.AppendAsync(before));
        replica.AheadMs = HourMs;
        await replica.AppendAsync(key: null);
        Assert.IsType<KeyTooOld>(await replica.AppendAsync(KeyAt(replica.NowMs)));

        await replica.CorrectAsync(HourMs);
        string now = KeyAt(replica.NowMs);
        Assert.IsType<Appended>(await replica.AppendAsync(now));
        Assert.IsType<Replayed>(await replica.AppendAsync(now));
        Assert.IsType<Replayed>(await replica.AppendAsync(before));
        Assert.IsType<KeyFromTheFuture>(await replica.AppendAsync(KeyAt(replica.NowMs + 60_001)));
        Assert.IsType<KeyTooOld>(await replica.AppendAsync(KeyAt(replica.NowMs - 600_000)));
        Assert.Equal(replica.NowMs, replica.Store.ReadJournal(null, 100, 1 << 20).Entries[^1].TimeMs);
        Assert.Equal(replica.NowMs, replica.Store.FindSettled("anonymous", now)?.TimeMs);
    }

    [Fact]
    public async Task A_key_that_was_forgotten_is_never_executed_again_however_far_time_is_put_back()
    {
        var replica = new Replica();
        string first = KeyAt(replica.NowMs);
        Assert.IsType<Appended>(await replica.AppendAsync(first, maxKeys: 1));
        replica.NowMs += 600_000;
        Assert.IsType<Appended>(await replica.AppendAsync("plain", maxKeys: 1));      // forgets the first
        replica.AheadMs = HourMs;
        await replica.CorrectAsync(HourMs + 500_000);
        Assert.IsType<KeyTooOld>(await replica.AppendAsync(first, maxKeys: 1));
        Replica copy = await replica.CopyAsync();
        Assert.IsType<KeyTooOld>(await copy.AppendAsync(first, maxKeys: 1));
        Assert.IsType<Replayed>(await copy.AppendAsync("plain", maxKeys: 1));
    }

    [Fact]
    public async Task Keys_of_clients_whose_clocks_were_wrong_too_neither_block_the_table_nor_later_keys()
    {
        var replica = new Replica { AheadMs = HourMs };
        string ahead = KeyAt(replica.NowMs + HourMs);
        Assert.IsType<Appended>(await replica.AppendAsync(ahead, maxKeys: 1));
        await replica.CorrectAsync(HourMs);
        Assert.IsType<Replayed>(await replica.AppendAsync(ahead, maxKeys: 1));
        replica.NowMs += 599_999;
        Assert.IsType<TableFull>(await replica.AppendAsync("other", maxKeys: 1));     // it is kept for the window all the same
        replica.NowMs += 1;
        Assert.IsType<Appended>(await replica.AppendAsync("other", maxKeys: 1));
        Assert.IsType<KeyFromTheFuture>(await replica.AppendAsync(ahead, maxKeys: 2));
        Assert.IsType<Appended>(await replica.AppendAsync(KeyAt(replica.NowMs), maxKeys: 2));
    }

    [Fact]
    public async Task A_full_table_of_plain_keys_ages_after_a_correction_as_before()
    {
        var replica = new Replica();
        await replica.AppendAsync("a", maxKeys: 1);
        replica.AheadMs = HourMs;
        await replica.CorrectAsync(HourMs);
        Assert.IsType<Appended>(await replica.AppendAsync("b", maxKeys: 1));
        replica.NowMs += 599_999;
        Assert.IsType<TableFull>(await replica.AppendAsync("c", maxKeys: 1));
        replica.NowMs += 1;
        Assert.IsType<Appended>(await replica.AppendAsync("c", maxKeys: 1));
    }

    [Fact]
    public async Task A_correction_counts_once_never_back_and_travels_in_snapshots()
    {
        var replica = new Replica { AheadMs = HourMs };
        Assert.Equal(new TimeCorrected(HourMs), await replica.CorrectAsync(HourMs));
        Assert.Equal(new TimeCorrected(HourMs), await replica.CorrectAsync(HourMs));
        Assert.Equal(new TimeCorrected(HourMs), await replica.CorrectAsync(5));
        Replica copy = await replica.CopyAsync();
        Assert.Equal(HourMs, copy.Machine.TimeOffsetMs);
        string key = KeyAt(replica.NowMs);
        Assert.IsType<Appended>(await replica.AppendAsync(key));
        Assert.IsType<Appended>(await copy.AppendAsync(key));
        Assert.Equal(replica.Store.StateHash, copy.Store.StateHash);
    }

    [Fact]
    public async Task Without_a_correction_a_snapshot_is_one_that_the_release_before_reads()
    {
        var replica = new Replica();
        await replica.AppendAsync("a");
        Assert.Equal((byte)1, (await replica.PictureAsync())[7]);
        await replica.CorrectAsync(HourMs);
        Assert.Equal((byte)2, (await replica.PictureAsync())[7]);
    }

    [Fact]
    public async Task A_snapshot_whose_outcomes_have_falling_times_can_be_loaded()
    {
        var replica = new Replica { AheadMs = HourMs };
        await replica.AppendAsync("late");
        replica.AheadMs = 0;        // as releases before this one stamped it after a start with a small cache
        await replica.AppendAsync("early");
        await replica.AppendAsync("last");
        Replica copy = await replica.CopyAsync();
        Assert.Equal(replica.Store.StateHash, copy.Store.StateHash);
        Assert.IsType<Replayed>(await copy.AppendAsync("late"));
        Assert.IsType<Replayed>(await copy.AppendAsync("early"));
    }

    private static string KeyAt(long timeMs) => Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(timeMs)).ToString();

    private sealed class Replica
    {
        private long _index;

        public Replica() => Machine = new GroupStateMachine(new GroupId("g"), Store, NullLogger<GroupStateMachine>.Instance);

        public Store Store { get; } = new();
        public GroupStateMachine Machine { get; }
        public long NowMs { get; set; } = 1_700_000_000_000;

        /// <summary>By how much the stamps are ahead.</summary>
        public long AheadMs { get; set; }

        public async Task<StoreResult> AppendAsync(string? key, int maxKeys = 1000) =>
            Assert.IsAssignableFrom<StoreResult>(await ApplyAsync(Commands.Of(CommandKind.Append, "x", idempotencyKey: key, maxKeys: maxKeys), isSystem: false));

        public async Task<SystemResult> CorrectAsync(long offsetMs) =>
            Assert.IsAssignableFrom<SystemResult>(await ApplyAsync(SystemCommands.Encode(new TimeCorrection(offsetMs)), isSystem: true));

        public async Task<byte[]> PictureAsync()
        {
            using IStateSnapshot picture = Machine.TakeSnapshot();
            var target = new MemoryStream();
            await picture.WriteAsync(target, CancellationToken.None);
            return target.ToArray();
        }

        public async Task<Replica> CopyAsync()
        {
            var copy = new Replica { NowMs = NowMs, AheadMs = AheadMs, _index = _index };
            await copy.Machine.LoadSnapshotAsync(new MemoryStream(await PictureAsync()), CancellationToken.None);
            return copy;
        }

        private async Task<object?> ApplyAsync(byte[] command, bool isSystem) => Assert.Single(await Machine.ApplyAsync(
            [new CommittedCommand(new LogIndex(++_index), new Term(2), NowMs + AheadMs, command) { IsSystem = isSystem }], CancellationToken.None));
    }
}
