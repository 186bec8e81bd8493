using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

/// <summary>The description at /swagger says what is answered, and the answers are what it says.</summary>
[Collection(ProcessCollection.Name)]
public sealed class OpenApiTests(OneNode one) : IClassFixture<OneNode>
{
    private const string Json = "application/json";

    private NodeProcess Node => one.Node;

    [Fact]
    public async Task Every_operation_describes_its_success_and_its_problems()
    {
        JsonElement document = await DocumentAsync();
        int operations = 0;
        foreach ((string name, string method, JsonElement operation) in Operations(document))
        {
            operations++;
            (string Status, JsonElement Response)[] responses = [.. operation.GetProperty("responses").EnumerateObject().Select(one => (one.Name, one.Value))];
            (string Status, JsonElement Response)[] successes = [.. responses.Where(response => response.Status[0] == '2')];
            Assert.True(successes.Length > 0, $"{name} names no success.");
            string[] inPath = [.. operation.TryGetProperty("parameters", out JsonElement parameters)
                ? parameters.EnumerateArray().Where(one => one.GetProperty("in").GetString() == "path").Select(one => $"{{{one.GetProperty("name").GetString()}}}") : []];
            Assert.Equal(name.Split('/').Where(segment => segment.StartsWith('{')), inPath);
            if (method == "head")
                continue;

            foreach ((string status, JsonElement response) in successes.Where(success => success.Status != "204"))
            {
                Assert.True(response.TryGetProperty("content", out JsonElement content) && content.EnumerateObject().Any(), $"{name}: {status} has no content.");
                foreach (JsonProperty media in content.EnumerateObject())
                    Assert.True(IsDescribed(media.Value.GetProperty("schema"), document), $"{name}: {status} {media.Name} has no schema.");
            }

            foreach ((string status, JsonElement response) in responses.Where(response => response.Status[0] is '4' or '5'))
            {
                JsonElement schema = response.GetProperty("content").GetProperty("application/problem+json").GetProperty("schema");
                Assert.Equal("#/components/schemas/Problem", schema.GetProperty("$ref").GetString());
                Assert.NotEmpty(status);
            }
        }

        Assert.True(operations >= 50, $"Only {operations} operations are described.");
        JsonElement problem = document.GetProperty("components").GetProperty("schemas").GetProperty("Problem");
        Assert.Equal(["detail", "status", "title", "type"], problem.GetProperty("required").EnumerateArray().Select(one => one.GetString()).Order(StringComparer.Ordinal));
        Assert.True(problem.GetProperty("properties").TryGetProperty("outcome", out _));
    }

    [Theory]
    [InlineData("post", "/v1/entries")]
    [InlineData("get", "/v1/entries")]
    [InlineData("get", "/v1/kv")]
    [InlineData("put", "/v1/kv/{key}")]
    [InlineData("get", "/v1/status")]
    [InlineData("get", "/v1/cluster")]
    [InlineData("get", "/v1/groups")]
    [InlineData("get", "/v1/config")]
    [InlineData("get", "/v1/idempotency/{key}")]
    [InlineData("post", "/v1/groups/{group}/entries")]
    [InlineData("get", "/v1/members")]
    [InlineData("put", "/v1/members")]
    [InlineData("post", "/v1/members")]
    [InlineData("delete", "/v1/members/{id}")]
    [InlineData("post", "/v1/groups/{group}/members/{id}/promote")]
    [InlineData("post", "/v1/groups/{group}/members/{id}/demote")]
    [InlineData("post", "/v1/leader/transfer")]
    [InlineData("post", "/v1/groups/{group}/leader/step-down")]
    [InlineData("post", "/v1/read-barrier")]
    [InlineData("get", "/v1/snapshots")]
    [InlineData("post", "/v1/snapshots")]
    [InlineData("post", "/v1/drain")]
    [InlineData("delete", "/v1/drain")]
    public async Task What_answers_json_has_a_schema_of_json(string method, string path)
    {
        JsonElement responses = (await DocumentAsync()).GetProperty("paths").GetProperty(path).GetProperty(method).GetProperty("responses");
        Assert.Contains(responses.EnumerateObject(), response => response.Name[0] == '2' && response.Value.GetProperty("content").TryGetProperty(Json, out _));
    }

