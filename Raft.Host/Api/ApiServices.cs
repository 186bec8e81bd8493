using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>What every data route needs: the group that it is for, a deadline, and the way into the log.</summary>
internal sealed class ApiServices(ApiSettings settings, GroupRegistry groups, NodeState state, BodyBudget bodies)
{
    /// <summary>Until clients authenticate, all are one principal.</summary>
    public const string Principal = "anonymous";

    private readonly ConcurrentDictionary<string, bool> _keysInFlight = new(StringComparer.Ordinal);

    public ApiSettings Settings { get; } = settings;
    public GroupRegistry Groups { get; } = groups;
    public NodeState State { get; } = state;
    public Deadlines Deadlines { get; } = new(settings.RequestTimeoutMs);

    /// <summary>The group that the path names, or the first one.</summary>
    /// <exception cref="ProblemException">404, or 503 while the node does not take part.</exception>
    public HostedGroup GroupOf(HttpContext context)
    {
        NodeState.Snapshot now = State.Now;
        if (now.Phase is not (NodePhase.Running or NodePhase.Stopping))
            throw new ProblemException(Problems.NotRunning(Names.Of(now.Phase), now.Reason));
        return Groups.Named(context) ?? throw new ProblemException(GroupNames.InPath(context) is { } name && !Groups.Expected.Contains(name)
            ? Problems.NoGroup(name, Groups)
            : Problems.NotRunning(Names.Of(now.Phase), "the group is being started."));
    }

    /// <summary>The same, for a request that reads or writes the group's state.</summary>
    /// <exception cref="ProblemException">Also 503 while its state is known to differ from the others'.</exception>
    public HostedGroup DataGroupOf(HttpContext context)
    {
        HostedGroup group = GroupOf(context);
        if (group.Machine.HashAlarm is { } alarm)
            throw new ProblemException(Problems.StateDiffers(group.Id.Value, alarm));
        return group;
    }

    /// <summary>The group that the path names; without one all groups, the first one first.</summary>
    public IReadOnlyList<HostedGroup> GroupsOf(HttpContext context)
    {
        HostedGroup first = GroupOf(context);
        return GroupNames.InPath(context) is not null ? [first]
            : [first, .. Groups.All.Where(group => group.Id != first.Id).OrderBy(group => group.Id.Value, StringComparer.Ordinal)];
    }

    /// <summary>The built-in state machine of the group.</summary>
    /// <exception cref="ProblemException">404: the group has another.</exception>
    public static Store StoreOf(HostedGroup group) =>
        group.Store ?? throw new ProblemException(Problems.NoStore(group.Id.Value, group.Machine.Inner.GetType().Name));

    /// <summary>Linearizable unless the request says otherwise: returns when this node has applied all that was committed when it asked.</summary>
    public async ValueTask ReadAsync(HttpContext context, HostedGroup group)
    {
        if (Query.Text(context.Request, "consistency") is { } consistency)
        {
            if (consistency.Equals("stale", StringComparison.OrdinalIgnoreCase))
            {
                // Before the read itself, so what is read is at least as new as these say.
                RaftHeaders.SetStale(context, group.Server);
                return;
            }

            if (!consistency.Equals("linearizable", StringComparison.OrdinalIgnoreCase))
                throw new ProblemException(Problems.BadRequest("bad-query", $"consistency is '{consistency}'; allowed: linearizable, stale."));
        }

        await BarrierAsync(context, group);
    }

    /// <summary>Returns when this node has applied all that was committed when it asked.</summary>
    public async ValueTask<LogIndex> BarrierAsync(HttpContext context, HostedGroup group)
    {
        using Deadlines.Deadline deadline = Deadlines.Start(context.RequestAborted);
        LogIndex applied = await group.Server.ReadBarrierAsync(deadline.Token);
        RaftHeaders.Set(context, group.Server.CurrentTerm, applied);
        return applied;
    }

