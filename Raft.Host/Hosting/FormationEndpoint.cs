using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;

namespace Raft.Host.Hosting;

/// <summary>The formation question on the peer endpoint: one small JSON request.</summary>
internal static class FormationEndpoint
{
    public const string Path = "/peer/v1/formation";
    private const int QuestionBytesMax = 16 << 10;

    public static void MapFormation(this IEndpointRouteBuilder routes) =>
        routes.MapPost(Path, async (HttpContext context, FormationDesk desk) =>
        {
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
                limit.MaxRequestBodySize = QuestionBytesMax;
            try
            {
                FormationQuestion? question = await JsonSerializer.DeserializeAsync(
                    context.Request.Body, FormationJson.Default.FormationQuestion, context.RequestAborted);
                if (question is { ClusterId: not null, NodeId: not null, StorageId: not null, MembersHash: not null })
                {
                    await context.Response.WriteAsJsonAsync(
                        desk.Answer(question), FormationJson.Default.FormationAnswer, cancellationToken: context.RequestAborted);
                    return;
                }
            }
            catch (Exception error) when (error is JsonException or FormatException or BadHttpRequestException or OverflowException)
            {
                // A stranger's bytes: refused below.
            }

            context.Response.StatusCode = StatusCodes.Status400BadRequest;
        }).ExcludeFromDescription();
}
