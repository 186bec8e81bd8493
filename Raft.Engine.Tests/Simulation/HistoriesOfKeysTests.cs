using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Known good and known bad histories of keys.</summary>
public sealed class HistoriesOfKeysTests
{
    private readonly HistoriesStory _story = new();

    private static GetKey Get => new("k");
    private static Missing Missing => new();

    private static PutKey Put(string value, KeyCondition? condition = null, string? retry = null) => new("k", value, condition, retry);

    private static Found Found(string value, long revision) => new(value, revision);

    private static Written Created(long revision) => new(revision, true);

    private static Written Replaced(long revision) => new(revision, false);

    [Fact]
    public void One_after_the_other_is_good() => _story
        .Did("a", 1, 2, Get, Missing)
        .Did("a", 3, 4, Put("1"), Created(5))
        .Did("b", 5, 6, Get, Found("1", 5))
        .Did("b", 7, 8, new DeleteKey("k"), new Removed(6))
        .Did("a", 9, 10, Get, Missing)
        .IsGood();

    [Fact]
    public void Reads_during_a_write_may_see_it_or_not() => _story
        .Did("a", 1, 10, Put("1"), Created(5))
        .Did("b", 2, 3, Get, Missing)
        .Did("c", 4, 5, Get, Found("1", 5))
        .IsGood();

    [Fact]
    public void A_write_that_was_seen_during_itself_stays_seen() => _story
        .Did("a", 1, 10, Put("1"), Created(5))
        .Did("b", 2, 3, Get, Found("1", 5))
        .Did("c", 4, 5, Get, Missing)
        .IsBad("on key k", 0, 1, 2);

    [Fact]
    public void A_stale_read_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("a", 3, 4, Put("2"), Replaced(6))
        .Did("b", 3, 9, Get, Found("2", 6))
        .Did("b", 10, 11, Get, Found("1", 5))
        .IsBad("on key k", 0, 1, 3);

    [Fact]
    public void A_stale_miss_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("b", 3, 4, Get, Missing)
        .IsBad("on key k", 0, 1);

    [Fact]
    public void A_lost_write_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("b", 3, 4, Put("2"), Created(6))
        .IsBad("on key k", 0, 1);

    [Fact]
    public void A_lost_update_is_bad() => _story
        .Did("a", 1, 2, Put("0"), Created(5))
        .Did("a", 3, 6, Put("1", KeyCondition.Is(5)), Replaced(6))
        .Did("b", 4, 7, Put("2", KeyCondition.Is(5)), Replaced(7))
        .IsBad("on key k", 0, 1, 2);

    [Fact]
    public void Of_two_that_compare_and_set_one_wins_and_the_other_sees_it() => _story
        .Did("a", 1, 2, Put("0"), Created(5))
        .Did("a", 3, 6, Put("1", KeyCondition.Is(5)), Replaced(6))
        .Did("b", 4, 7, Put("2", KeyCondition.Is(5)), new Refused(6, 7))
        .IsGood();

    [Fact]
    public void Two_that_both_create_are_bad() => _story
        .Did("a", 1, 6, Put("1", KeyCondition.Absent), Created(5))
        .Did("b", 1, 7, Put("2", KeyCondition.Absent), Created(6))
        .IsBad("on key k", 0, 1);

    [Fact]
    public void A_refusal_without_a_reason_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("a", 3, 4, Put("2", KeyCondition.Is(5)), new Refused(5))
        .IsBad("on key k", 0, 1);

    [Fact]
    public void A_read_of_what_nobody_wrote_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("b", 3, 4, Get, Found("ghost", 6))
        .IsBad("on key k", 1);

