using System.Text;
using Raft.Host.Hosting;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>What became of a request whose answer was lost.</summary>
internal sealed class IdempotencyEndpoints(ApiServices services)
{
    public async Task GetAsync(HttpContext context)
    {
        HostedGroup group = services.GroupOf(context);
        string key = Encoding.UTF8.GetString(RawPath.KeyOf(context, "idempotency"));
        if (!RequestHeaders.IsIdempotencyKey(key))
            throw new ProblemException(Problems.BadRequest("bad-idempotency-key", "The key must have 1 to 255 visible ASCII characters."));

        await services.ReadAsync(context, group);
        if (group.Store!.FindSettled(ApiServices.Principal, key) is not { } settled)
        {
            throw new ProblemException(new Problem(404, "key-unknown", "The key is not known",
                "No request with this Idempotency-Key was executed, or it is no longer kept. One that is under way may still be."));
        }

        await Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("key", key);
            json.WriteString("time", Answers.Time(settled.TimeMs));
            switch (settled.Outcome)
            {
                case Appended appended:
                    json.WriteNumber("status", 201);
                    json.WriteNumber("firstIndex", appended.FirstIndex);
                    json.WriteNumber("lastIndex", appended.LastIndex);
                    json.WriteNumber("count", appended.Count);
                    json.WriteNumber("term", appended.Term.Value);
                    break;
                case Put put:
                    json.WriteNumber("status", put.Created ? 201 : 200);
                    json.WriteNumber("revision", put.Revision);
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
