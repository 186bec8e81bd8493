using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Raft.Host.Hosting;

/// <summary>The questions that nodes ask each other outside of Raft: small JSON requests on the peer endpoint.</summary>
public sealed class PeerQuestions : IDisposable
{
    internal static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    // A change of members must be committed before the answer comes.
    internal static readonly TimeSpan JoinTimeout = TimeSpan.FromSeconds(15);

    private readonly HttpClient _http;

    public PeerQuestions()
        : this(new SocketsHttpHandler { ConnectTimeout = AnswerTimeout, UseProxy = false })
    {
    }

    internal PeerQuestions(HttpMessageHandler network) => _http = new HttpClient(network)
    {
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        MaxResponseContentBufferSize = 4 << 20,
    };

    public void Dispose() => _http.Dispose();

    /// <summary>Null: not there, or not one of us.</summary>
    public Task<FormationAnswer?> AskAsync(string peerUrl, FormationQuestion question, CancellationToken cancellation) =>
        AskAsync(peerUrl, FormationEndpoint.Path, question, FormationJson.Default.FormationQuestion, FormationJson.Default.FormationAnswer, AnswerTimeout, cancellation);

    /// <inheritdoc cref="AskAsync(string, FormationQuestion, CancellationToken)"/>
    public Task<JoinAnswer?> AskAsync(string peerUrl, JoinRequest request, CancellationToken cancellation) =>
        AskAsync(peerUrl, FormationEndpoint.JoinPath, request, FormationJson.Default.JoinRequest, FormationJson.Default.JoinAnswer, JoinTimeout, cancellation);

    /// <inheritdoc cref="AskAsync(string, FormationQuestion, CancellationToken)"/>
    public Task<InvitationAnswer?> AskAsync(string peerUrl, Invitation invitation, CancellationToken cancellation) =>
        AskAsync(peerUrl, FormationEndpoint.InvitePath, invitation, FormationJson.Default.Invitation, FormationJson.Default.InvitationAnswer, AnswerTimeout, cancellation);

    /// <inheritdoc cref="AskAsync(string, FormationQuestion, CancellationToken)"/>
    public Task<ReturnAnswer?> AskAsync(string peerUrl, ReturnQuestion question, CancellationToken cancellation) =>
        AskAsync(peerUrl, FormationEndpoint.ReturnPath, question, FormationJson.Default.ReturnQuestion, FormationJson.Default.ReturnAnswer, AnswerTimeout, cancellation);

    /// <inheritdoc cref="AskAsync(string, FormationQuestion, CancellationToken)"/>
    public Task<AddressAnswer?> AskAsync(string peerUrl, AddressQuestion question, CancellationToken cancellation) =>
        AskAsync(peerUrl, FormationEndpoint.AddressesPath, question, FormationJson.Default.AddressQuestion, FormationJson.Default.AddressAnswer, AnswerTimeout, cancellation);

    private async Task<TAnswer?> AskAsync<TQuestion, TAnswer>(
        string peerUrl, string path, TQuestion question, JsonTypeInfo<TQuestion> questionType, JsonTypeInfo<TAnswer> answerType,
        TimeSpan timeout, CancellationToken cancellation)
        where TAnswer : class
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(timeout);
        try
        {
            var address = new Uri(new Uri(peerUrl), path);
            using HttpResponseMessage response = await _http.PostAsJsonAsync(address, question, questionType, deadline.Token);
            return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync(answerType, deadline.Token) : null;
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException or JsonException or IOException)
        {
            cancellation.ThrowIfCancellationRequested();
            return null;
        }
    }
}
