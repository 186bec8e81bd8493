using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>What every data route needs: the group that it is for, a deadline, and the way into the log.</summary>
internal sealed class ApiServices(ApiSettings settings, GroupRegistry groups, NodeState state)
{
    /// <summary>Until clients authenticate, all are one principal.</summary>
    public const string Principal = "anonymous";

    private readonly ConcurrentDictionary<string, bool> _keysInFlight = new(StringComparer.Ordinal);

    public ApiSettings Settings { get; } = settings;
    public GroupRegistry Groups { get; } = groups;
    public NodeState State { get; } = state;
    public Deadlines Deadlines { get; } = new(settings.RequestTimeoutMs);

    /// <summary>The group that the path names, or the default one.</summary>
    /// <exception cref="ProblemException">404, or 503 while the node does not take part.</exception>
    public HostedGroup GroupOf(HttpContext context)
    {
        NodeState.Snapshot now = State.Now;
        if (now.Phase is not (NodePhase.Running or NodePhase.Stopping))
            throw new ProblemException(Problems.NotRunning(Names.Of(now.Phase), now.Reason));
        string name = context.Request.RouteValues.TryGetValue("group", out object? value) ? (string)value! : GroupRegistry.DefaultGroup.Value;
        HostedGroup group = Groups.Find(name) ?? throw new ProblemException(Problems.NoGroup(name));
        return group;
    }

    /// <summary>Linearizable unless the request says otherwise: returns when this node has applied all that was committed when it asked.</summary>
    public async ValueTask ReadAsync(HttpContext context, HostedGroup group)
    {
        if (context.Request.QueryString.HasValue && context.Request.Query.TryGetValue("consistency", out var values))
        {
            string consistency = values.ToString();
            if (consistency.Equals("stale", StringComparison.OrdinalIgnoreCase))
            {
                context.Response.Headers[RaftHeaders.AppliedIndex] = RaftHeaders.Text(group.Server.AppliedIndex.Value);
                return;
            }

            if (!consistency.Equals("linearizable", StringComparison.OrdinalIgnoreCase))
                throw new ProblemException(Problems.BadRequest("bad-query", $"consistency is '{consistency}'; allowed: linearizable, stale."));
        }

        using Deadlines.Deadline deadline = Deadlines.Start(context.RequestAborted);
        LogIndex applied = await group.Server.ReadBarrierAsync(deadline.Token);
        RaftHeaders.Set(context, group.Server.CurrentTerm, applied);
    }

    /// <summary>One write, from its headers to its result. Replayed outcomes are marked and unpacked.</summary>
    /// <param name="resource">As the same in every request for the same thing.</param>
    /// <param name="check">Looks at the body before anything is submitted.</param>
    public async Task<(AddedEntry Entry, StoreResult? Result)> WriteAsync(
        HttpContext context, HostedGroup group, CommandKind kind, string resource, byte[] key, Precondition precondition, string? contentType,
        WaitFor wait = WaitFor.Applied, Action<ReadOnlySpan<byte>>? check = null)
    {
        string? idempotencyKey = RequestHeaders.IdempotencyKey(context.Request);
        if (wait == WaitFor.Committed && (idempotencyKey is not null || precondition.Kind != PreconditionKind.None))
            throw new ProblemException(Problems.BadRequest("bad-wait", "wait=committed has no result to give, so it cannot be combined with an Idempotency-Key or a precondition."));

        string? inFlight = idempotencyKey is null ? null : $"{group.Id.Value}\n{Principal}\n{idempotencyKey}";
        if (inFlight is not null && !_keysInFlight.TryAdd(inFlight, true))
            throw new ProblemException(Problems.InFlight);

        try
        {
            using Deadlines.Deadline deadline = Deadlines.Start(context.RequestAborted);
            byte[] command = await ReadCommandAsync(context, group, kind, resource, key, precondition, contentType, idempotencyKey, check, deadline.Token);
            AddedEntry entry = await group.Server.AddEntryAsync(command, wait, deadline.Token);
            RaftHeaders.Set(context, entry.Term, entry.Index);
            var result = entry.Result as StoreResult;
            if (result is Replayed replayed)
            {
                context.Response.Headers[RaftHeaders.Replayed] = "true";
                result = replayed.First;
            }

            return (entry, result);
        }
        finally
        {
            if (inFlight is not null)
                _keysInFlight.TryRemove(inFlight, out _);
        }
    }

    private async ValueTask<byte[]> ReadCommandAsync(
        HttpContext context, HostedGroup group, CommandKind kind, string resource, byte[] key, Precondition precondition, string? contentType,
        string? idempotencyKey, Action<ReadOnlySpan<byte>>? check, CancellationToken cancellation)
    {
        IdempotencyInfo? idempotency = idempotencyKey is null ? null : new IdempotencyInfo(
            Principal, idempotencyKey, new byte[StoreCommands.Sha256Bytes], Settings.IdempotencyMaxKeys, Settings.IdempotencyMinAgeSeconds);
        string? storedType = kind is CommandKind.Append or CommandKind.Put ? contentType : null;
        int headerBytes = StoreCommands.HeaderBytes(kind, precondition, idempotency, storedType, key);
        CommandReader.Body body;
        try
        {
            body = await CommandReader.ReadAsync(context, headerBytes, Settings.MaxCommandBytes, cancellation);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ProblemException(
                Problems.OfStatus(StatusCodes.Status408RequestTimeout, $"The body did not arrive within {Settings.RequestTimeoutMs} ms.") with { EndsConnection = true });
        }

        check?.Invoke(body.Payload);
        if (idempotency is not null)
        {
            idempotency = idempotency with
            {
                Sha256 = CommandReader.Sha256Of(context.Request.Method, group.Id.Value, resource, key, precondition, contentType, body.Payload),
            };
        }

        StoreCommands.WriteHeader(body.Bytes, kind, precondition, idempotency, Settings.JournalMaxEntries, Settings.JournalMaxBytes, storedType, key);
        return body.Bytes;
    }
}

/// <summary>Enumerations as the interface spells them.</summary>
internal static class Names
{
    public static string Of(NodePhase phase) => phase switch
    {
        NodePhase.Starting => "starting",
        NodePhase.Forming => "forming",
        NodePhase.Running => "running",
        NodePhase.Quarantine => "quarantine",
        _ => "stopping",
    };

    public static string Of(Role role) => role switch
    {
        Role.Leader => "leader",
        Role.Candidate => "candidate",
        Role.Follower => "follower",
        _ => "preCandidate",
    };

    public static string Of(MemberKind kind) => kind switch
    {
        MemberKind.Voter => "voter",
        MemberKind.Learner => "learner",
        _ => "joining",
    };
}
