namespace Raft.Host.Peers;

/// <summary>Where an address of a peer was learnt. In this order they are tried, after the one that worked last.</summary>
public enum AddressSource : byte
{
    /// <summary>An operator gave it to this process: POST /v1/peers/addresses.</summary>
    Operator = 0,

    /// <summary>A configuration in the log names it.</summary>
    Configuration = 1,

    /// <summary>Raft:Members lists it for the peer's node id.</summary>
    Members = 2,

    /// <summary>The peer itself advertises it, in the handshake of a stream that it opened.</summary>
    Peer = 3,

    /// <summary>Another member reaches it there, and said so when it was asked.</summary>
    OtherMember = 4,
}

/// <summary>One address at which a peer is dialled.</summary>
/// <param name="Url">Scheme, host, port.</param>
/// <param name="Source">Where it was learnt; of several sources the first.</param>
/// <param name="LastError">Why the last attempt failed; null: it has not failed, or was not tried.</param>
public sealed record PeerAddress(string Url, AddressSource Source, string? LastError)
{
    public override string ToString() => $"{Url} ({NameOf(Source)}): {LastError ?? "not tried yet"}";

    private static string NameOf(AddressSource source) => source switch
    {
        AddressSource.Operator => "given by an operator",
        AddressSource.Configuration => "from the log",
        AddressSource.Members => "from Raft:Members",
        AddressSource.Peer => "advertised by the peer",
        _ => "from another member",
    };
}

/// <summary>The addresses at which one peer may be reached. Thread-safe.</summary>
/// <remarks>
/// An address is a way to a server and says nothing of who is there: a connection counts only once the handshake has
/// confirmed cluster uid, node id and storage id. So a wrong address costs an attempt and no more. Host names are not
/// resolved here; each attempt resolves them.
/// </remarks>
internal sealed class PeerAddresses
{
    /// <summary>A longer text is not an address. What a peer advertises comes from outside.</summary>
    private const int UrlCharactersMax = 300;

    private readonly Lock _gate = new();
    private readonly string?[] _bySource = new string?[5];
    private readonly Dictionary<string, string> _errors = new(StringComparer.Ordinal);
    private string? _proven;
    private volatile string[] _candidates = [];

    /// <summary>Each address once, in the order in which they are tried. Replaced when it changes, never modified.</summary>
    public string[] Candidates => _candidates;

    /// <summary>The address of the last successful handshake; null when there was none, or an operator or the log named another since.</summary>
    public string? Proven
    {
        get
        {
            lock (_gate)
                return _proven;
        }
    }

    /// <summary>Where the peer is connected, or the first address that is tried next; empty when none is known.</summary>
    public string Current => _candidates is [string first, ..] ? first : "";

    /// <summary>Records what a source says; null or empty takes it away. True when there is a new candidate or a new order.</summary>
    public bool Set(AddressSource source, string? url)
    {
        lock (_gate)
        {
            string? said = string.IsNullOrEmpty(url) || url.Length > UrlCharactersMax ? null : url;
            if (source is AddressSource.Peer or AddressSource.OtherMember && said is not null && !IsAllowedOfPeer(said))
                return false;
            if (_bySource[(int)source] == said)
                return false;
            // Others may disagree: the next one's address is tried when this one's has failed, so that each has its turn.
            if (source == AddressSource.OtherMember && _bySource[(int)source] is { } tried && !_errors.ContainsKey(tried))
                return false;

            _bySource[(int)source] = said;
            // An operator, or the log, names a new address: it comes first.
            if (source is AddressSource.Operator or AddressSource.Configuration && said is not null && said != _proven)
                _proven = null;
            return Order();
        }
    }

    /// <summary>A handshake at this address confirmed the peer. True when another address was tried first until now.</summary>
    public bool Succeeded(string url)
    {
        lock (_gate)
        {
            _errors.Remove(url);
            if (_proven == url || !_candidates.Contains(url))
                return false;

            _proven = url;
            return Order();
        }
    }

    public void Failed(string url, string error)
    {
        lock (_gate)
        {
            if (_candidates.Contains(url))
                _errors[url] = error;
        }
    }

    public IReadOnlyList<PeerAddress> Describe()
    {
        lock (_gate)
            return [.. _candidates.Select(url => new PeerAddress(url, (AddressSource)Array.IndexOf(_bySource, url), _errors.GetValueOrDefault(url)))];
    }

    /// <summary>What another node says must not lead from TLS to plain text, nor to "every address".</summary>
    private bool IsAllowedOfPeer(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out Uri? address)
        && (address.Scheme == Uri.UriSchemeHttps || (address.Scheme == Uri.UriSchemeHttp && _bySource[(int)AddressSource.Configuration]?.StartsWith("https:", StringComparison.OrdinalIgnoreCase) != true))
        && address is { AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" }
        && !Settings.RaftOptionsValidator.IsEveryAddress(address);

    private bool Order()
    {
        if (_proven is not null && !_bySource.Contains(_proven))
            _proven = null;
        string[] candidates = [.. new[] { _proven }.Concat(_bySource).OfType<string>().Distinct(StringComparer.Ordinal)];
        if (candidates.AsSpan().SequenceEqual(_candidates))
            return false;

        _candidates = candidates;
        foreach (string gone in _errors.Keys.Where(url => !candidates.Contains(url)).ToList())
            _errors.Remove(gone);
        return true;
    }
}
