using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host.Hosting;

namespace Raft.Host.Api;

/// <summary>What became of a request in one group.</summary>
/// <param name="Outcome">One of the constants below.</param>
/// <param name="Detail">For people.</param>
internal sealed record GroupResult(string Group, string Outcome, string? Detail = null)
{
    public const string Done = "done";
    public const string InProgress = "inProgress";
    public const string NothingToDo = "nothingToDo";
    public const string Failed = "failed";

    /// <summary>Of the configuration that the change led to.</summary>
    public LogIndex? Index { get; init; }

    /// <summary>Who leads now.</summary>
    public NodeId? Leader { get; init; }

    /// <summary>With Failed: why.</summary>
    public Problem? Problem { get; init; }

    public GroupOutcomeDocument ToDocument() => new(Group, Outcome, Index?.Value, Leader?.Value, Detail ?? Problem?.Detail);
}

/// <summary>One request that is for every group: each is asked by itself, and reported by itself.</summary>
internal static class EachGroup
{
    /// <summary>Hundreds of groups must not wait for each other's round trips; nor crowd out everything else.</summary>
    private const int AtOnce = 16;

    /// <summary>Runs the step for the first group, and then for the others.</summary>
    /// <param name="groups">At least one.</param>
    /// <param name="firstDecides">A failure in the first one ends the request before anything was done in the others.</param>
    /// <param name="step">What it throws is that group's result.</param>
    /// <param name="clientGone">No further group is begun.</param>
    public static async Task<GroupResult[]> RunAsync(
        IReadOnlyList<HostedGroup> groups, bool firstDecides, Func<HostedGroup, Task<GroupResult>> step, CancellationToken clientGone)
    {
        var results = new GroupResult[groups.Count];
        results[0] = await TryAsync(groups[0], step);
        if (results[0].Problem is { } refused && (firstDecides || groups.Count == 1))
            throw new ProblemException(refused);

        await Parallel.ForAsync(1, groups.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = clientGone },
            async (i, _) => results[i] = await TryAsync(groups[i], step));
        return results;
    }

    /// <summary>Null when no group failed. When nothing was done anywhere, the first failure; else all of it, group by group.</summary>
    public static Problem? ProblemOf(IReadOnlyList<GroupResult> results)
    {
        GroupResult[] failed = [.. results.Where(result => result.Problem is not null)];
        if (failed.Length == 0)
            return null;

        bool nothingDone = results.All(result => result.Outcome == GroupResult.NothingToDo || result.Problem?.Outcome == Problem.NotSubmitted);
        return nothingDone ? failed[0].Problem : Problems.PartlyDone(failed.Length, results);
    }

    private static async Task<GroupResult> TryAsync(HostedGroup group, Func<HostedGroup, Task<GroupResult>> step)
    {
        try
        {
            return await step(group);
        }
        catch (ProblemException refused)
        {
            return FailedBy(refused.Problem);
        }
        catch (RaftException error)
        {
            return FailedBy(Problems.From(error));
        }

        GroupResult FailedBy(Problem problem) => new(group.Id.Value, GroupResult.Failed) { Problem = problem };
    }
}
