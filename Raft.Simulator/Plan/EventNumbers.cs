using System.Globalization;

namespace Raft.Simulator;

/// <summary>Numbers of events as text: 3,7-12,40.</summary>
internal static class EventNumbers
{
    public static string Format(IEnumerable<int> numbers)
    {
        List<string> parts = [];
        int[] sorted = [.. numbers.Order()];
        for (int i = 0; i < sorted.Length;)
        {
            int last = i;
            while (last + 1 < sorted.Length && sorted[last + 1] == sorted[last] + 1)
                last++;
            parts.Add(last == i ? $"{sorted[i]}" : $"{sorted[i]}-{sorted[last]}");
            i = last + 1;
        }

        return string.Join(',', parts);
    }

    /// <summary>False: it is no list of numbers.</summary>
    public static bool TryParse(string text, HashSet<int> numbers)
    {
        foreach (string part in text.Split(','))
        {
            string[] ends = part.Split('-');
            if (ends.Length > 2 || !TryParse(ends[0], out int first) || !TryParse(ends[^1], out int last) || last < first)
                return false;
            numbers.UnionWith(Enumerable.Range(first, last - first + 1));
        }

        return true;
    }

    private static bool TryParse(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
