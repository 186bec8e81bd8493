using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Raft.Host.Api;

/// <summary>Asks another node over its own REST interface: what each knows best of itself.</summary>
internal sealed class OtherNodes : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    private readonly HttpClient _http = new() { Timeout = Patience };

    public void Dispose() => _http.Dispose();

    /// <summary>The document, or why there is none.</summary>
    public async Task<(T?, string?)> AskAsync<T>(string apiUrl, string path, JsonTypeInfo<T> type, CancellationToken cancellation) where T : class
    {
        if (!Uri.TryCreate(apiUrl, UriKind.Absolute, out Uri? address))
            return (null, "No ApiUrl is known of it.");

        try
        {
            return (await _http.GetFromJsonAsync(new Uri(address, path), type, cancellation), null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return (null, $"It did not answer within {Patience.TotalMilliseconds} ms.");
        }
        catch (Exception error) when (error is HttpRequestException or JsonException)
        {
            return (null, error.Message);
        }
    }
}
