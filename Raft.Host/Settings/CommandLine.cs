using System.Globalization;
using Raft.Host.Monitoring;

namespace Raft.Host.Settings;

/// <summary>The command line: a few switches, and any configuration key as --Section:Key=value. What is not known is refused.</summary>
public sealed record CommandLine
{
    private const string Help =
        """
        usage: Raft.Host [--Raft:Key=value ...] [--Kestrel:Endpoints:Api:Url=...] [--Kestrel:Endpoints:Peer:Url=...]
               Raft.Host --dev-cluster N [--base-port P] [--restart] [--Raft:Key=value ...]

          --config FILE      one more JSON file of settings, over appsettings.json
          --dev-cluster N    N nodes as N processes on this machine, data in DataDirectory/dev/n1 ...
          --base-port P      the dev cluster's ports: n1 has P (api) and P+1 (peers), n2 P+2 and P+3 ... (default: the Api endpoint's port, 8080)
          --restart          the dev cluster starts a node that died again, after a second
          --version, --help

        Every key is in docs/configuration.md. The environment overrides the files (Raft__NodeId=n2), the command line overrides both.
        """;

    /// <summary>The top of the configuration; nothing else is read.</summary>
    internal static readonly string[] Sections = ["Raft", "Kestrel", "Logging", "AllowedHosts"];

    /// <summary>What to print instead of running; null to run.</summary>
    public string? Answer { get; private set; }

    /// <summary>How many nodes; null: this process is a node.</summary>
    public int? DevClusterSize { get; private set; }
    /// <summary>The dev cluster's first port; null: that of the configured Api endpoint.</summary>
    public int? BasePort { get; private set; }
    public bool Restart { get; private set; }

    /// <summary>A further file of settings; null for none.</summary>
    public string? ConfigurationFile { get; private set; }

    /// <summary>This process is a node of a dev cluster: it ends when its standard input ends, and prints no banner.</summary>
    public bool IsDevNode { get; private set; }

    /// <summary>The settings, as --Key=value.</summary>
    public List<string> Settings { get; } = [];

    /// <exception cref="CommandLineException">Names the argument and what is allowed.</exception>
    public static CommandLine Parse(IReadOnlyList<string> arguments)
    {
        var commands = new CommandLine();
        var rest = new Queue<string>(arguments);
        while (rest.TryDequeue(out string? argument))
        {
            switch (argument)
            {
                case "--help" or "-h" or "-?":
                    commands.Answer = Help;
                    break;
                case "--version":
                    commands.Answer = RaftMeters.Version;
                    break;
                case "--restart":
                    commands.Restart = true;
                    break;
                case "--dev-node":
                    commands.IsDevNode = true;
                    break;
                case "--config":
                    commands.ConfigurationFile = File(argument, rest);
                    break;
                case "--dev-cluster":
                    commands.DevClusterSize = Number(argument, rest, 1, 9);
                    break;
                case "--base-port":
                    commands.BasePort = Number(argument, rest, 1, 65_500);
                    break;
                default:
                    commands.Settings.Add(Setting(argument, rest));
                    break;
            }
        }

        return commands;
    }

    private static int Number(string name, Queue<string> rest, int least, int most)
    {
        string? text = rest.TryDequeue(out string? next) ? next : null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw new CommandLineException($"{name} is '{text}'; allowed: {least} to {most}.");
    }

    private static string File(string name, Queue<string> rest)
    {
        string? text = rest.TryDequeue(out string? next) ? next : null;
        if (System.IO.File.Exists(text))
            return text;

        bool isDirectory = Directory.Exists(text);
        throw new CommandLineException($"{name} is '{text}'{(isDirectory ? ", which is a directory" : "")}; allowed: a file that exists{(isDirectory ? "" : ", in a directory that may be read")}.");
    }

    private static string Setting(string argument, Queue<string> rest)
    {
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        string key = equals < 0 ? argument : argument[..equals];
        if (!key.StartsWith("--", StringComparison.Ordinal) || !Sections.Contains(key[2..].Split(':')[0], StringComparer.OrdinalIgnoreCase))
            throw new CommandLineException($"'{argument}' is no known argument.{Environment.NewLine}{Help}");
        if (equals >= 0)
            return argument;

        return rest.TryDequeue(out string? value) ? $"{key}={value}" : throw new CommandLineException($"{key} needs a value: {key}=...");
    }
}

/// <summary>The command line cannot be used; says why and what is allowed.</summary>
public sealed class CommandLineException(string message) : Exception(message);
