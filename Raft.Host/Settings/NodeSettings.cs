using Microsoft.Extensions.Configuration;
using Raft.Host.Hosting;

namespace Raft.Host.Settings;

/// <summary>All settings of one start, read once and checked together.</summary>
public sealed record NodeSettings(RaftOptions Raft, EndpointOptions Endpoints)
{
    /// <summary>Reads and checks.</summary>
    /// <exception cref="SettingsException">Lists every fault.</exception>
    public static NodeSettings Read(IConfiguration configuration)
    {
        List<string> faults = [];
        var options = new RaftOptions();
        StrictBinder.Bind(configuration.GetSection("Raft"), options, faults);
        if (options.Groups.Count == 0)
            options.Groups.Add(new GroupOptions { Id = GroupRegistry.DefaultGroup.Value });

        EndpointOptions endpoints = EndpointOptions.Read(configuration, options.Security.AllowInsecure, faults);
        if (new RaftOptionsValidator().Validate(name: null, options) is { Failed: true } failed)
            faults.AddRange(failed.Failures);

        return faults is [] ? new NodeSettings(options, endpoints) : throw new SettingsException(faults);
    }

    /// <summary>The data directory as a full path.</summary>
    public string DataDirectory => Path.GetFullPath(Raft.DataDirectory);
}

/// <summary>The configuration cannot be used; lists every fault, each with key, value and what is allowed.</summary>
public sealed class SettingsException(IReadOnlyList<string> faults)
    : Exception($"The configuration has {(faults.Count == 1 ? "a fault" : $"{faults.Count} faults")}:\n  {string.Join("\n  ", faults)}")
{
    public IReadOnlyList<string> Faults { get; } = faults;
}
