using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;

namespace Raft.Host.Api;

/// <summary>Raft-Node, Raft-Term, Raft-Index on every answer: who speaks, and from where in its history.</summary>
public static class RaftHeaders
{
    public const string Node = "Raft-Node";
    public const string Term = "Raft-Term";
    public const string Index = "Raft-Index";
    public const string AppliedIndex = "Raft-Applied-Index";
    public const string StalenessMs = "Raft-Staleness-Ms";
    public const string Replayed = "Idempotency-Replayed";

    /// <summary>Before the route: what this node knows. A route that knows better overwrites it.</summary>
    internal static void Set(HttpContext context, string node, HostedGroup? group)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers[Node] = node;
        headers[Term] = group is null ? "0" : Text(group.Server.CurrentTerm.Value);
        headers[Index] = group is null ? "0" : Text(group.Server.AppliedIndex.Value);
    }

    /// <summary>Of a write: its own term and index.</summary>
    internal static void Set(HttpContext context, Term term, LogIndex index)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers[Term] = Text(term.Value);
        headers[Index] = Text(index.Value);
    }

    /// <summary>Of a stale read: how far this node has applied, and for how long it may have missed something. Without the second
    /// one it never has caught up with a leader since its start: a client that wants a bound must not take the answer.</summary>
    internal static void SetStale(HttpContext context, RaftServer server)
    {
        IHeaderDictionary headers = context.Response.Headers;
        if (server.Staleness is { } staleness)
            headers[StalenessMs] = Text((long)Math.Ceiling(staleness.TotalMilliseconds));
        headers[AppliedIndex] = Text(server.AppliedIndex.Value);
    }

    internal static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