    [Fact]
    public void A_read_of_what_never_happened_is_bad() => _story
        .Never("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Found("1", 5))
        .IsBad("on key k", 1);

    [Fact]
    public void A_value_under_another_revision_is_bad() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("b", 3, 4, Get, Found("1", 6))
        .IsBad("on key k", 0, 1);

    [Fact]
    public void A_clients_own_operations_keep_their_order() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Did("a", 2, 3, Get, Missing)
        .IsBad("on key k", 0, 1);

    [Fact]
    public void What_is_unknown_may_happen_late() => _story
        .Maybe("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Missing)
        .Did("b", 5, 6, Put("2"), Created(5))
        .Did("b", 7, 8, Get, Found("2", 5))
        .Did("b", 9, 10, Get, Found("1", 6))
        .IsGood();

    [Fact]
    public void What_is_unknown_may_never_happen() => _story
        .Maybe("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Missing)
        .IsGood();

    [Fact]
    public void What_is_unknown_does_not_happen_before_it_began() => _story
        .Did("b", 1, 2, Get, Found("1", 5))
        .Maybe("a", 3, Put("1"))
        .IsBad("on key k", 0, 1);

    [Fact]
    public void What_is_unknown_and_was_seen_stays_seen() => _story
        .Maybe("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Found("1", 5))
        .Did("b", 5, 6, Get, Missing)
        .IsBad("on key k", 0, 1, 2);

    [Fact]
    public void What_is_unknown_happens_once() => _story
        .Maybe("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Found("1", 5))
        .Did("b", 5, 6, Put("2"), Replaced(6))
        .Did("b", 7, 8, Get, Found("1", 7))
        .IsBad("on key k", 0, 2, 3);

    [Fact]
    public void An_unknown_delete_explains_a_miss_and_a_creation() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Maybe("a", 3, new DeleteKey("k"))
        .Did("b", 5, 6, Get, Found("1", 5))
        .Did("b", 7, 8, Put("2"), Created(9))
        .IsGood();

    [Fact]
    public void Unknown_writes_may_enable_each_other() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Maybe("a", 3, Put("2", KeyCondition.Is(5)))
        .Maybe("b", 3, Put("3", KeyCondition.Is(6)))
        .Did("c", 5, 6, Get, Found("3", 8))
        .IsGood();

    [Fact]
    public void An_unknown_write_whose_condition_never_held_did_not_happen() => _story
        .Did("a", 1, 2, Put("1"), Created(5))
        .Maybe("b", 3, Put("3", KeyCondition.Is(4)))
        .Did("c", 5, 6, Get, Found("3", 8))
        .IsBad("on key k", 0, 1, 2);

    [Fact]
    public void A_repeated_request_is_one() => _story
        .Maybe("a", 1, Put("1", retry: "r"))
        .Did("a", 3, 4, Put("1", retry: "r"), Created(5))
        .Did("b", 5, 6, Put("2"), Replaced(6))
        .Did("a", 7, 8, Put("1", retry: "r"), Created(5))
        .Did("b", 9, 10, Get, Found("2", 6))
        .IsGood();

    [Fact]
    public void A_repeated_request_with_a_second_effect_is_bad() => _story
        .Did("a", 1, 2, Put("1", retry: "r"), Created(5))
        .Did("b", 3, 4, Put("2"), Replaced(6))
        .Maybe("a", 5, Put("1", retry: "r"))
        .Did("b", 7, 8, Get, Found("1", 7))
        .IsBad("on key k", 0, 1, 3);

    [Fact]
    public void A_repeated_request_with_another_outcome_is_bad() => _story
        .Did("a", 1, 2, Put("1", retry: "r"), Created(5))
        .Did("a", 3, 4, Put("1", retry: "r"), Replaced(6))
        .IsBad("first outcome", 0, 1);

    [Fact]
    public void A_repeated_request_has_its_effect_before_its_first_answer() => _story
        .Maybe("a", 1, Put("1", retry: "r"))
        .Did("a", 3, 4, Put("1", retry: "r"), Created(5))
        .Did("b", 5, 6, Get, Missing)
        .Did("a", 7, 8, Put("1", retry: "r"), Created(5))
        .IsBad("on key k", 1, 2);

    [Fact]
    public void The_log_has_the_order_of_time_over_all_keys() => _story
        .Did("a", 1, 2, new PutKey("k", "1"), Created(6))
        .Did("b", 3, 4, new PutKey("m", "1"), Created(5))
        .IsBad("lower index 5", 0, 1);

    [Fact]
    public void What_a_read_has_seen_has_a_lower_index_than_what_begins_then() => _story
        .Maybe("a", 1, Put("1"))
        .Did("b", 3, 4, Get, Found("1", 9))
        .Did("b", 5, 6, new PutKey("m", "1"), Created(8))
        .IsBad("lower index 8", 1, 2);

    [Fact]
    public void No_two_writes_have_one_index() => _story
        .Did("a", 1, 4, new PutKey("k", "1"), Created(5))
        .Did("b", 1, 4, new AppendEntry("1"), new Appended(1, 5))
        .IsBad("Raft index 5", 0, 1);

    [Fact]
    public void A_list_is_of_one_moment() => _story
        .Did("a", 1, 2, new PutKey("k1", "1"), Created(5))
        .Did("a", 1, 9, new PutKey("k1", "2"), Replaced(6))
        .Did("b", 1, 9, new PutKey("k2", "3"), Created(7))
        .Did("c", 1, 9, new ListKeys("k"), new Listed([new ListedKey("k1", "1", 5), new ListedKey("k2", "3", 7)]))
        .IsBad("a list", 1, 3);

    [Fact]
    public void A_list_shows_all_there_is() => _story
        .Did("a", 1, 2, new PutKey("k1", "1"), Created(5))
        .Did("b", 3, 4, new ListKeys("k"), new Listed([]))
        .IsBad("on key k1", 0, 1);

    [Fact]
    public void A_list_may_fall_between_writes() => _story
        .Did("a", 1, 2, new PutKey("k1", "1"), Created(5))
        .Did("a", 3, 9, new PutKey("k1", "2"), Replaced(7))
        .Did("b", 3, 9, new PutKey("k2", "3"), Created(6))
        .Maybe("d", 1, new DeleteKey("k2"))
        .Did("c", 3, 9, new ListKeys("k"), new Listed([new ListedKey("k1", "1", 5), new ListedKey("k2", "3", 6)]))
        .Did("c", 10, 11, new ListKeys("k"), new Listed([new ListedKey("k1", "2", 7)]))
        .IsGood();
}
