using System.Globalization;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace Raft.Host.Api;

/// <summary>The interface's description at /swagger.</summary>
internal static class SwaggerSetup
{
    public static IServiceCollection AddRaftSwagger(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSwaggerGen(options =>
        {
            options.SwaggerDoc("v1", new OpenApiInfo { Title = "RaftHost", Version = "v1", Description = "A Raft consensus service: a journal and a key-value map." });
            options.DocInclusionPredicate((_, description) => InfoOf(description) is not null);
            options.CustomOperationIds(description => InfoOf(description)?.Id);
            options.OperationFilter<Filter>();
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

    /// <summary>Turns <see cref="OperationInfo"/> into OpenAPI.</summary>
    private sealed class Filter : IOperationFilter
    {
        private static readonly int[] Common = [400, 404, 500, 503];

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
                    Content = Binary(info.Id.StartsWith("append", StringComparison.Ordinal) ? ["application/octet-stream", "application/json", "application/x-ndjson"] : ["application/octet-stream"]),
                };
            }

            var responses = new OpenApiResponses();
            foreach (int status in info.Statuses.Concat(Common).Distinct().Order())
            {
                var response = new OpenApiResponse { Description = ReasonPhrases.GetReasonPhrase(status) };
                if (!isHead && status is not (204 or 304))
                    response.Content = Binary([status < 300 ? info.Answer : Problem.ContentType]);
                responses.Add(status.ToString(CultureInfo.InvariantCulture), response);
            }

            operation.Responses = responses;
        }

        private static IEnumerable<IOpenApiParameter> Parameters(OperationInfo info, string path)
        {
            foreach (string name in new[] { "group", "index", "key" })
            {
                if (path.Contains('{' + name + '}', StringComparison.Ordinal))
                    yield return new OpenApiParameter { Name = name, In = ParameterLocation.Path, Required = true, Schema = Text() };
            }

            foreach (string name in info.Query ?? [])
                yield return new OpenApiParameter { Name = name, In = ParameterLocation.Query, Schema = Text() };
            foreach (string name in info.Headers ?? [])
                yield return new OpenApiParameter { Name = name, In = ParameterLocation.Header, Schema = Text() };
        }

        private static OpenApiSchema Text() => new() { Type = JsonSchemaType.String };

        private static Dictionary<string, IOpenApiMediaType> Binary(string[] types) =>
            types.ToDictionary(type => type, type => (IOpenApiMediaType)new OpenApiMediaType
            {
                Schema = type.Contains("json", StringComparison.Ordinal) ? new OpenApiSchema() : new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" },
            });
    }
}
