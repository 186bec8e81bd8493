using System.Runtime.CompilerServices;

namespace Raft.Simulator;

/// <summary>Whether lines for people are written.</summary>
internal enum Tracing : byte
{
    None = 0,

    /// <summary>The last ones are kept, for a failure.</summary>
    LastLines = 1,
}

/// <summary>A line that is formatted only when somebody reads it.</summary>
[InterpolatedStringHandler]
internal ref struct TraceLine
{
    private DefaultInterpolatedStringHandler _text;

    public TraceLine(int literalLength, int formattedCount, World world, out bool isWanted)
    {
        isWanted = world.Tracing != Tracing.None;
        _text = isWanted ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    public string ToStringAndClear() => _text.ToStringAndClear();
}
