using System.Text;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Keys and values: read, write, compare and set, ranges.</summary>
internal sealed class KeyValueEndpoints(ApiServices services)
{
    private const string Resource = "kv";
    private static readonly byte[] Revision = ",\"revision\":"u8.ToArray();
    private static readonly byte[] Term = ",\"term\":"u8.ToArray();

    public async Task GetAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        byte[] key = RawPath.KeyOf(context, Resource);
        (Precondition match, Precondition noneMatch) = RequestHeaders.ReadConditions(context.Request);
        Store store = ApiServices.StoreOf(group);
        await services.ReadAsync(context, group);
        if (store.Get(key) is not { } found)
        {
            await (match.Kind != PreconditionKind.None ? Problems.PreconditionFailed(0) : Problems.NoSuchKey).WriteAsync(context);
            return;
        }

        context.Response.Headers.ETag = TagOf(found.Revision);
        if (!match.Holds(found.Revision))
            await Problems.PreconditionFailed(found.Revision).WriteAsync(context);
        else if (!noneMatch.Holds(found.Revision))
            context.Response.StatusCode = StatusCodes.Status304NotModified;
        else
            await Answers.WriteStoredAsync(context, found.ContentType, found.Value);
    }

    /// <summary>Hot path.</summary>
    public async Task PutAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        byte[] key = RawPath.KeyOf(context, Resource);
        string? contentType = RequestHeaders.ContentType(context.Request);
        (_, StoreResult? result) = await services.WriteAsync(
            context, group, CommandKind.Put, Resource, key, RequestHeaders.Precondition(context.Request), contentType);
        if (result is Put put)
        {
            context.Response.Headers.ETag = TagOf(put.Revision);
            Answers.WriteSmall(
                context, put.Created ? StatusCodes.Status201Created : StatusCodes.Status200OK, Encoding.ASCII.GetBytes(group.Id.Value),
                [(Revision, put.Revision), (Term, put.Term.Value)], put.Created);
            return;
        }

        await RefuseAsync(context, result);
    }

    /// <summary>204 whether the key was there or not: afterwards it is not.</summary>
    public async Task DeleteAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        byte[] key = RawPath.KeyOf(context, Resource);
        (_, StoreResult? result) = await services.WriteAsync(
            context, group, CommandKind.Delete, Resource, key, RequestHeaders.Precondition(context.Request), contentType: null);
        if (result is Deleted)
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        else
            await RefuseAsync(context, result);
    }

    public async Task RangeAsync(HttpContext context)
    {
        // Routing ignores a last slash; a client that forgot the key must not get all keys.
        if (RawPath.EndsWithSlash(context))
            throw new ProblemException(Problems.BadRequest("bad-key", $"The key is empty; allowed: 1 to {StoreCommands.KeyBytesMax} bytes. For a range leave out the last '/'."));

        HostedGroup group = services.DataGroupOf(context);
        IQueryCollection query = context.Request.Query;
        byte[] prefix = Encoding.UTF8.GetBytes(query["prefix"].ToString());
        byte[] after = Encoding.UTF8.GetBytes(query["after"].ToString());
        int limit = Query.Limit(context.Request);
        Store store = ApiServices.StoreOf(group);
        await services.ReadAsync(context, group);
        KeyRange range = store.Range(prefix, after, limit, Query.PageBytesMax);
        await Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("items");
            foreach (KeyValue item in range.Items)
            {
                json.WriteStartObject();
                json.WriteString("key", item.Key);
                json.WriteNumber("revision", item.Revision);
                Answers.WriteContent(json, item.ContentType, item.Value);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (range.IsCut)
                json.WriteString("next", range.Items[^1].Key);
            else
                json.WriteNull("next");
            json.WriteEndObject();
        });
    }

    private static string TagOf(long revision) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"\"{revision}\"");

    private static Task RefuseAsync(HttpContext context, StoreResult? result)
    {
        if (result is PreconditionFailed { CurrentRevision: > 0 } failed)
            context.Response.Headers.ETag = TagOf(failed.CurrentRevision);
        return ((result is null ? null : Problems.From(result)) ?? Problems.Unexpected($"The write ended as {result?.GetType().Name ?? "nothing"}.")).WriteAsync(context);
    }
}
