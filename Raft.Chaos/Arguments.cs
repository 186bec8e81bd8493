using System.Globalization;
using Raft.Chaos.Machine;

namespace Raft.Chaos;

/// <summary>The command line: a scenario, then <c>--name value</c> pairs.</summary>
internal sealed record Arguments(string Scenario)
{
    private const int NodesMost = 9;

    public int Seed { get; private init; } = Random.Shared.Next(1, 1_000_000);
    public double? Minutes { get; private init; }
    public int? Times { get; private init; }
    public int Nodes { get; private init; } = 3;
    public double PerSecond { get; private init; } = 150;
    public FileSystemKind FileSystem { get; private init; } = FileSystemKind.Ext4;

    public static Arguments Parse(string[] args)
    {
        if (args.Length == 0)
            throw new ArgumentException("A scenario is missing.");

        var arguments = new Arguments(args[0]) { Nodes = args[0] == "mix" ? 5 : 3 };
        for (int i = 1; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} has no value.");
            arguments = args[i] switch
            {
                "--seed" => arguments with { Seed = Number(args[i], value, 0, int.MaxValue) },
                "--times" => arguments with { Times = Number(args[i], value, 1, 1_000_000) },
                "--nodes" => arguments with { Nodes = Number(args[i], value, 3, NodesMost) },
                "--rate" => arguments with { PerSecond = Number(args[i], value, 1, 100_000) },
                "--minutes" => arguments with
                {
                    Minutes = double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double minutes) && minutes > 0
                        ? minutes : throw new ArgumentException($"--minutes is '{value}'; allowed: a number above 0."),
                },
                "--file-system" => arguments with
                {
                    FileSystem = value switch
                    {
                        "ext4" => FileSystemKind.Ext4,
                        "xfs" => FileSystemKind.Xfs,
                        _ => throw new ArgumentException($"--file-system is '{value}'; allowed: ext4, xfs."),
                    },
                },
                _ => throw new ArgumentException($"{args[i]} is no option."),
            };
        }

        return arguments;
    }

    private static int Number(string name, string value, int least, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{name} is '{value}'; allowed: {least} to {most}."));
}
