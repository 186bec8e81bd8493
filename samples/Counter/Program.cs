// A node of RaftHost with a state machine of its own:
//   curl -d 'apples 5' http://127.0.0.1:8080/v1/entries     {"name":"apples","value":5}
//   curl http://127.0.0.1:8080/counters/apples              5
using Counter;
using Raft.Host;
using Raft.Host.Hosting;

var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.AddRaftHost().UseStateMachine<CounterMachine>();

WebApplication app = builder.Build();
app.UseRaftHost();

// Linearizable, on any node: after the barrier it has applied all that was acknowledged before the call.
app.MapGet("/counters/{name}", async (string name, GroupRegistry groups, CancellationToken cancellation) =>
{
    if (groups.First is not { Machine.Inner: CounterMachine counters } group)
        return Results.StatusCode(StatusCodes.Status503ServiceUnavailable);

    await group.Server.ReadBarrierAsync(cancellation);
    return Results.Ok(counters.Read(name));
});
await app.RunAsync();
