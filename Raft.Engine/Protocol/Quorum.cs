namespace Raft.Engine.Protocol;

/// <summary>Majority and joint arithmetic. While joint both sets must agree. PhD 4.3</summary>
internal static class Quorum
{
    /// <summary>How many of so many voters are a majority.</summary>
    public static int SizeOf(int voters) => (voters / 2) + 1;

    /// <summary>The highest index that a majority of these voters holds durably; zero without voters. A disk that lost data
    /// holds nothing for certain. Rule 13</summary>
    public static LogIndex IndexOnMajority(ReadOnlySpan<Progress> voters)
    {
        if (voters.IsEmpty)
            return LogIndex.Zero;

        Span<long> sorted = voters.Length <= 32 ? stackalloc long[voters.Length] : new long[voters.Length];
        for (int i = 0; i < voters.Length; i++)
        {
            long match = voters[i].HasLostData ? 0 : voters[i].MatchIndex.Value;
            int at = i;
            for (; at > 0 && sorted[at - 1] > match; at--)
                sorted[at] = sorted[at - 1];
            sorted[at] = match;
        }

        return new LogIndex(sorted[voters.Length - SizeOf(voters.Length)]);
    }

    /// <summary>Whether the claim holds for a majority of these voters; never without voters.</summary>
    public static bool IsMajority<TState>(ReadOnlySpan<Progress> voters, TState state, Func<Progress, TState, bool> claim)
    {
        int count = 0;
        foreach (Progress voter in voters)
        {
            if (claim(voter, state))
                count++;
        }

        return !voters.IsEmpty && count >= SizeOf(voters.Length);
    }
}
