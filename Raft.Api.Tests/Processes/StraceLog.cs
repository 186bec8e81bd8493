using System.Globalization;
using System.Text.RegularExpressions;

namespace Raft.Api.Tests.Processes;

/// <summary>One system call that has ended, with the times of its begin and end in seconds since 1970.</summary>
public sealed record SystemCall(string Name, string Arguments, string Result, double Begin, double End)
{
    /// <summary>The file descriptor that is the first argument.</summary>
    public string Descriptor => Arguments.Split([',', ')', '<', ' '], 2)[0];
}

/// <summary>What <c>strace -f -ttt -T</c> wrote.</summary>
public static partial class StraceLog
{
    public static List<SystemCall> Read(string file)
    {
        var calls = new List<SystemCall>();
        var underWay = new Dictionary<string, (string Name, string Arguments, double Begin)>();
        foreach (string line in File.ReadLines(file))
        {
            if (Whole().Match(line) is { Success: true } whole)
            {
                double begin = Number(whole, "time");
                calls.Add(new SystemCall(
                    whole.Groups["name"].Value, whole.Groups["arguments"].Value, whole.Groups["result"].Value, begin, begin + Number(whole, "took")));
            }
            else if (Unfinished().Match(line) is { Success: true } first)
            {
                underWay[first.Groups["thread"].Value] = (first.Groups["name"].Value, first.Groups["arguments"].Value, Number(first, "time"));
            }
            else if (Resumed().Match(line) is { Success: true } rest && underWay.Remove(rest.Groups["thread"].Value, out var begun))
            {
                calls.Add(new SystemCall(
                    begun.Name, begun.Arguments + rest.Groups["arguments"].Value, rest.Groups["result"].Value, begun.Begin, begun.Begin + Number(rest, "took")));
            }
        }

        return calls;
    }

    private static double Number(Match match, string group) => double.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?<thread>\d+) +(?<time>[\d.]+) (?<name>\w+)\((?<arguments>.*)\) += (?<result>-?\d+[^<]*)<(?<took>[\d.]+)>$")]
    private static partial Regex Whole();

    [GeneratedRegex(@"^(?<thread>\d+) +(?<time>[\d.]+) (?<name>\w+)\((?<arguments>.*) <unfinished \.\.\.>$")]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"^(?<thread>\d+) +(?<time>[\d.]+) <\.\.\. (?<name>\w+) resumed>(?<arguments>.*)\) += (?<result>-?\d+[^<]*)<(?<took>[\d.]+)>$")]
    private static partial Regex Resumed();
}
