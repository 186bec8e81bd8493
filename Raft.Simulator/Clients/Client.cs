using System.Globalization;
using System.Text;
using Raft.Engine.Errors;
using Raft.Engine.Server;
using Raft.Host.StateMachine;
using Raft.Simulator.Histories;

namespace Raft.Simulator;

/// <summary>A client: one operation after the other, through any node. What it does not know it asks again, if it has a key for that.</summary>
internal sealed class Client(string name, SimulatedCluster cluster, ClientHistories histories)
{
    private const int AttemptsMax = 6;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Queue<Random> _planned = new();
    private readonly Dictionary<string, long> _revisions = [];
    private int _count;
    private bool _isBusy;

    /// <summary>Nothing is planned or under way.</summary>
    public bool IsIdle => !_isBusy && _planned.Count == 0;

    /// <summary>Some operation, once the earlier ones have ended.</summary>
    public void Plan(Random random)
    {
        _planned.Enqueue(random);
        if (!_isBusy)
            _ = RunAsync();
    }

    private async Task RunAsync()
    {
        _isBusy = true;
        try
        {
            while (_planned.TryDequeue(out Random? random))
                await TryAsync(random);
        }
        catch (Exception error)
        {
            cluster.World.Violate($"Clients: {name}: {error}");
        }

        _isBusy = false;
    }

    private async Task TryAsync(Random random)
    {
        SimulatedGroup group = cluster.Groups[random.Next(cluster.Groups.Count)];
        Operation operation = Draw(random);
        for (int attempt = 1; attempt <= AttemptsMax; attempt++)
        {
            SimulatedNode node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
            bool isMember = cluster.LeaderOf(group) is { } leader ? leader.Status.Configuration.Contains(node.Server) : node.Find(group)?.Status.IsMember == true;
            if (!isMember && random.Next(20) > 0)
                continue;                           // not often: who is outside cannot answer, and takes its time to say so
            if (await TryAsync(group, node, operation, random) is not { } isKnown)
                continue;                           // it did not happen: once more
            if (isKnown || KeyOf(operation) is null)
                return;
            await cluster.World.PassAsync(TimeSpan.FromMilliseconds(random.Next(1, 300)));
        }
    }

    /// <summary>True: answered. False: nobody knows. Null: it did not happen.</summary>
    private async Task<bool?> TryAsync(SimulatedGroup group, SimulatedNode node, Operation operation, Random random)
    {
        History history = histories.Of(group);
        World world = cluster.World;
        int id = history.Invoke(name, operation, world.Time.Ticks);
        world.Trace($"{name} #{id} on {node.Id} {group.Id}: {operation}");
        bool? isKnown;
        string answer;
        try
        {
            Outcome? outcome = await AskAsync(group, node, operation, random);
            if (outcome is not null)
                history.Complete(id, outcome, world.Time.Ticks);
            else
                history.Unknown(id, world.Time.Ticks);      // committed, and nobody knows with which result
            isKnown = outcome is not null;
            answer = outcome?.ToString() ?? "committed";
            Remember(operation, outcome);
        }
        catch (RaftException error) when (error.Outcome == WriteOutcome.NotSubmitted)
        {
            history.NeverHappened(id, world.Time.Ticks);
            isKnown = null;
            answer = error.Message;
        }
        catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
        {
            history.Unknown(id, world.Time.Ticks);
            isKnown = false;
            answer = $"unknown: {error.Message}";
        }

        world.Hash.Add(id, isKnown is null ? 2 : isKnown.Value ? 1 : 0);
        world.Trace($"{name} #{id}: {answer}");
        return isKnown;
    }

    private static Task<Outcome?> AskAsync(SimulatedGroup group, SimulatedNode node, Operation operation, Random random)
    {
        if (KeyOf(operation) is null && operation is GetKey or ListKeys or ReadEntries)
            return node.CallAsync(group, Patience, (server, cancellation) => ReadAsync(server, operation, cancellation));

        WaitFor wait = random.Next(10) == 0 ? WaitFor.Committed : WaitFor.Applied;
        return node.CallAsync(group, Patience, (server, cancellation) => WriteAsync(server, operation, wait, cancellation));
    }

