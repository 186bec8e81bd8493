using System.Globalization;

namespace Raft.Simulator;

/// <summary>What the command line asks for.</summary>
internal sealed class Arguments
{
    public const string Usage = """
        usage: Raft.Simulator --seeds N [--from S] [--jobs J] [--keep-going] [--brief]   N runs
               Raft.Simulator --seed S [--trace]                               one run
        and for both: --operations N, --voters N, --without FAULT[,FAULT...], --drop EVENT[-EVENT][,...], --until MILLISECONDS, --storage real|model,
        --permanent FAULT|none
        exit code: 0 nothing was violated, 1 something was, 2 wrong arguments
        """;

    public int First { get; private set; } = 1;
    public int Count { get; private set; } = 1000;
    public bool IsSingle { get; private set; }
    public bool IsTracing { get; private set; }
    public bool KeepsGoing { get; private set; }

    /// <summary>A failed run is told of in a line, and not made smaller.</summary>
    public bool IsBrief { get; private set; }
    public int Jobs { get; private set; } = Environment.ProcessorCount;
    public RunSettings Template { get; private set; } = new(0);

    public static Arguments? Parse(string[] args, out string fault)
    {
        var parsed = new Arguments();
        fault = "";
        for (int i = 0; i < args.Length; i++)
        {
            string key = args[i];
            if (key is "--trace" or "--keep-going" or "--brief")
            {
                parsed.IsTracing |= key == "--trace";
                parsed.IsBrief |= key == "--brief";
                parsed.KeepsGoing |= key == "--keep-going";
                continue;
            }

            if (++i == args.Length || !parsed.TrySet(key, args[i]))
            {
                fault = i == args.Length ? $"{key} lacks its value." : $"{key} {args[i]} is not known.";
                return null;
            }
        }

        return parsed;
    }

    private bool TrySet(string key, string value)
    {
        if (key == "--without")
        {
            HashSet<string> names = [.. value.Split(',')];
            Template = Template with { Without = names };
            return names.All(name => name == PlannedEvent.Client || Faults.All.Any(known => known.Name == name));
        }

        if (key == "--permanent")
        {
            Template = Template with { Permanent = value };
            return value == PermanentFaults.None || PermanentFaults.Names.Contains(value);
        }

        if (key == "--storage")
        {
            Template = Template with { IsStorageReal = value == "real" };
            return value is "real" or "model";
        }

        if (key == "--drop")
        {
            HashSet<int> dropped = [];
            Template = Template with { Dropped = dropped };
            return EventNumbers.TryParse(value, dropped);
        }

        if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            return false;
        switch (key)
        {
            case "--seed":
                (First, IsSingle) = (number, true);
                return true;
            case "--seeds":
                Count = number;
                return true;
            case "--from":
                First = number;
                return true;
            case "--jobs":
                Jobs = Math.Max(1, number);
                return true;
            case "--operations":
                Template = Template with { Operations = number };
                return true;
            case "--voters":
                Template = Template with { Voters = number };
                return number is > 0 and < 8;
            case "--until":
                Template = Template with { Until = TimeSpan.FromMilliseconds(number) };
                return true;
            default:
                return false;
        }
    }
}
