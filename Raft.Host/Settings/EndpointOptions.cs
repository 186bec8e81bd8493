using System.Net;
using Microsoft.Extensions.Configuration;

namespace Raft.Host.Settings;

/// <summary>The two endpoints as <c>Kestrel:Endpoints</c> names them; Kestrel itself reads the details, such as certificates.</summary>
public sealed record EndpointOptions(Uri Api, Uri Peer)
{
    public const string ApiName = "Api";
    public const string PeerName = "Peer";
    public const string ApiKey = "Kestrel:Endpoints:Api:Url";
    internal const string ApiDefault = "http://127.0.0.1:8080";
    internal const string PeerDefault = "http://127.0.0.1:8081";
    public const string PeerKey = "Kestrel:Endpoints:Peer:Url";

    // What Kestrel reads; it passes over everything else.
    private static readonly string[] KestrelKeys = ["Certificates", "EndpointDefaults", "Endpoints", KestrelLimitsKey];
    private const string KestrelLimitsKey = "Limits";      // read by KestrelLimits

    private static readonly string[] EndpointKeys = ["Certificate", "ClientCertificateMode", "Protocols", "Sni", "SslProtocols", "Url"];

    /// <summary>Reads both; faults go to the list. An endpoint with a fault is replaced by its default.</summary>
    public static EndpointOptions Read(IConfiguration configuration, bool allowInsecure, List<string> faults)
    {
        Uri api = ReadUrl(configuration, ApiKey, ApiDefault, allowInsecure, faults);
        Uri peer = ReadUrl(configuration, PeerKey, PeerDefault, allowInsecure, faults);
        if (api.Port != 0 && api.Port == peer.Port)
            faults.Add($"{PeerKey} is '{peer.OriginalString}'; allowed: another port than {ApiKey}, which has {api.Port} as well.");

        RefuseUnknownKeys(configuration.GetSection("Kestrel"), KestrelKeys, faults);
        foreach (IConfigurationSection endpoint in configuration.GetSection("Kestrel:Endpoints").GetChildren())
        {
            if (endpoint.Key.Equals(ApiName, StringComparison.OrdinalIgnoreCase) || endpoint.Key.Equals(PeerName, StringComparison.OrdinalIgnoreCase))
                RefuseUnknownKeys(endpoint, EndpointKeys, faults);
            else
                faults.Add($"{endpoint.Path} is no known endpoint; allowed: {ApiName} and {PeerName}.");
        }

        return new EndpointOptions(api, peer);
    }

    private static void RefuseUnknownKeys(IConfigurationSection section, string[] known, List<string> faults)
    {
        foreach (IConfigurationSection child in section.GetChildren())
        {
            if (!known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
                faults.Add($"{child.Path} is no known key; allowed in {section.Path}: {string.Join(", ", known)}.");
        }
    }

    private static Uri ReadUrl(IConfiguration configuration, string key, string otherwise, bool allowInsecure, List<string> faults)
    {
        string text = configuration[key] ?? otherwise;

        // Kestrel's notation for "every address" is no URI.
        string readable = text.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal);
        if (!Uri.TryCreate(readable, UriKind.Absolute, out Uri? url) || (url.Scheme != "http" && url.Scheme != "https") || url.AbsolutePath != "/")
        {
            faults.Add($"{key} is '{text}'; allowed: http(s)://host:port, such as {otherwise}.");
            return new Uri(otherwise);
        }

        if (url.Scheme == "http" && !IsLoopback(url) && !allowInsecure)
        {
            faults.Add($"{key} is '{text}', which is reachable from other machines without TLS; allowed: a loopback address, https, " +
                "or this on purpose with Raft:Security:AllowInsecure=true in a network that you trust.");
        }

        return url;
    }

    private static bool IsLoopback(Uri url) =>
        url.Host == "localhost" || (IPAddress.TryParse(url.Host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));
}
