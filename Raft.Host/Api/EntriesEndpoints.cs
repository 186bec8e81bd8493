using System.Text;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>The journal: append one or many, read by index. A state machine that is not ours is handed its commands here.</summary>
internal sealed class EntriesEndpoints(ApiServices services)
{
    private const string NdjsonType = "application/x-ndjson";
    private static readonly byte[] Index = ",\"index\":"u8.ToArray();
    private static readonly byte[] RaftIndex = ",\"raftIndex\":"u8.ToArray();
    private static readonly byte[] FirstIndex = ",\"firstIndex\":"u8.ToArray();
    private static readonly byte[] LastIndex = ",\"lastIndex\":"u8.ToArray();
    private static readonly byte[] Count = ",\"count\":"u8.ToArray();
    private static readonly byte[] Term = ",\"term\":"u8.ToArray();

    public async Task AppendAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        string? contentType = RequestHeaders.ContentType(context.Request);
        bool isBatch = RequestHeaders.IsType(contentType, NdjsonType);
        WaitFor wait = WaitOf(context.Request);
        Precondition precondition = RequestHeaders.Precondition(context.Request);
        if (precondition.Kind != PreconditionKind.None)
            throw new ProblemException(Problems.BadRequest("bad-precondition", "An append has no precondition: leave If-Match and If-None-Match out."));

        byte[] name = Encoding.ASCII.GetBytes(group.Id.Value);
        if (group.Store is null)
        {
            AddedEntry raw = await services.WriteRawAsync(context, group, wait);
            if (wait == WaitFor.Committed)
                Answers.WriteSmall(context, StatusCodes.Status202Accepted, name, [(RaftIndex, raw.Index.Value), (Term, raw.Term.Value)]);
            else
                await MachineAnswers.WriteAsync(context, raw.Result);
            return;
        }

        (AddedEntry entry, StoreResult? result) = await services.WriteAsync(
            context, group, isBatch ? CommandKind.AppendLines : CommandKind.Append, "entries", [], precondition, contentType, wait,
            isBatch ? JsonLines.Check : null);
        switch (result)
        {
            case null:
                // Committed, not applied: the journal index is not known, the Raft index is.
                Answers.WriteSmall(context, StatusCodes.Status202Accepted, name, [(RaftIndex, entry.Index.Value), (Term, entry.Term.Value)]);
                break;

            case Appended appended when isBatch:
                SetLocation(context, appended.FirstIndex);
                Answers.WriteSmall(context, StatusCodes.Status201Created, name,
                    [(FirstIndex, appended.FirstIndex), (LastIndex, appended.LastIndex), (Count, appended.Count), (Term, appended.Term.Value)]);
                break;

            case Appended appended:
                SetLocation(context, appended.FirstIndex);
                Answers.WriteSmall(context, StatusCodes.Status201Created, name, [(Index, appended.FirstIndex), (Term, appended.Term.Value)]);
                break;

            default:
                await (Problems.From(result) ?? Problems.Unexpected($"An append ended as {result.GetType().Name}.")).WriteAsync(context);
                break;
        }
    }

    public async Task ListAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        long? from = Query.Number(context.Request, "from");
        int limit = Query.Limit(context.Request);
        Store store = ApiServices.StoreOf(group);
        await services.ReadAsync(context, group);
        JournalPage page = store.ReadJournal(from, limit, Query.PageBytesMax);
        if (page.From < page.FirstIndex)
            throw new ProblemException(Problems.EntryCompacted(page.From, page.FirstIndex));

        await Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("entries");
            for (int i = 0; i < page.Entries.Length; i++)
            {
                JournalEntry entry = page.Entries[i];
                json.WriteStartObject();
                json.WriteNumber("index", page.From + i);
                json.WriteNumber("term", entry.Term);
                json.WriteString("time", Answers.Time(entry.TimeMs));
                Answers.WriteContent(json, entry.ContentType, entry.Payload.Span);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteNumber("next", page.From + page.Entries.Length);
            json.WriteNumber("firstIndex", page.FirstIndex);
            json.WriteNumber("lastIndex", page.LastIndex);
            json.WriteEndObject();
        });
    }

    public async Task GetAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        long index = Query.ParseIndex("index", (string)context.Request.RouteValues["index"]!);
        Store store = ApiServices.StoreOf(group);
        await services.ReadAsync(context, group);
        JournalPage page = store.ReadJournal(index, limit: 1, maxBytes: 0);
        if (page.Entries.Length == 0)
            throw new ProblemException(index < page.FirstIndex ? Problems.EntryCompacted(index, page.FirstIndex) : Problems.EntryNotYet(index, page.LastIndex));

        await Answers.WriteStoredAsync(context, page.Entries[0].ContentType, page.Entries[0].Payload);
    }

    private static void SetLocation(HttpContext context, long index) =>
        context.Response.Headers.Location = GroupNames.PathOf(context, $"entries/{index}");

    // By hand and not bound as an enum: that is case-sensitive and answers without saying what is allowed.
    private static WaitFor WaitOf(HttpRequest request)
    {
        if (Query.Text(request, "wait") is not { } wait)
            return WaitFor.Applied;

        return wait.Equals("applied", StringComparison.OrdinalIgnoreCase) ? WaitFor.Applied
            : wait.Equals("committed", StringComparison.OrdinalIgnoreCase) ? WaitFor.Committed
            : throw new ProblemException(Problems.BadRequest("bad-query", $"wait is '{wait}'; allowed: applied, committed."));
    }
}
