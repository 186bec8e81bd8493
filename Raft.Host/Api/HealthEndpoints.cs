using Raft.Host.Monitoring;

namespace Raft.Host.Api;

/// <summary>Is the process well; can it serve.</summary>
internal sealed class HealthEndpoints(Readiness readiness)
{
    /// <summary>The process answers: nothing else may make a supervisor kill it.</summary>
    public static Task LiveAsync(HttpContext context) => Answers.WriteBytesAsync(context, StatusCodes.Status200OK, "text/plain", "ok\n"u8.ToArray());

    /// <summary>Can take writes; if not, why not. With <c>?exclude=space</c> a disk without room does not count.</summary>
    public Task ReadyAsync(HttpContext context)
    {
        string? exclude = Query.Text(context.Request, "exclude");
        if (exclude is not null and not "space")
            throw new ProblemException(Problems.BadRequest("bad-query", $"exclude is '{exclude}'; allowed: space."));
        ReadinessReport report = readiness.Now(excludesSpace: exclude is not null);
        context.Response.Headers.CacheControl = "no-store";
        if (!report.IsReady)
            return Problems.NotReady(report.Reasons).WriteAsync(context);
        if (!context.Request.Query.ContainsKey("verbose"))
            return Answers.WriteBytesAsync(context, StatusCodes.Status200OK, "text/plain", "ok\n"u8.ToArray());

        return Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ready", true);
            json.WriteString("phase", Names.Of(report.Phase));
            json.WriteStartArray("reasons");
            json.WriteEndArray();
            json.WriteStartArray("warnings");
            foreach (string warning in report.Warnings)
                json.WriteStringValue(warning);
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }
}