    private static async Task<Outcome?> WriteAsync(SimulatedServer server, Operation operation, WaitFor wait, CancellationToken cancellation)
    {
        AddedEntry added = await server.Server.AddEntryAsync(Commands.Encode(operation), wait, cancellation);
        server.Group.OnAcknowledged(server, new(added.Index, added.Term));
        StoreResult? result = added.Result as StoreResult;
        if (added.IsResultLost && KeyOf(operation) is { } key)
            result = server.Store.FindSettled(Commands.Principal, key)?.Outcome;    // as the host's API does
        if (result is null)
            return null;
        return Commands.OutcomeOf(result) ?? throw new InvalidOperationException($"{operation} was answered with {result}.");
    }

    private static async Task<Outcome?> ReadAsync(SimulatedServer server, Operation operation, CancellationToken cancellation)
    {
        await server.Server.ReadBarrierAsync(cancellation);
        switch (operation)
        {
            case GetKey get:
                return server.Store.Get(Encoding.UTF8.GetBytes(get.Key)) is { } found ? new Found(TextOf(found.Value), found.Revision) : new Missing();
            case ListKeys list:
                KeyRange range = server.Store.Range(Encoding.UTF8.GetBytes(list.Prefix), after: [], limit: 1000, maxBytes: 1 << 20);
                return new Listed([.. range.Items.Select(item => new ListedKey(Encoding.UTF8.GetString(item.Key), TextOf(item.Value), item.Revision))]);
            case ReadEntries read:
                JournalPage page = server.Store.ReadJournal(read.From, read.Limit, 1 << 20);
                return new EntriesRead(page.From, [.. page.Entries.Select(entry => TextOf(entry.Payload))], page.LastIndex);
            default:
                throw new InvalidOperationException($"{operation} is no read.");
        }
    }

    private static string TextOf(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);

    private Operation Draw(Random random)
    {
        string number = string.Create(CultureInfo.InvariantCulture, $"{name}-{++_count}");
        string key = $"k{random.Next(cluster.Plan.Keys)}";
        string value = random.Next(12) == 0 ? number + new string('.', random.Next(200, 900)) : number;
        string? idempotencyKey = random.Next(2) == 0 ? number : null;
        KeyCondition? condition = random.Next(5) switch
        {
            0 => KeyCondition.Absent,
            1 => KeyCondition.Exists,
            _ => _revisions.TryGetValue(key, out long revision) ? random.Next(4) > 0 ? KeyCondition.Is(revision) : KeyCondition.IsNot(revision) : null,
        };
        return random.Next(100) switch
        {
            < 30 => new PutKey(key, value, Condition: null, idempotencyKey),
            < 50 => new PutKey(key, value, condition, idempotencyKey),
            < 55 => new DeleteKey(key, random.Next(2) == 0 ? condition : null, idempotencyKey),
            < 67 => new AppendEntry(value, idempotencyKey),
            < 92 => new GetKey(key),
            < 96 => new ReadEntries(random.Next(1, 10), random.Next(1, 100)),
            _ => new ListKeys("k"),
        };
    }

    private void Remember(Operation operation, Outcome? outcome)
    {
        (string? key, long revision) = (operation, outcome) switch
        {
            (GetKey get, Found found) => (get.Key, found.Revision),
            (PutKey put, Written written) => (put.Key, written.Revision),
            (PutKey put, Refused refused) => (put.Key, refused.CurrentRevision),
            _ => (null, 0),
        };
        if (key is not null && revision > 0)
            _revisions[key] = revision;
    }

    private static string? KeyOf(Operation operation) => operation switch
    {
        PutKey put => put.IdempotencyKey,
        DeleteKey delete => delete.IdempotencyKey,
        AppendEntry append => append.IdempotencyKey,
        _ => null,
    };
}
