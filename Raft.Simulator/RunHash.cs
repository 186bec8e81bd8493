namespace Raft.Simulator;

/// <summary>One number for all that happened, in its order. Cheap: fed by every event of a run.</summary>
internal sealed class RunHash
{
    public ulong Value { get; private set; } = 14695981039346656037;

    public void Add(long value)
    {
        ulong mixed = (Value ^ (ulong)value) * 0x9E3779B97F4A7C15;
        Value = mixed ^ (mixed >> 29);
    }

    public void Add(long a, long b)
    {
        Add(a);
        Add(b);
    }
}
