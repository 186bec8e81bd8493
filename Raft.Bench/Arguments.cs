using System.Globalization;

namespace Raft.Bench;

/// <summary>The command line: a command, then <c>--name value</c> pairs.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> _options = new(StringComparer.Ordinal);

    public string Command { get; private init; } = "help";

    /// <summary>Everything after the command.</summary>
    public string[] Rest { get; private init; } = [];

    public static Arguments Parse(string[] args)
    {
        if (args.Length == 0)
            return new Arguments();

        var arguments = new Arguments { Command = args[0], Rest = args[1..] };
        if (arguments.Command == "micro")
            return arguments;
        for (int i = 1; i < args.Length; i += 2)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length)
                throw new ArgumentException($"'{args[i]}' is no option with a value; options look like --clients 64.");
            arguments._options[args[i][2..]] = args[i + 1];
        }

        return arguments;
    }

    public string Text(string name) =>
        _options.GetValueOrDefault(name) ?? throw new ArgumentException($"--{name} is missing.");

    public int Number(string name, int otherwise) =>
        !_options.TryGetValue(name, out string? text) ? otherwise
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value
        : throw new ArgumentException($"--{name} is '{text}'; allowed: a number of 0 or more.");
}