    /// <summary>One write, from its headers to its result. Replayed outcomes are marked and unpacked.</summary>
    /// <param name="resource">As the same in every request for the same thing.</param>
    /// <param name="check">Looks at the body before anything is submitted.</param>
    public async Task<(AddedEntry Entry, StoreResult? Result)> WriteAsync(
        HttpContext context, HostedGroup group, CommandKind kind, string resource, byte[] key, Precondition precondition, string? contentType,
        WaitFor wait = WaitFor.Applied, Action<ReadOnlySpan<byte>>? check = null)
    {
        Store store = StoreOf(group);
        string? idempotencyKey = RequestHeaders.IdempotencyKey(context.Request);
        if (wait == WaitFor.Committed && (idempotencyKey is not null || precondition.Kind != PreconditionKind.None))
            throw new ProblemException(Problems.BadRequest("bad-wait", "wait=committed has no result to give, so it cannot be combined with an Idempotency-Key or a precondition."));

        string? inFlight = idempotencyKey is null ? null : $"{group.Id.Value}\n{Principal}\n{idempotencyKey}";
        if (inFlight is not null && !_keysInFlight.TryAdd(inFlight, true))
            throw new ProblemException(Problems.InFlight);

        try
        {
            using Deadlines.Deadline deadline = Deadlines.Start(context.RequestAborted);
            (byte[] command, IdempotencyInfo? idempotency) = await ReadCommandAsync(
                context, group, kind, resource, key, precondition, contentType, idempotencyKey, check, deadline.Token);
            AddedEntry entry = await group.Server.AddEntryAsync(command, wait, deadline.Token);
            RaftHeaders.Set(context, entry.Term, entry.Index);
            if (entry.IsResultLost && wait == WaitFor.Applied)
                return (entry, ResultInStore(store, idempotency, precondition));

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

    /// <summary>One command of a state machine that is not ours: the body, as it is.</summary>
    public async Task<AddedEntry> WriteRawAsync(HttpContext context, HostedGroup group, WaitFor wait)
    {
        if (RequestHeaders.IdempotencyKey(context.Request) is not null)
            throw new ProblemException(Problems.KeysNotKept(group.Id.Value, group.Machine.Inner.GetType().Name));

        using Deadlines.Deadline deadline = Deadlines.Start(context.RequestAborted);
        CommandReader.Body body = await ReadBodyAsync(context, headerBytes: 0, Settings.MaxCommandBytes, deadline.Token);
        AddedEntry entry = await group.Server.AddEntryAsync(body.Bytes, wait, deadline.Token);
        RaftHeaders.Set(context, entry.Term, entry.Index);
        return entry.IsResultLost && wait == WaitFor.Applied ? throw new ProblemException(Problems.ResultLost(isExecuted: true)) : entry;
    }

    /// <summary>The whole body, within a limit and a time.</summary>
    /// <exception cref="ProblemException">408 or 413.</exception>
    public async ValueTask<CommandReader.Body> ReadBodyAsync(HttpContext context, int headerBytes, int limit, CancellationToken cancellation)
    {
        await TakeMemoryAsync(context, limit, cancellation);
        try
        {
            return await CommandReader.ReadAsync(context, headerBytes, limit, cancellation);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ProblemException(
                Problems.OfStatus(StatusCodes.Status408RequestTimeout, $"The body did not arrive within {Settings.RequestTimeoutMs} ms.") with { EndsConnection = true });
        }
    }

    /// <summary>Room for a large body, until the request ends. The body is not read before.</summary>
    /// <exception cref="ProblemException">429: there was none in time.</exception>
    private async ValueTask TakeMemoryAsync(HttpContext context, int limit, CancellationToken cancellation)
    {
        long bytes = Math.Min(context.Request.ContentLength ?? limit, limit);       // what is longer is refused unread
        if (bytes <= BodyBudget.SmallBytes)
            return;

        try
        {
            context.Response.RegisterForDispose(await bodies.TakeAsync(bytes, cancellation));
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ProblemException(Problems.NoRoomForBody(bodies.HeldBytes, bodies.MaxBytes));
        }
    }

    /// <summary>A snapshot of another node overtook the entry: it was applied there, and its result is not known here, unless the
    /// state has kept it with its key. Rule 11.</summary>
    private static StoreResult ResultInStore(Store store, IdempotencyInfo? idempotency, Precondition precondition)
    {
        if (idempotency is not { } asked)
            throw new ProblemException(Problems.ResultLost(isExecuted: precondition.Kind == PreconditionKind.None));

        // No key there: it was refused (too old, table full), or settled and forgotten since.
        SettledKey settled = store.FindSettled(Principal, asked.Key) ?? throw new ProblemException(Problems.ResultLost(isExecuted: false));
        return settled.Sha256.AsSpan().SequenceEqual(asked.Sha256) ? settled.Outcome : KeyReused.Instance;
    }

    private async ValueTask<(byte[] Command, IdempotencyInfo? Idempotency)> ReadCommandAsync(
        HttpContext context, HostedGroup group, CommandKind kind, string resource, byte[] key, Precondition precondition, string? contentType,
        string? idempotencyKey, Action<ReadOnlySpan<byte>>? check, CancellationToken cancellation)
    {
        IdempotencyInfo? idempotency = idempotencyKey is null ? null : new IdempotencyInfo(
            Principal, idempotencyKey, new byte[StoreCommands.Sha256Bytes], Settings.IdempotencyMaxKeys, Settings.IdempotencyMinAgeSeconds);
        string? storedType = kind is CommandKind.Append or CommandKind.Put ? contentType : null;
        int headerBytes = StoreCommands.HeaderBytes(kind, precondition, idempotency, storedType, key);
        CommandReader.Body body = await ReadBodyAsync(context, headerBytes, Settings.MaxCommandBytes, cancellation);
        check?.Invoke(body.Payload);
        if (idempotency is not null)
        {
            idempotency = idempotency with
            {
                Sha256 = CommandReader.Sha256Of(context.Request.Method, group.Id.Value, resource, key, precondition, contentType, body.Payload),
            };
        }

        StoreCommands.WriteHeader(body.Bytes, kind, precondition, idempotency, Settings.JournalMaxEntries, Settings.JournalMaxBytes, storedType, key);
        return (body.Bytes, idempotency);
    }
}
