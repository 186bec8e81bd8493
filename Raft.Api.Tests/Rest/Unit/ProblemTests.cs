using System.Text.Json;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host.Api;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.Rest.Unit;

public sealed class ProblemTests
{
    public static TheoryData<RaftException, int, string> Errors => new()
    {
        { new NotLeaderException(null), 503, "notSubmitted" },
        { new NotMemberException("x"), 503, "notSubmitted" },
        { new DroppedEntryException(new EntryId(new LogIndex(1), new Term(1))), 503, "notSubmitted" },
        { new CommitStatusUnknownException("x"), 504, "unknown" },
        { new StoppedException("x", WriteOutcome.NotSubmitted), 503, "notSubmitted" },
        { new StoppedException("x", WriteOutcome.Unknown), 504, "unknown" },
        { new CommandTooBigException(2, 1), 413, "notSubmitted" },
        { new TransportException("x"), 504, "unknown" },
        { new OverloadedException("x"), 429, "notSubmitted" },
        { new RaftTimeoutException("x"), 503, "notSubmitted" },
        { new RaftTimeoutException("x", WriteOutcome.Unknown), 504, "unknown" },
        { new DestinationNotAliveException(default), 503, "notSubmitted" },
        { new ConfigurationChangeInProgressException("x"), 409, "notSubmitted" },
        { new InvalidConfigurationException("x"), 400, "notSubmitted" },
        { new ConfigurationMovedException("x"), 412, "notSubmitted" },
        { new InvalidTransferTargetException("x"), 409, "notSubmitted" },
        { new MemberUnreachableException(new NodeId("n1"), "x"), 409, "notSubmitted" },
        { new NoOtherVoterException(), 409, "notSubmitted" },
        { new OutOfSpaceException("x"), 507, "notSubmitted" },
        { new OutOfMemoryBudgetException("x"), 507, "notSubmitted" },
        { new WrongShardException(), 500, "unknown" },
        { new CorruptStorageException("f", 1, "d", "r"), 500, "unknown" },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void Every_error_says_what_became_of_the_write(RaftException error, int status, string outcome)
    {
        Problem problem = Problems.From(error);
        Assert.Equal((status, outcome), (problem.Status, problem.Outcome));
        Assert.Equal(status is 503 or 429 or 507 || error is ConfigurationChangeInProgressException, problem.RetryAfter is not null);
        JsonElement json = JsonElement.Parse(problem.ToBytes(isWrite: true));
        Assert.Equal(outcome, json.GetProperty("outcome").GetString());
        Assert.False(JsonElement.Parse(problem.ToBytes(isWrite: false)).TryGetProperty("outcome", out _));
    }

    /// <summary>The contract of the status codes: of 4xx only a 408 leaves it open.</summary>
    [Theory]
    [InlineData(400, "notSubmitted")]
    [InlineData(404, "notSubmitted")]
    [InlineData(408, "unknown")]
    [InlineData(413, "notSubmitted")]
    [InlineData(431, "notSubmitted")]
    [InlineData(500, "unknown")]
    [InlineData(503, "notSubmitted")]
    public void A_status_code_says_what_became_of_the_write(int status, string outcome) =>
        Assert.Equal((status, outcome), (Problems.OfStatus(status, "x").Status, Problems.OfStatus(status, "x").Outcome));

    [Fact]
    public void Results_that_are_no_success_have_their_status()
    {
        Assert.Equal(412, Problems.From(new PreconditionFailed(5, 6, new Term(1)))!.Status);
        Assert.Equal(422, Problems.From(KeyReused.Instance)!.Status);
        Assert.Equal(409, Problems.From(new KeyTooOld(600))!.Status);
        Assert.Equal((409, "key-from-the-future"), (Problems.From(new KeyFromTheFuture(70_000))!.Status, Problems.From(new KeyFromTheFuture(70_000))!.Name));
        Assert.Equal((429, 2), (Problems.From(new TableFull(1, 1500))!.Status, Problems.From(new TableFull(1, 1500))!.RetryAfter!.Value));
        Assert.Null(Problems.From(new Put(1, true, new Term(1))));
    }

    [Fact]
    public void A_lost_result_is_committed_unless_it_may_have_been_refused()
    {
        Assert.Equal((504, "committed"), (Problems.ResultLost(isExecuted: true).Status, Problems.ResultLost(isExecuted: true).Outcome));
        Assert.Equal((504, "unknown"), (Problems.ResultLost(isExecuted: false).Status, Problems.ResultLost(isExecuted: false).Outcome));
    }

    [Fact]
    public void What_failed_in_all_groups_is_one_problem_and_what_failed_in_some_is_told_group_by_group()
    {
        var done = new GroupResult("a", GroupResult.Done);
        var failed = new GroupResult("b", GroupResult.Failed) { Problem = Problems.InFlight };
        var idle = new GroupResult("c", GroupResult.NothingToDo);
        Assert.Null(EachGroup.ProblemOf([done, idle]));
        Assert.Same(Problems.InFlight, EachGroup.ProblemOf([failed, idle, failed]));

        Problem partly = EachGroup.ProblemOf([done, failed, idle])!; // not null: one failed
        Assert.Equal((504, "partly-done", "unknown"), (partly.Status, partly.Name, partly.Outcome));
        JsonElement groups = JsonElement.Parse(partly.ToBytes(isWrite: true)).GetProperty("groups");
        Assert.Equal(["a done", "b failed", "c nothingToDo"], groups.EnumerateArray().Select(group => $"{group.GetProperty("group")} {group.GetProperty("outcome")}"));
        Assert.NotEmpty(groups[1].GetProperty("detail").GetString()!);

        // One whose fate is not known: nobody may say that nothing was done.
        var unknown = new GroupResult("d", GroupResult.Failed) { Problem = Problems.Unexpected("x") };
        Assert.Equal("partly-done", EachGroup.ProblemOf([failed, unknown])!.Name);
    }
}
