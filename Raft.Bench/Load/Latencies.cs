using System.Globalization;

namespace Raft.Bench.Load;

/// <summary>What one client measured; merged at the end, so nothing is shared while the load runs.</summary>
internal sealed class Latencies
{
    private readonly List<double> _milliseconds = new(1 << 16);

    public long Operations { get; private set; }

    public long Units { get; private set; }

    public long Errors { get; private set; }

    /// <summary>The first error, in words.</summary>
    public string? FirstError { get; private set; }

    public double Maximum => _milliseconds.Count == 0 ? 0 : _milliseconds.Max();

    public void Add(double milliseconds, int units)
    {
        _milliseconds.Add(milliseconds);
        Operations++;
        Units += units;
    }

    public void AddError(string error)
    {
        Errors++;
        FirstError ??= error;
    }

    public static Latencies Merge(IEnumerable<Latencies> parts)
    {
        var all = new Latencies();
        foreach (Latencies part in parts)
        {
            all._milliseconds.AddRange(part._milliseconds);
            all.Operations += part.Operations;
            all.Units += part.Units;
            all.Errors += part.Errors;
            all.FirstError ??= part.FirstError;
        }

        all._milliseconds.Sort();
        return all;
    }

    public double Percentile(double part) =>
        _milliseconds.Count == 0 ? double.NaN : _milliseconds[(int)Math.Min(_milliseconds.Count - 1, Math.Ceiling(part * _milliseconds.Count))];

    /// <summary>One line, the same for all commands, easy to cut into columns.</summary>
    public string Summary(double seconds, string unit) => string.Create(CultureInfo.InvariantCulture,
        $"ops={Operations} ops/s={Operations / seconds:f0} {unit}/s={Units / seconds:f0} errors={Errors} p50={Percentile(0.5):f2}ms p99={Percentile(0.99):f2}ms max={Maximum:f2}ms");
}
