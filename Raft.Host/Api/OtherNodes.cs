using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Raft.Host.Api;

/// <summary>Asks another node over its own REST interface: what each knows best of itself.</summary>
internal sealed class OtherNodes : IDisposable
{
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    public void Dispose() => _http.Dispose();

    /// <summary>The document, or why there is none.</summary>
    public async Task<(T?, string?)> AskAsync<T>(string apiUrl, string path, JsonTypeInfo<T> type, TimeSpan patience, CancellationToken clientGone) where T : class
    {
        if (!Uri.TryCreate(apiUrl, UriKind.Absolute, out Uri? address))
            return (null, "No ApiUrl is known of it.");

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        deadline.CancelAfter(patience);
        try
        {
            return (await _http.GetFromJsonAsync(new Uri(address, path), type, deadline.Token), null);
        }
        catch (OperationCanceledException) when (!clientGone.IsCancellationRequested)
        {
            return (null, $"It did not answer within {patience.TotalMilliseconds} ms.");
        }
        catch (Exception error) when (error is HttpRequestException or JsonException)
        {
            return (null, error.Message);
        }
    }
}
