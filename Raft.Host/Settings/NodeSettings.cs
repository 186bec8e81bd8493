using Microsoft.Extensions.Configuration;
using Raft.Host.Hosting;

namespace Raft.Host.Settings;

/// <summary>All settings of one start, read once and checked together.</summary>
public sealed record NodeSettings(RaftOptions Raft, EndpointOptions Endpoints)
{
    /// <summary>Reads and checks.</summary>
    /// <param name="configuration">Of the process.</param>
    /// <param name="configure">Changes what was read, before it is checked.</param>
    /// <exception cref="SettingsException">Lists every fault.</exception>
    public static NodeSettings Read(IConfiguration configuration, Action<RaftOptions>? configure = null) =>
        Read(configuration, configure, MemoryDefaults.AvailableBytes, ConnectionLimits.Descriptors());

    internal static NodeSettings Read(IConfiguration configuration, Action<RaftOptions>? configure, long memoryBytes, long descriptors)
    {
        List<string> faults = [];
        var options = new RaftOptions();
        StrictBinder.Bind(configuration.GetSection("Raft"), options, faults);
        configure?.Invoke(options);
        if (options.Groups.Count == 0)
            options.Groups.Add(new GroupOptions { Id = GroupRegistry.DefaultGroup.Value });

        IReadOnlyList<string> warnings = new MemoryDefaults(options, configuration, memoryBytes).Apply(faults);
        EndpointOptions endpoints = EndpointOptions.Read(configuration, options.Security.AllowInsecure, faults);
        KestrelLimits limits = KestrelLimits.Read(configuration, faults);
        ConnectionLimits connections = ConnectionLimits.Of(limits, descriptors, memoryBytes, faults);
        if (new RaftOptionsValidator().Validate(name: null, options) is { Failed: true } failed)
            faults.AddRange(failed.Failures);

        RequireAddresses(options, endpoints, faults);
        return faults is [] ? new NodeSettings(options, endpoints) { MemoryBytes = memoryBytes, Warnings = warnings, Limits = limits, Connections = connections } : throw new SettingsException(faults);
    }

    /// <summary>A node that listens on every address must say at which one the others reach it: they would dial themselves.</summary>
    private static void RequireAddresses(RaftOptions options, EndpointOptions endpoints, List<string> faults)
    {
        if (RaftOptionsValidator.IsEveryAddress(endpoints.Peer) && options.AdvertisedPeerUrl.Length == 0
            && !options.Members.Exists(member => member.Id == options.NodeId))
        {
            faults.Add($"{EndpointOptions.PeerKey} is '{endpoints.Peer.OriginalString}', every address of this machine, and that is not where other nodes reach this one. " +
                $"Set Raft:AdvertisedPeerUrl to where they do, such as http://{options.NodeId}.example.net:{endpoints.Peer.Port}, or list this node in Raft:Members with Id '{options.NodeId}' and its PeerUrl.");
        }
    }

    /// <summary>What this process may use.</summary>
    public long MemoryBytes { get; init; } = MemoryDefaults.AvailableBytes;

    public KestrelLimits Limits { get; init; } = new();

    public ConnectionLimits Connections { get; init; } = ConnectionLimits.Of(new KestrelLimits(), ConnectionLimits.Descriptors(), MemoryDefaults.AvailableBytes, []);

    /// <summary>Allowed, and probably not what is meant: said at the start.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The data directory as a full path.</summary>
    public string DataDirectory => Path.GetFullPath(Raft.DataDirectory);
}

/// <summary>The configuration cannot be used; lists every fault, each with key, value and what is allowed.</summary>
public sealed class SettingsException(IReadOnlyList<string> faults)
    : Exception($"The configuration has {(faults.Count == 1 ? "a fault" : $"{faults.Count} faults")}:\n  {string.Join("\n  ", faults)}")
{
    public IReadOnlyList<string> Faults { get; } = faults;
}
