using System.Text;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>What became of a request whose answer was lost.</summary>
internal sealed class IdempotencyEndpoints(ApiServices services)
{
    public async Task GetAsync(HttpContext context)
    {
        HostedGroup group = services.DataGroupOf(context);
        Store store = ApiServices.StoreOf(group);
        string key = Encoding.UTF8.GetString(RawPath.KeyOf(context, "idempotency"));
        if (!RequestHeaders.IsIdempotencyKey(key))
            throw new ProblemException(Problems.BadRequest("bad-idempotency-key", "The key must have 1 to 255 visible ASCII characters."));

        // Always: "not known" of a node that lags would be taken for "did not happen".
        await services.BarrierAsync(context, group);
        SettledKey settled = store.FindSettled(ApiServices.Principal, key)
            ?? throw new ProblemException(Problems.KeyUnknown(services.Settings.IdempotencyMinAgeSeconds));

        await Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("key", key);
            json.WriteString("group", group.Id.Value);
            json.WriteString("time", Answers.Time(settled.TimeMs));
            json.WriteString("keptUntil", Answers.Time(Math.Max(settled.TimeMs, settled.KeyTimeMs ?? 0) + (services.Settings.IdempotencyMinAgeSeconds * 1000L)));
            switch (settled.Outcome)
            {
                case Appended appended:
                    json.WriteNumber("status", 201);
                    if (appended.Count == 1)
                        json.WriteNumber("index", appended.FirstIndex);
                    json.WriteNumber("firstIndex", appended.FirstIndex);
                    json.WriteNumber("lastIndex", appended.LastIndex);
                    json.WriteNumber("count", appended.Count);
                    json.WriteNumber("term", appended.Term.Value);
                    break;
                case Put put:
                    json.WriteNumber("status", put.Created ? 201 : 200);
                    json.WriteNumber("revision", put.Revision);
                    json.WriteBoolean("created", put.Created);
                    json.WriteNumber("term", put.Term.Value);
                    break;
                case Deleted deleted:
                    json.WriteNumber("status", 204);
                    json.WriteNumber("term", deleted.Term.Value);
                    break;
                case PreconditionFailed failed:
                    json.WriteNumber("status", 412);
                    json.WriteNumber("currentRevision", failed.CurrentRevision);
                    json.WriteNumber("term", failed.Term.Value);
                    break;
            }

            json.WriteEndObject();
        });
    }
}
