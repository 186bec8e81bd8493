using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Known good and known bad histories of the journal.</summary>
public sealed class HistoriesOfTheJournalTests
{
    private readonly HistoriesStory _story = new();

    private static AppendEntry Append(string value, string? retry = null) => new(value, retry);

    private static Appended Entry(long index) => new(index);

    private static ReadEntries Read => new(1, 100);

    private static EntriesRead Saw(params string[] values) => new(1, values, values.Length);

    [Fact]
    public void Concurrent_appends_have_any_order() => _story
        .Did("a", 1, 9, Append("x"), Entry(2))
        .Did("b", 2, 8, Append("y"), Entry(1))
        .Did("c", 3, 4, Read, Saw("y"))
        .Did("c", 10, 11, Read, Saw("y", "x"))
        .IsGood();

    [Fact]
    public void An_append_that_began_later_has_no_lower_index() => _story
        .Did("a", 1, 2, Append("x"), Entry(2))
        .Did("b", 3, 4, Append("y"), Entry(1))
        .IsBad("before a lower one began", 0, 1);

    [Fact]
    public void Two_appends_have_no_one_index() => _story
        .Did("a", 1, 4, Append("x"), Entry(1))
        .Did("b", 1, 4, Append("y"), Entry(1))
        .IsBad("answered entry 1", 0, 1);

    [Fact]
    public void A_double_append_is_bad() => _story
        .Did("a", 1, 2, Append("x"), Entry(1))
        .Did("b", 3, 4, Read, Saw("x", "x"))
        .IsBad("entry 2 is x", 0, 1);

    [Fact]
    public void A_double_append_of_a_repeated_request_is_bad() => _story
        .Maybe("a", 1, Append("x", "r"))
        .Did("a", 3, 4, Append("x", "r"), Entry(2))
        .Did("b", 5, 6, Read, Saw("x", "x"))
        .IsBad("entry 1 is x", 1, 2);

    [Fact]
    public void A_repeated_request_has_one_entry() => _story
        .Maybe("a", 1, Append("x", "r"))
        .Did("b", 3, 4, Read, Saw("x"))
        .Did("a", 5, 6, Append("x", "r"), Entry(1))
        .Did("a", 7, 8, Append("x", "r"), Entry(1))
        .IsGood();

    [Fact]
    public void A_repeated_request_with_another_index_is_bad() => _story
        .Did("a", 1, 2, Append("x", "r"), Entry(1))
        .Did("a", 3, 4, Append("x", "r"), Entry(2))
        .IsBad("first outcome", 0, 1);

    [Fact]
    public void A_stale_read_is_bad() => _story
        .Did("a", 1, 2, Append("x"), Entry(1))
        .Did("b", 3, 4, Read, Saw())
        .IsBad("misses entry 1", 0, 1);

    [Fact]
    public void A_read_of_the_future_is_bad() => _story
        .Did("b", 1, 2, Read, Saw("x"))
        .Did("a", 3, 4, Append("x"), Entry(1))
        .IsBad("before that can have been", 0, 1);

    [Fact]
    public void A_read_of_another_value_is_bad() => _story
        .Did("a", 1, 2, Append("x"), Entry(1))
        .Did("b", 3, 4, Read, Saw("y"))
        .IsBad("another entry 1", 0, 1);

    [Fact]
    public void Reads_agree() => _story
        .Maybe("a", 1, Append("x"))
        .Maybe("b", 1, Append("y"))
        .Did("c", 3, 4, Read, Saw("x"))
        .Did("c", 5, 6, Read, Saw("y", "x"))
        .IsBad("two reads", 2, 3);

    [Fact]
    public void A_read_of_what_never_happened_is_bad() => _story
        .Never("a", 1, Append("x"))
        .Did("b", 3, 4, Read, Saw("x"))
        .IsBad("entry 1 is x", 1);

    [Fact]
    public void A_lost_append_leaves_a_hole_that_nobody_fills() => _story
        .Did("a", 1, 2, Append("x"), Entry(3))
        .Maybe("b", 1, Append("y"))
        .IsBad("entry 2 was made by no append", 0);

    [Fact]
    public void Unknown_appends_fill_the_holes() => _story
        .Maybe("b", 1, Append("y"))
        .Maybe("c", 1, Append("z"))
        .Did("a", 1, 2, Append("x"), Entry(3))
        .IsGood();

    [Fact]
    public void A_hole_below_is_filled_in_time() => _story
        .Did("a", 1, 2, Append("x"), Entry(2))
        .Maybe("b", 3, Append("y"))
        .IsBad("before a lower one began", 0, 1);

    [Fact]
    public void What_is_unknown_may_come_late_or_never() => _story
        .Maybe("a", 1, Append("x"))
        .Maybe("a", 3, Append("never"))
        .Did("b", 5, 6, Append("y"), Entry(1))
        .Did("b", 7, 8, Read, Saw("y"))
        .Did("b", 9, 10, Read, Saw("y", "x"))
        .IsGood();

    [Fact]
    public void What_is_unknown_and_was_seen_stays_seen() => _story
        .Maybe("a", 1, Append("x"))
        .Did("b", 3, 4, Read, Saw("x"))
        .Did("b", 5, 6, Read, Saw())
        .IsBad("misses entry 1", 1, 2);

    [Fact]
    public void A_read_may_be_cut_short_but_not_to_nothing()
    {
        _story.Did("a", 1, 2, Append("x"), Entry(1)).Did("a", 3, 4, Append("y"), Entry(2))
            .Did("b", 5, 6, Read, new EntriesRead(1, ["x"], 2)).IsGood();
        _story.Did("b", 7, 8, Read, new EntriesRead(1, [], 2)).IsBad("at least one entry", 3);
    }

    [Fact]
    public void Unknown_appends_of_one_value_are_no_accusation() => Assert.StartsWith("undecided: unknown appends have the same value", LinearizabilityChecker.Check(
        new HistoriesStory()
            .Did("a", 3, 4, Append("a"), Entry(2))
            .Maybe("b", 1, Append("x"))
            .Maybe("c", 5, Append("x"))
            .Maybe("c", 6, Append("z"))
            .Did("d", 9, 10, Read with { From = 3 }, new EntriesRead(3, ["x"], 3))
            .History), StringComparison.Ordinal);
}
