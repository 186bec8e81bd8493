using Raft.Host.Storage;

namespace Raft.Host.Settings;

/// <summary>How many connections each endpoint accepts. A process without a free descriptor cannot open a file, cannot answer a peer, and
/// cannot even start a thread, which ends it; so clients get what the others leave.</summary>
/// <param name="Clients">Of the Api endpoint.</param>
/// <param name="Peers">Of the Peer endpoint.</param>
public sealed record ConnectionLimits(int Clients, int Peers)
{
    /// <summary>An idle node has about 250 descriptors, most of them the runtime's; the rest is for storage, snapshots, threads, and streams
    /// to other nodes.</summary>
    internal const int Reserved = 384;

    private const int PeersMin = 32;
    private const int PeersMax = 1024;
    private const int ClientsMin = 16;
    private const int ClientsMax = 100_000;

    /// <summary>What an idle connection takes of the memory, rounded up.</summary>
    private const int ConnectionBytes = 32 << 10;

    /// <summary>The limits as configured, else by the limit of open files and the memory.</summary>
    internal static ConnectionLimits Of(KestrelLimits settings, long descriptors, long memoryBytes, List<string> faults)
    {
        long peers = settings.MaxConcurrentPeerConnections > 0 ? settings.MaxConcurrentPeerConnections : Math.Clamp(descriptors / 16, PeersMin, PeersMax);
        long left = descriptors - Reserved - peers;
        if (left < ClientsMin)
        {
            faults.Add($"The limit of open files (ulimit -n) is {descriptors}; allowed: {Reserved + peers + ClientsMin} or more: {Reserved} for storage and threads, {peers} for peers, {ClientsMin} for clients.");
            return new ConnectionLimits(ClientsMin, PeersMin);
        }

        long clients = settings.MaxConcurrentConnections > 0 ? settings.MaxConcurrentConnections
            : Math.Min(left, Math.Clamp(memoryBytes / 8 / ConnectionBytes, ClientsMin, ClientsMax));
        if (clients > left)
            faults.Add($"{KestrelLimits.Section}:{nameof(KestrelLimits.MaxConcurrentConnections)} is {clients}; allowed: 1 to {left}, which is what the limit of open files (ulimit -n, {descriptors}) leaves for clients.");
        return new ConnectionLimits((int)clients, (int)peers);
    }

    /// <summary>The process's limit of open files; the runtime has raised it as far as it may.</summary>
    internal static long Descriptors() =>
        Native.GetLimit(Native.LimitOfDescriptors, out Native.ResourceLimit limit) == 0 ? (long)Math.Min(limit.Current, 1_048_576) : 1024;
}
