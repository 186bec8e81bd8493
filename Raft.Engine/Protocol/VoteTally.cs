namespace Raft.Engine.Protocol;

internal enum VoteOutcome
{
    Open,
    Won,
    Lost,
}

/// <summary>Who granted and who refused, of one campaign. A voter's first answer counts. PhD 3.4</summary>
internal sealed class VoteTally
{
    private readonly Dictionary<ServerId, bool> _answers = [];

    public bool HasAnswered(ServerId voter) => _answers.ContainsKey(voter);

    public void Record(ServerId voter, bool isGranted) => _answers.TryAdd(voter, isGranted);

    /// <summary>The outcome under the configuration in force: both sets while joint. Others' answers do not count. Rule 12</summary>
    public VoteOutcome OutcomeIn(Configuration configuration)
    {
        VoteOutcome current = OutcomeOf(configuration.Current);
        if (!configuration.IsJoint || current == VoteOutcome.Lost)
            return current;

        VoteOutcome previous = OutcomeOf(configuration.Previous);
        return previous == VoteOutcome.Won ? current : previous;
    }

    private VoteOutcome OutcomeOf(IReadOnlyList<Member> members)
    {
        int voters = 0;
        int granted = 0;
        int refused = 0;
        foreach (Member member in members)
        {
            if (member.Kind != MemberKind.Voter)
                continue;
            voters++;
            if (_answers.TryGetValue(member.Id, out bool isGranted))
            {
                granted += isGranted ? 1 : 0;
                refused += isGranted ? 0 : 1;
            }
        }

        int quorum = Quorum.SizeOf(voters);
        return voters > 0 && granted >= quorum ? VoteOutcome.Won
            : voters - refused < quorum ? VoteOutcome.Lost
            : VoteOutcome.Open;
    }
}
