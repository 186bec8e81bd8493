using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.Features;

namespace Raft.Host.Hosting;

/// <summary>What nodes ask each other outside of Raft, on the peer endpoint: small JSON requests.</summary>
internal static class FormationEndpoint
{
    public const string Path = "/peer/v1/formation";
    public const string JoinPath = "/peer/v1/join";
    public const string InvitePath = "/peer/v1/invite";
    public const string ReturnPath = "/peer/v1/return";
    public const string AddressesPath = "/peer/v1/addresses";
    private const int QuestionBytesMax = 16 << 10;

    public static void MapFormation(this IEndpointRouteBuilder routes)
    {
        FormationJson json = FormationJson.Default;
        FormationDesk desk = routes.ServiceProvider.GetRequiredService<FormationDesk>();
        JoinDesk joins = routes.ServiceProvider.GetRequiredService<JoinDesk>();
        ReturnDesk returns = routes.ServiceProvider.GetRequiredService<ReturnDesk>();

        Map(routes, Path, json.FormationQuestion, json.FormationAnswer,
            question => question is { ClusterId: not null, NodeId: not null, StorageId: not null, MembersHash: not null },
            (question, _) => Task.FromResult(desk.Answer(question)));
        Map(routes, JoinPath, json.JoinRequest, json.JoinAnswer,
            request => request is { ClusterId: not null, FirstGroup: not null, NodeId: not null, StorageId: not null, PeerUrl: not null, ApiUrl: not null },
            joins.AnswerAsync);
        Map(routes, InvitePath, json.Invitation, json.InvitationAnswer,
            invitation => invitation is { ClusterId: not null, NodeId: not null, Uid: not null },
            (invitation, _) => Task.FromResult(desk.Answer(invitation)));
        Map(routes, ReturnPath, json.ReturnQuestion, json.ReturnAnswer,
            question => question is { Uid: not null, NodeId: not null, StorageId: not null, StartNonce: not null },
            (question, _) => Task.FromResult(returns.Answer(question)));
        AddressExchange addresses = routes.ServiceProvider.GetRequiredService<AddressExchange>();
        Map(routes, AddressesPath, json.AddressQuestion, json.AddressAnswer,
            question => question is { Uid: not null },
            (question, _) => Task.FromResult(addresses.Answer(question)));
    }

    private static void Map<TQuestion, TAnswer>(
        IEndpointRouteBuilder routes, string path, JsonTypeInfo<TQuestion> questionType, JsonTypeInfo<TAnswer> answerType,
        Predicate<TQuestion> isWhole, Func<TQuestion, CancellationToken, Task<TAnswer>> answer)
        where TQuestion : class =>
        routes.MapPost(path, (RequestDelegate)(async context =>
        {
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
                limit.MaxRequestBodySize = QuestionBytesMax;
            try
            {
                TQuestion? question = await JsonSerializer.DeserializeAsync(context.Request.Body, questionType, context.RequestAborted);
                if (question is not null && isWhole(question))
                {
                    TAnswer answered = await answer(question, context.RequestAborted);
                    await context.Response.WriteAsJsonAsync(answered, answerType, cancellationToken: context.RequestAborted);
                    return;
                }
            }
            catch (Exception error) when (error is JsonException or FormatException or BadHttpRequestException or OverflowException)
            {
                // A stranger's bytes: refused below.
            }

            context.Response.StatusCode = StatusCodes.Status400BadRequest;
        })).ExcludeFromDescription();
}