    [Fact]
    public async Task Answers_are_what_their_schemas_say()
    {
        JsonElement document = await DocumentAsync();
        await CheckAsync("post", "/v1/entries", 201, await Node.PostAsync("/v1/entries", "text"));
        await CheckAsync("post", "/v1/entries", 201, await Node.PostAsync("/v1/entries", "{\"a\":[1]}", Json, key: "openapi-entry"));
        await CheckAsync("post", "/v1/entries", 201, await Node.PostAsync("/v1/entries", "1\n2\n", "application/x-ndjson", key: "openapi-lines"));
        await CheckAsync("post", "/v1/entries", 202, await Node.PostAsync("/v1/entries?wait=committed", "later"));
        await CheckAsync("post", "/v1/groups/{group}/entries", 201, await Node.PostAsync("/v1/groups/default/entries", "in a group"));
        await Node.Http.SendAsync(RestClient.Request(HttpMethod.Post, "/v1/entries", [0xFF, 0xFE]));
        await CheckAsync("get", "/v1/entries", 200, await Node.GetAsync("/v1/entries"));

        await CheckAsync("put", "/v1/kv/{key}", 201, await Node.PutAsync("/v1/kv/openapi/a", "1", Json));
        await CheckAsync("put", "/v1/kv/{key}", 200, await Node.PutAsync("/v1/kv/openapi/a", "2", Json, key: "openapi-put"));
        await CheckAsync("put", "/v1/kv/{key}", 201, await Node.PutAsync("/v1/kv/openapi/b", "text"));
        await CheckAsync("put", "/v1/kv/{key}", 412, await Node.PutAsync("/v1/kv/openapi/b", "x", key: "openapi-failed", ifMatch: "\"1\""));
        await CheckAsync("get", "/v1/kv", 200, await Node.GetAsync("/v1/kv?prefix=openapi/"));
        await CheckAsync("get", "/v1/kv", 200, await Node.GetAsync("/v1/kv?prefix=openapi/&limit=1"));
        foreach (string key in new[] { "openapi-entry", "openapi-lines", "openapi-put", "openapi-failed" })
            await CheckAsync("get", "/v1/idempotency/{key}", 200, await Node.GetAsync("/v1/idempotency/" + key));

        foreach (string path in new[] { "/v1/status", "/v1/cluster", "/v1/groups", "/v1/config" })
            await CheckAsync("get", path, 200, await Node.GetAsync(path));
        foreach (string path in new[] { "/v1/members", "/v1/snapshots", "/v1/drain" })
            await CheckAsync("get", path, 200, await Node.GetAsync(path));
        await CheckAsync("get", "/v1/groups/{group}/members", 200, await Node.GetAsync("/v1/groups/default/members"));
        await CheckAsync("post", "/v1/members", 200, await Node.SendJsonAsync("POST", "/v1/members", $$"""{"id":"{{Node.Id}}"}"""));
        await CheckAsync("put", "/v1/groups/{group}/members", 200, await Node.SendJsonAsync("PUT", "/v1/groups/default/members", $$"""{"members":[{"id":"{{Node.Id}}"}]}"""));
        await CheckAsync("delete", "/v1/members/{id}", 404, await Node.DeleteAsync("/v1/members/n9"));
        await CheckAsync("post", "/v1/leader/transfer", 409, await Node.SendJsonAsync("POST", "/v1/leader/transfer", "{}"));
        await CheckAsync("post", "/v1/read-barrier", 200, await Node.SendJsonAsync("POST", "/v1/read-barrier", null));
        await CheckAsync("post", "/v1/snapshots", 201, await Node.SendJsonAsync("POST", "/v1/snapshots", null));
        await CheckAsync("get", "/v1/snapshots", 200, await Node.GetAsync("/v1/snapshots"));
        await CheckAsync("get", "/v1/status", 200, await Node.GetAsync("/v1/status"));
        await CheckAsync("post", "/v1/drain", 200, await Node.SendJsonAsync("POST", "/v1/drain", null));
        await CheckAsync("delete", "/v1/drain", 200, await Node.SendJsonAsync("DELETE", "/v1/drain", null));
        await CheckAsync("get", "/readyz", 200, await Node.GetAsync("/readyz?verbose"));

        await CheckAsync("get", "/v1/kv/{key}", 404, await Node.GetAsync("/v1/kv/openapi/none"));
        await CheckAsync("get", "/v1/entries/{index}", 404, await Node.GetAsync("/v1/entries/1000000"));
        await CheckAsync("get", "/v1/entries", 400, await Node.GetAsync("/v1/entries?limit=many"));
        await CheckAsync("post", "/v1/entries", 400, await Node.PostAsync("/v1/entries", "1\n{\n", "application/x-ndjson"));
        await CheckAsync("post", "/v1/entries", 413, await Node.PostAsync("/v1/entries", new string('x', (1 << 20) + 1)));
        await CheckAsync("put", "/v1/kv/{key}", 422, await Node.PutAsync("/v1/kv/openapi/a", "3", key: "openapi-put"));

        async Task CheckAsync(string method, string path, int status, HttpResponseMessage answer)
        {
            using (answer)
            {
                await RestClient.AssertStatusAsync((HttpStatusCode)status, answer);
                string type = answer.Content.Headers.ContentType!.MediaType!; // not null: all of these have a body
                JsonElement schema = document.GetProperty("paths").GetProperty(path).GetProperty(method).GetProperty("responses")
                    .GetProperty($"{status}").GetProperty("content").GetProperty(type).GetProperty("schema");
                var faults = new StringBuilder();
                JsonElement body = await answer.JsonAsync();
                Compare(schema, body, "$", document, faults);
                Assert.True(faults.Length == 0, $"{method} {path} {status}: {faults}{body}");
            }
        }
    }

