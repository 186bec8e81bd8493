using System.Text;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class StoreTests
{
    private readonly Driver _driver = new();

    [Fact]
    public void A_repeated_key_gets_the_first_outcome_and_does_nothing()
    {
        StoreResult first = _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k"));
        Assert.Equal(new Replayed(first), _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k")));
        Assert.Equal(1, _driver.Store.Status.JournalLastIndex);
    }

    [Fact]
    public void The_same_key_with_another_request_is_refused()
    {
        _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k"));
        Assert.IsType<KeyReused>(_driver.Apply(Commands.Of(CommandKind.Append, "y", idempotencyKey: "k")));
        Assert.Equal(1, _driver.Store.Status.JournalLastIndex);
    }

    [Fact]
    public void A_table_full_of_young_keys_refuses_and_forgets_none()
    {
        for (int n = 0; n < 3; n++)
            Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: $"k{n}", maxKeys: 3, minAgeSeconds: 10)));
        _driver.TimeMs += 9_999;
        Assert.Equal(new TableFull(3, 1), _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "new", maxKeys: 3, minAgeSeconds: 10)));
        Assert.IsType<Replayed>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k0", maxKeys: 3, minAgeSeconds: 10)));

        _driver.TimeMs += 1;
        Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "new", maxKeys: 3, minAgeSeconds: 10)));
        Assert.Equal(3, _driver.Store.Status.IdempotencyKeys);
        Assert.Null(_driver.Store.FindSettled("anonymous", "k0"));
    }

    [Fact]
    public void An_old_key_stays_while_there_is_room()
    {
        _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k", minAgeSeconds: 1));
        _driver.TimeMs += 1_000_000;
        Assert.IsType<Replayed>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: "k", minAgeSeconds: 1)));
    }

    [Fact]
    public void A_uuid_older_than_the_window_is_never_executed_unless_it_is_known()
    {
        string key = Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(_driver.TimeMs)).ToString();
        string other = Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(_driver.TimeMs)).ToString();
        Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: key)));
        _driver.TimeMs += 600_001;
        Assert.IsType<Replayed>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: key)));
        Assert.IsType<KeyTooOld>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: other)));
        Assert.Equal(1, _driver.Store.Status.JournalLastIndex);
    }

    [Fact]
    public void A_uuid_from_the_future_is_never_executed_and_may_be_when_its_time_has_come()
    {
        string near = KeyAt(_driver.TimeMs + 60_000), far = KeyAt(_driver.TimeMs + 60_001);
        Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: near)));
        Assert.Equal(new KeyFromTheFuture(60_001), _driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: far)));
        Assert.Equal((1L, 1), (_driver.Store.Status.JournalLastIndex, _driver.Store.Status.IdempotencyKeys));
        Assert.IsType<KeyFromTheFuture>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: KeyAt(_driver.TimeMs + 3_600_000))));

        _driver.TimeMs += 1;
        Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "x", idempotencyKey: far)));
    }

    [Fact]
    public void A_uuid_ahead_of_the_leader_is_kept_until_it_counts_as_too_old()
    {
        byte[] ahead = Commands.Of(CommandKind.Append, "x", idempotencyKey: KeyAt(_driver.TimeMs + 50_000), maxKeys: 1, minAgeSeconds: 10);
        Assert.IsType<Appended>(_driver.Apply(ahead));
        for (int n = 0; n < 6; n++)
        {
            _driver.TimeMs += 9_999;        // 59,994 in all: 6 ms are left of its window
            Assert.IsType<TableFull>(_driver.Apply(Commands.Of(CommandKind.Append, "y", idempotencyKey: "other", maxKeys: 1, minAgeSeconds: 10)));
            Assert.IsType<Replayed>(_driver.Apply(ahead));
        }

        _driver.TimeMs += 6;
        Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, "y", idempotencyKey: "other", maxKeys: 1, minAgeSeconds: 10)));
        Assert.IsType<KeyTooOld>(_driver.Apply(ahead));
    }

    [Fact]
    public void No_header_is_larger_than_the_room_that_the_limits_leave_for_one()
    {
        var precondition = new Precondition(PreconditionKind.Matches, new long[Precondition.RevisionsMax]);
        var idempotency = new IdempotencyInfo(new string('p', 255), new string('k', 255), new byte[32], 1, 1);
        foreach (CommandKind kind in Enum.GetValues<CommandKind>())
        {
            int bytes = StoreCommands.HeaderBytes(kind, precondition, idempotency, new string('t', 255), new byte[StoreCommands.KeyBytesMax]);
            Assert.InRange(bytes, 1, StoreCommands.HeaderBytesMax);
        }
    }

    private static string KeyAt(long timeMs) => Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(timeMs)).ToString();

    [Fact]
    public void Preconditions_compare_with_the_revision()
    {
        Assert.Equal(0, Assert.IsType<PreconditionFailed>(Put("1", new Precondition(PreconditionKind.Exists, []))).CurrentRevision);
        long first = Assert.IsType<Put>(Put("1", new Precondition(PreconditionKind.Absent, []))).Revision;
        Assert.Equal(first, Assert.IsType<PreconditionFailed>(Put("2", new Precondition(PreconditionKind.Absent, []))).CurrentRevision);
        Assert.IsType<PreconditionFailed>(Put("2", new Precondition(PreconditionKind.Matches, [first + 100])));
        Assert.False(Assert.IsType<Put>(Put("2", new Precondition(PreconditionKind.Matches, [7777, first]))).Created);
        Assert.Equal("2", Encoding.UTF8.GetString(_driver.Store.Get("key"u8)!.Value));

        StoreResult Put(string value, Precondition precondition) => _driver.Apply(Commands.Of(CommandKind.Put, value, "key", precondition));
    }

    [Fact]
    public void The_journal_keeps_the_newest_within_its_limits_and_its_numbers()
    {
        for (int n = 1; n <= 3000; n++)
            Assert.Equal(n, Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.Append, $"{n}", maxEntries: 10))).FirstIndex);
        Assert.Equal((2991L, 3000L), (_driver.Store.Status.JournalFirstIndex, _driver.Store.Status.JournalLastIndex));
        JournalPage page = _driver.Store.ReadJournal(null, 100, 1 << 20);
        Assert.Equal(Enumerable.Range(2991, 10).Select(n => $"{n}"), page.Entries.Select(entry => Encoding.UTF8.GetString(entry.Payload.Span)));
        Assert.Empty(_driver.Store.ReadJournal(2990, 1, 1).Entries);

        _driver.Apply(Commands.Of(CommandKind.Append, new string('x', 1000), maxBytes: 1100));
        Assert.Equal(3001, _driver.Store.Status.JournalFirstIndex);
    }

    [Fact]
    public void A_batch_is_one_entry_for_each_line()
    {
        var appended = Assert.IsType<Appended>(_driver.Apply(Commands.Of(CommandKind.AppendLines, "1\r\n{\"a\":2}\n3\n\n")));
        Assert.Equal((1L, 3L, 3L), (appended.FirstIndex, appended.LastIndex, appended.Count));
        Assert.Equal(["1", "{\"a\":2}", "3"], _driver.Store.ReadJournal(1, 10, 1000).Entries.Select(entry => Encoding.UTF8.GetString(entry.Payload.Span)));
    }

    [Fact]
    public void A_range_is_in_the_order_of_utf8_bytes()
    {
        string[] keys = ["b", "a/2", "a/1", "a", "a/\U0001F600", "a/\uFFFD", "c"];
        foreach (string key in keys)
            _driver.Apply(Commands.Of(CommandKind.Put, "v", key));
        KeyRange range = _driver.Store.Range("a/"u8.ToArray(), [], 100, 1000);
        Assert.Equal(["a/1", "a/2", "a/\uFFFD", "a/\U0001F600"], range.Items.Select(item => Encoding.UTF8.GetString(item.Key)));
        KeyRange next = _driver.Store.Range("a/"u8.ToArray(), "a/1"u8.ToArray(), 1, 1000);
        Assert.Equal("a/2", Encoding.UTF8.GetString(Assert.Single(next.Items).Key));
        Assert.True(next.IsCut);
        Assert.Empty(_driver.Store.Range("z"u8.ToArray(), [], 100, 1000).Items);
    }

    [Fact]
    public void Bytes_that_are_no_command_do_nothing_and_never_throw()
    {
        var random = new Random(11);
        byte[] whole = Commands.Of(CommandKind.Put, "value", "key", new Precondition(PreconditionKind.MatchesNot, [1, 2]), "id", contentType: "text/plain");
        for (int length = 0; length < whole.Length - 5; length++)
            Assert.IsType<Malformed>(_driver.Apply(whole[..length]));
        for (int n = 0; n < 5000; n++)
        {
            byte[] damaged = [.. whole];
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            _driver.Apply(damaged);
        }

        Assert.Equal(_driver.Store.RecomputeHash(), _driver.Store.Status.StateHash);
    }
}
