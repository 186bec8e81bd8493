using System.Text.Json;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>After this node has moved: asks each group's leader to name it in the log at the addresses that an operator has
/// configured here.</summary>
/// <remarks>
/// The address in the log stays as long as it leads to this node, so that what an operator changed over the REST interface is
/// not changed back, and two working addresses do not take turns. It is replaced only by one that has been tried and leads
/// to this node. The change names this node's own storage id and the index of the configuration that it was derived from,
/// and is sent again, if at all, after a pause that grows to a minute.
/// </remarks>
internal sealed class OwnAddressCorrection(
    NodeSettings settings, NodeAddresses addresses, GroupRegistry groups, PeerQuestions questions, TimeProvider time, ILogger<OwnAddressCorrection> log) : IDisposable
{
    internal static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    internal static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ChangeTimeout = TimeSpan.FromSeconds(5);

    // Each group has a configuration of its own; a few at a time are no burden.
    private const int ChangesAtOnce = 8;

    private readonly HttpClient _http = new(new SocketsHttpHandler { ConnectTimeout = ProbeTimeout, UseProxy = false, AllowAutoRedirect = false })
    {
        Timeout = ProbeTimeout,
        MaxResponseContentBufferSize = 16 << 20,
    };

    private readonly string? _peerUrl = addresses.ConfiguredPeerUrl is { } url ? FirstConfiguration.Normal(url) : null;
    private readonly string? _apiUrl = addresses.ConfiguredApiUrl is { } url ? FirstConfiguration.Normal(url) : null;
    private TimeSpan _pause = FirstPause;
    private long _last;
    private string? _said;

    public void Dispose() => _http.Dispose();

    /// <summary>Whether a group names this node elsewhere than it is configured, and it is time to look. One caller at a time.</summary>
    public bool IsDue
    {
        get
        {
            if (time.GetElapsedTime(_last) < _pause)
                return false;
            if (groups.All.Any(group => WantedOf(group.Server.Status, group.Server.Id) is not null))
                return true;

            (_last, _pause) = (time.GetTimestamp(), FirstPause);
            return false;
        }
    }

    /// <summary>Tries the addresses, and asks for what has to change.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        _pause = TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, LongestPause.Ticks));
        try
        {
            var tried = new Dictionary<(string Url, bool IsPeer), Task<bool>>();
            foreach (HostedGroup[] some in groups.All.Chunk(ChangesAtOnce))
                await Task.WhenAll(some.Select(group => CorrectAsync(group, tried, cancellation)));
        }
        finally
        {
            _last = time.GetTimestamp();
        }
    }

    /// <summary>This node as a settled configuration should name it; null when it does, or when it is not the time to change it.</summary>
    private (Member Named, Member Wanted)? WantedOf(ServerStatus status, ServerId self)
    {
        Configuration configuration = status.Configuration;
        if ((_peerUrl is null && _apiUrl is null) || status.Leader is null || configuration.IsJoint || configuration.Target.Count > 0 || status.ConfigurationIndex > status.CommitIndex
            || configuration.Current.FirstOrDefault(member => member.Id == self) is not { Kind: not MemberKind.Joining } named)
        {
            return null;
        }

        Member wanted = named with
        {
            PeerUrl = _peerUrl ?? named.PeerUrl,
            ApiUrl = _apiUrl ?? named.ApiUrl,
        };
        return wanted == named ? null : (named, wanted);
    }

    private async Task CorrectAsync(HostedGroup group, Dictionary<(string, bool), Task<bool>> tried, CancellationToken cancellation)
    {
        RaftServer server = group.Server;
        ServerStatus status = server.Status;
        if (WantedOf(status, server.Id) is not { } change)
            return;

        bool movesPeer = await IsWrongAsync(change.Named.PeerUrl, change.Wanted.PeerUrl, isPeer: true);
        bool movesApi = await IsWrongAsync(change.Named.ApiUrl, change.Wanted.ApiUrl, isPeer: false);
        Member corrected = change.Named with
        {
            PeerUrl = movesPeer ? change.Wanted.PeerUrl : change.Named.PeerUrl,
            ApiUrl = movesApi ? change.Wanted.ApiUrl : change.Named.ApiUrl,
        };
        if (corrected == change.Named)
            return;

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(ChangeTimeout);
        try
        {
            LogIndex index = await server.ChangeMembersAsync(new MembershipChange { Add = [corrected], ExpectedIndex = status.ConfigurationIndex }, deadline.Token);
            log.AddressCorrected(group.Id, index, $"{change.Named.PeerUrl} {change.Named.ApiUrl}", $"{corrected.PeerUrl} {corrected.ApiUrl}");
        }
        catch (RaftException error)
        {
            cancellation.ThrowIfCancellationRequested();
            log.CareFailed(group.Id, "correct its own address", error.Message);
        }

        // What the log says does not lead here, and what is configured does.
        async Task<bool> IsWrongAsync(string named, string wanted, bool isPeer)
        {
            if (named == wanted || await LeadsHereAsync(named, isPeer))
                return false;
            if (await LeadsHereAsync(wanted, isPeer))
                return true;

            string fault = $"The log names this node at '{named}', and the configuration at '{wanted}'; neither leads to it, as far as this node can try. " +
                $"Correct {(isPeer ? "Raft:AdvertisedPeerUrl" : "Raft:AdvertisedApiUrl")} (or its entry in Raft:Members), or POST /v1/members.";
            if (Interlocked.Exchange(ref _said, fault) != fault)
                log.AddressNotProven(fault);
            return false;
        }

        Task<bool> LeadsHereAsync(string url, bool isPeer)
        {
            lock (tried)
            {
                if (!tried.TryGetValue((url, isPeer), out Task<bool>? attempt))
                    tried.Add((url, isPeer), attempt = !RaftOptionsValidator.IsAddress(url) ? Task.FromResult(false) : isPeer ? IsOwnPeerAsync(url, server.Id, cancellation) : IsOwnApiAsync(url, server.Id, cancellation));
                return attempt;
            }
        }
    }

    /// <summary>Whoever is there says which node it is, and on which storage.</summary>
    private async Task<bool> IsOwnPeerAsync(string url, ServerId self, CancellationToken cancellation)
    {
        var question = new FormationQuestion(settings.Raft.ClusterId, settings.Raft.NodeId, self.Storage.ToString(), StartCount: 0, MembersHash: "", MayForm: false);
        FormationAnswer? answer = await questions.AskAsync(url, question, cancellation);
        return answer is not null && answer.NodeId == settings.Raft.NodeId && answer.StorageId == self.Storage.ToString();
    }

    private async Task<bool> IsOwnApiAsync(string url, ServerId self, CancellationToken cancellation)
    {
        try
        {
            using JsonDocument status = JsonDocument.Parse(await _http.GetByteArrayAsync(new Uri(new Uri(url), "/v1/status"), cancellation));
            return status.RootElement.ValueKind == JsonValueKind.Object
                && status.RootElement.TryGetProperty("node", out JsonElement node) && node.ValueEquals(settings.Raft.NodeId)
                && status.RootElement.TryGetProperty("storageId", out JsonElement storage) && storage.ValueEquals(self.Storage.ToString());
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException or JsonException or InvalidOperationException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }
}