    private Task<JsonElement> DocumentAsync() => Node.GetJsonAsync("/swagger/v1/swagger.json");

    private static IEnumerable<(string Name, string Method, JsonElement Operation)> Operations(JsonElement document) =>
        from path in document.GetProperty("paths").EnumerateObject()
        from operation in path.Value.EnumerateObject()
        select ($"{operation.Name} {path.Name}", operation.Name, operation.Value);

    private static JsonElement Resolve(JsonElement schema, JsonElement document) =>
        schema.TryGetProperty("$ref", out JsonElement reference)
            ? document.GetProperty("components").GetProperty("schemas").GetProperty(reference.GetString()!.Split('/')[^1])
            : schema;

    private static bool IsDescribed(JsonElement schema, JsonElement document)
    {
        JsonElement resolved = Resolve(schema, document);
        return resolved.TryGetProperty("oneOf", out JsonElement choices) ? choices.EnumerateArray().All(choice => IsDescribed(choice, document))
            : resolved.TryGetProperty("properties", out JsonElement properties) ? properties.EnumerateObject().Any()
            : resolved.TryGetProperty("type", out _);
    }

    /// <summary>As much of a JSON schema as ours use: names, required ones, types, null, one of several.</summary>
    private static void Compare(JsonElement schema, JsonElement value, string at, JsonElement document, StringBuilder faults)
    {
        JsonElement resolved = Resolve(schema, document);
        if (resolved.TryGetProperty("oneOf", out JsonElement choices))
        {
            int fitting = choices.EnumerateArray().Count(choice =>
            {
                var own = new StringBuilder();
                Compare(choice, value, at, document, own);
                return own.Length == 0;
            });
            if (fitting != 1)
                faults.AppendLine($"{at} fits {fitting} of the choices.");
            return;
        }

        if (!resolved.TryGetProperty("type", out JsonElement type))
            return;     // anything

        bool fits = type.GetString() switch
        {
            "object" => value.ValueKind == JsonValueKind.Object,
            "array" => value.ValueKind == JsonValueKind.Array,
            "string" => value.ValueKind == JsonValueKind.String,
            "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
            "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
            _ => value.ValueKind == JsonValueKind.Number,
        };
        if (!fits)
            faults.AppendLine($"{at} is {value.ValueKind} and no {type}.");
        else if (value.ValueKind == JsonValueKind.Array)
            CompareItems(resolved, value, at, document, faults);
        else if (value.ValueKind == JsonValueKind.Object)
            CompareProperties(resolved, value, at, document, faults);
    }

    private static void CompareItems(JsonElement schema, JsonElement value, string at, JsonElement document, StringBuilder faults)
    {
        int index = 0;
        foreach (JsonElement item in value.EnumerateArray())
            Compare(schema.GetProperty("items"), item, $"{at}[{index++}]", document, faults);
    }

    private static void CompareProperties(JsonElement schema, JsonElement value, string at, JsonElement document, StringBuilder faults)
    {
        JsonElement properties = schema.GetProperty("properties");
        HashSet<string> required = schema.TryGetProperty("required", out JsonElement names) ? [.. names.EnumerateArray().Select(name => name.GetString()!)] : [];
        foreach (string name in required.Where(name => !value.TryGetProperty(name, out JsonElement there) || there.ValueKind == JsonValueKind.Null))
            faults.AppendLine($"{at}.{name} is required and missing.");
        foreach (JsonProperty property in value.EnumerateObject())
        {
            if (!properties.TryGetProperty(property.Name, out JsonElement schemaOfIt))
                faults.AppendLine($"{at}.{property.Name} is not described.");
            else if (property.Value.ValueKind != JsonValueKind.Null)
                Compare(schemaOfIt, property.Value, $"{at}.{property.Name}", document, faults);
        }
    }
}
