using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.OpenApi;
using Raft.Host.Settings;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace Raft.Host.Api;

/// <summary>The interface's description at /swagger.</summary>
internal static class SwaggerSetup
{
    private const string Suffix = "Document";

    public static IServiceCollection AddRaftSwagger(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSwaggerGen(options =>
        {
            options.SwaggerDoc("v1", new OpenApiInfo { Title = "RaftHost", Version = "v1", Description = "A Raft consensus service: a journal and a key-value map in each of its groups." });
            options.DocInclusionPredicate((_, description) => InfoOf(description) is not null);
            options.CustomOperationIds(description => InfoOf(description)?.Id);
            options.CustomSchemaIds(type => type.Name.EndsWith(Suffix, StringComparison.Ordinal) ? type.Name[..^Suffix.Length] : type.Name);
            options.SupportNonNullableReferenceTypes();
            options.MapType<RejoinMode>(() => OneOf(Enum.GetNames<RejoinMode>()));
            options.SchemaFilter<RequiredFilter>();
            options.OperationFilter<OperationFilter>();
        });
        return services;
    }

    public static IApplicationBuilder UseRaftSwagger(this IApplicationBuilder app)
    {
        app.UseSwagger();
        return app.UseSwaggerUI(options => options.SwaggerEndpoint("/swagger/v1/swagger.json", "RaftHost v1"));
    }

    private static OperationInfo? InfoOf(ApiDescription description) =>
        description.ActionDescriptor.EndpointMetadata.OfType<OperationInfo>().FirstOrDefault();

    private static OpenApiSchema Text() => new() { Type = JsonSchemaType.String };

    private static OpenApiSchema Binary() => new() { Type = JsonSchemaType.String, Format = "binary" };

    private static OpenApiSchema OneOf(params string[] names) => new() { Type = JsonSchemaType.String, Enum = [.. names.Select(name => JsonValue.Create(name))] };

    /// <summary>What cannot be null is always there.</summary>
    private sealed class RequiredFilter : ISchemaFilter
    {
        public void Apply(IOpenApiSchema schema, SchemaFilterContext context)
        {
            if (schema is not OpenApiSchema { Properties.Count: > 0 } shape || context.Type.Namespace?.StartsWith("Raft.Host.", StringComparison.Ordinal) != true)
                return;

            var nullability = new NullabilityInfoContext();
            shape.Required = context.Type.GetProperties()
                .Where(property => nullability.Create(property).ReadState == NullabilityState.NotNull)
                .Select(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name))
                .Where(shape.Properties!.ContainsKey) // not null: counted above
                .ToHashSet(StringComparer.Ordinal);
        }
    }

    /// <summary>Turns <see cref="OperationInfo"/> into OpenAPI.</summary>
    private sealed class OperationFilter : IOperationFilter
    {
        private const string Json = "application/json";
        private const string Ndjson = "application/x-ndjson";
        private static readonly int[] Common = [400, 404, 414, 415, 417, 431, 500, 503];
        private static readonly string[] AppendTypes = ["application/octet-stream", Json, Ndjson];
        private static readonly string[] PutTypes = ["application/octet-stream"];

        public void Apply(OpenApiOperation operation, OperationFilterContext context)
        {
            if (InfoOf(context.ApiDescription) is not { } info)
                return;

            bool isHead = context.ApiDescription.HttpMethod == "HEAD";
            operation.OperationId = isHead ? info.Id + "Head" : info.Id;
            operation.Summary = info.Summary;
            operation.Tags = new HashSet<OpenApiTagReference> { new(info.Tag, context.Document) };
            operation.Parameters = [.. Parameters(info, context.ApiDescription.RelativePath ?? "")];
            if (info.Body is not null)
            {
                operation.RequestBody = new OpenApiRequestBody
                {
                    Description = info.Body,
                    Content = (info.Id.StartsWith("append", StringComparison.Ordinal) ? AppendTypes : PutTypes)
                        .ToDictionary(type => type, type => (IOpenApiMediaType)Media(type == Ndjson || type == Json ? new OpenApiSchema() : Binary())),
                };
            }

            else if (info.Document is not null)
            {
                operation.RequestBody = new OpenApiRequestBody
                {
                    Content = new Dictionary<string, IOpenApiMediaType> { [Json] = Media(SchemaOf(info.Document, context)) },
                };
            }

            operation.Responses = Responses(info, isHead, context);
        }

        private static OpenApiResponses Responses(OperationInfo info, bool isHead, OperationFilterContext context)
        {
            var responses = new OpenApiResponses();
            IOpenApiSchema problem = SchemaOf(typeof(ProblemDocument), context);
            foreach (int status in info.Answers.Select(answer => answer.Status).Concat(info.Statuses ?? []).Concat(Common).Distinct().Order())
            {
                var content = new Dictionary<string, IOpenApiMediaType>();
                IOpenApiSchema[] documents = [.. info.Answers.Where(answer => answer.Status == status).Select(answer => SchemaOf(answer.Document, context))];
                if (status >= 400)
                    content.Add(Problem.ContentType, Media(problem));
                if (documents.Length > 0)
                    content.Add(Json, Media(documents is [var only] ? only : new OpenApiSchema { OneOf = [.. documents] }));
                if (status == 200 && info.Bytes is { } type)
                    content.Add(type, Media(Binary()));
                responses.Add(status.ToString(CultureInfo.InvariantCulture), new OpenApiResponse
                {
                    Description = ReasonPhrases.GetReasonPhrase(status),
                    Content = isHead ? null : content,
                });
            }

            return responses;
        }

        private static IOpenApiSchema SchemaOf(Type type, OperationFilterContext context) => context.SchemaGenerator.GenerateSchema(type, context.SchemaRepository);

        private static OpenApiMediaType Media(IOpenApiSchema schema) => new() { Schema = schema };

        private static IEnumerable<IOpenApiParameter> Parameters(OperationInfo info, string path)
        {
            foreach (string name in new[] { "group", "index", "key", "id" })
            {
                if (path.Contains(name + '}', StringComparison.Ordinal))     // {group}, {**key}
                    yield return new OpenApiParameter { Name = name, In = ParameterLocation.Path, Required = true, Schema = SchemaOf(name) };
            }

            foreach (string name in info.Query ?? [])
                yield return new OpenApiParameter { Name = name, In = ParameterLocation.Query, Schema = SchemaOf(name) };
            foreach (string name in info.Headers ?? [])
                yield return new OpenApiParameter { Name = name, In = ParameterLocation.Header, Schema = Text() };
        }

        private static OpenApiSchema SchemaOf(string parameter) => parameter switch
        {
            "from" or "limit" or "index" or "timeoutMs" => new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int64" },
            "force" or "local" => new OpenApiSchema { Type = JsonSchemaType.Boolean },
            "wait" => OneOf("applied", "committed"),
            "consistency" => OneOf("linearizable", "stale"),
            _ => Text(),
        };
    }
}
