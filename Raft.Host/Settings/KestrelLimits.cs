using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;

namespace Raft.Host.Settings;

/// <summary>Section <c>Kestrel:Limits</c>: the names are Kestrel's, which reads none of them from a configuration by itself. 0: the default.</summary>
/// <remarks>The size of a body is Raft:Limits:MaxCommandBytes; those of the request line and of headers are fixed (docs/rest.md).</remarks>
public sealed class KestrelLimits
{
    internal const string Section = "Kestrel:Limits";

    /// <summary>With less memory than this Kestrel reads less ahead of a request that is not read yet.</summary>
    private const long SmallMemoryBytes = 1L << 30;

    /// <summary>Connections of the Api endpoint. Default: by the limit of open files and the memory.</summary>
    public int MaxConcurrentConnections { get; set; }

    /// <summary>Connections of the Peer endpoint; not a limit of Kestrel. Default: a 16th of the limit of open files, 32 to 1024.</summary>
    public int MaxConcurrentPeerConnections { get; set; }

    /// <summary>Bytes of a request that are read ahead. Default 1 MiB, or 128 KiB with less than 1 GiB of memory.</summary>
    public int MaxRequestBufferSize { get; set; }

    /// <summary>Bytes of an answer that wait for a slow client. Default 64 KiB.</summary>
    public int MaxResponseBufferSize { get; set; }

    /// <summary>After which an idle connection is closed. Default 00:02:10.</summary>
    public TimeSpan KeepAliveTimeout { get; set; }

    /// <summary>Within which the headers must arrive. Default 00:00:30.</summary>
    public TimeSpan RequestHeadersTimeout { get; set; }

    internal static KestrelLimits Read(IConfiguration configuration, List<string> faults)
    {
        var limits = new KestrelLimits();
        StrictBinder.Bind(configuration.GetSection(Section), limits, faults);
        Require(limits.MaxConcurrentConnections, nameof(MaxConcurrentConnections), 1, 1_000_000);
        Require(limits.MaxConcurrentPeerConnections, nameof(MaxConcurrentPeerConnections), 16, 1_000_000);
        Require(limits.MaxRequestBufferSize, nameof(MaxRequestBufferSize), 16 << 10, 64 << 20);
        Require(limits.MaxResponseBufferSize, nameof(MaxResponseBufferSize), 4 << 10, 64 << 20);
        Require((long)limits.KeepAliveTimeout.TotalSeconds, nameof(KeepAliveTimeout), 1, 86_400);
        Require((long)limits.RequestHeadersTimeout.TotalSeconds, nameof(RequestHeadersTimeout), 1, 86_400);
        return limits;

        void Require(long value, string key, long from, long to)
        {
            if (value != 0 && (value < from || value > to))
                faults.Add($"{Section}:{key} is {value}; allowed: 0 (the default), or {from} to {to}{(key.EndsWith("Timeout", StringComparison.Ordinal) ? " seconds" : "")}.");
        }
    }

    /// <summary>Both limits of connections are not Kestrel's to watch: it counts those of both endpoints together.</summary>
    internal void ApplyTo(KestrelServerLimits kestrel, long memoryBytes)
    {
        if (MaxRequestBufferSize > 0)
            kestrel.MaxRequestBufferSize = MaxRequestBufferSize;
        else if (memoryBytes < SmallMemoryBytes)
            kestrel.MaxRequestBufferSize = 128 << 10;
        if (MaxResponseBufferSize > 0)
            kestrel.MaxResponseBufferSize = MaxResponseBufferSize;
        if (KeepAliveTimeout > TimeSpan.Zero)
            kestrel.KeepAliveTimeout = KeepAliveTimeout;
        if (RequestHeadersTimeout > TimeSpan.Zero)
            kestrel.RequestHeadersTimeout = RequestHeadersTimeout;
    }
}
