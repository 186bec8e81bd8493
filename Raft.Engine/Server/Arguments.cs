using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>What callers hand in, checked before it reaches the shard: there an error would meet everybody's calls.</summary>
internal static class Arguments
{
    private const int NodeIdCharactersMax = 63;
    private const int UrlCharactersMax = 2_048;
    private const int MembersMax = 1_000;

    private static readonly UTF8Encoding _utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="ArgumentOutOfRangeException">It is no value of the enumeration.</exception>
    public static void Verify(WaitFor wait)
    {
        if (wait is not (WaitFor.Committed or WaitFor.Applied))
            throw new ArgumentOutOfRangeException(nameof(wait), wait, "Allowed: Committed, Applied.");
    }

    /// <exception cref="ArgumentOutOfRangeException">It is negative, and not <see cref="Timeout.InfiniteTimeSpan"/>.</exception>
    public static void Verify(TimeSpan timeout)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "A time-out is zero, more, or Timeout.InfiniteTimeSpan.");
    }

    /// <summary>The lists belong to the caller, who may go on using them.</summary>
    public static MembershipChange Copy(MembershipChange change) => change with
    {
        Set = change.Set is null ? null : [.. change.Set],
        Add = change.Add is null ? [] : [.. change.Add],
        Remove = change.Remove is null ? [] : [.. change.Remove],
    };

    /// <summary>Why this cannot be a change of any configuration; null when it may be one.</summary>
    public static string? FaultOf(MembershipChange change)
    {
        if (change.Add is null || change.Remove is null)
            return "A change has lists of members, which may be empty.";
        if ((change.Set?.Count ?? 0) > MembersMax || change.Add.Count > MembersMax || change.Remove.Count > MembersMax)
            return $"A change names at most {MembersMax} members.";

        for (int i = 0; i < change.Set?.Count; i++)
        {
            if (FaultOf(change.Set[i]) is { } fault)
                return fault;
        }

        for (int i = 0; i < change.Add.Count; i++)
        {
            if (FaultOf(change.Add[i]) is { } fault)
                return fault;
        }

        for (int i = 0; i < change.Remove.Count; i++)
        {
            if (FaultOf(change.Remove[i].Node) is { } fault)
                return fault;
        }

        return null;
    }

    /// <summary>Why this can be no node's id; null when it can.</summary>
    public static string? FaultOf(NodeId node)
    {
        if (string.IsNullOrEmpty(node.Value) || node.Value.Length > NodeIdCharactersMax)
            return $"A node id has 1 to {NodeIdCharactersMax} characters; this one has {node.Value?.Length ?? 0}.";
        return IsText(node.Value) ? null : "A node id holds half of a surrogate pair, which no encoding can carry.";
    }

    private static string? FaultOf(Member? member)
    {
        if (member is null)
            return "A member is null.";
        if (FaultOf(member.Node) is { } fault)
            return fault;
        if (member.Kind is not (MemberKind.Voter or MemberKind.Learner or MemberKind.Joining))
            return $"'{member.Node}' has the kind {(byte)member.Kind}; allowed: Voter, Learner, Joining.";
        return FaultOf(member, nameof(Member.PeerUrl), member.PeerUrl) ?? FaultOf(member, nameof(Member.ApiUrl), member.ApiUrl);
    }

    private static string? FaultOf(Member member, string name, string? url)
    {
        if (url is null || url.Length > UrlCharactersMax)
            return $"The {name} of '{member.Node}' has {url?.Length ?? 0} characters; allowed: 0 to {UrlCharactersMax}, and not null.";
        return IsText(url) ? null : $"The {name} of '{member.Node}' holds half of a surrogate pair, which no encoding can carry.";
    }

    private static bool IsText(string value)
    {
        try
        {
            _ = _utf8.GetByteCount(value);
            return true;
        }
        catch (EncoderFallbackException)
        {
            return false;
        }
    }
}
