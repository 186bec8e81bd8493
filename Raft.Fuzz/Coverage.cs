namespace Raft.Fuzz;

/// <summary>Which inputs did something new.</summary>
internal abstract class Novelty
{
    /// <summary>Before an input is run.</summary>
    public virtual void Begin()
    {
    }

    /// <summary>After it: whether it led where no other had.</summary>
    public abstract bool IsNew(string outcome);

    /// <summary>What was reached.</summary>
    public abstract string Reached { get; }
}

/// <summary>Without instrumentation: every outcome's own text, numbers apart.</summary>
internal sealed class OutcomeNovelty : Novelty
{
    private readonly HashSet<string> _known = [];

    public override bool IsNew(string outcome) => _known.Count < 5000 && _known.Add(string.Concat(outcome.Take(120).Where(c => !char.IsAsciiDigit(c))));

    public override string Reached => $"{_known.Count} outcomes";
}

/// <summary>The branches that SharpFuzz's instrumentation counts, in AFL's classes: 1, 2, 3, 4, 8, 16, 32, 128 times.</summary>
internal sealed unsafe class BranchNovelty : Novelty
{
    private const int MapBytes = 1 << 16;

    private readonly byte* _map = SharpFuzz.Common.Trace.SharedMem;
    private readonly byte[] _known = new byte[MapBytes];
    private int _branches;

    /// <summary>Instrumented code writes from its first call on: the map must be there before.</summary>
    public static void Prepare() => SharpFuzz.Common.Trace.SharedMem = (byte*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(MapBytes);

    public override void Begin() => new Span<byte>(_map, MapBytes).Clear();

    public override bool IsNew(string outcome)
    {
        bool isNew = false;
        ulong* words = (ulong*)_map;
        for (int word = 0; word < MapBytes / sizeof(ulong); word++)
        {
            if (words[word] != 0)
                isNew |= Note(word * sizeof(ulong));
        }

        return isNew;
    }

    public override string Reached => $"{_branches} branches";

    private bool Note(int from)
    {
        bool isNew = false;
        for (int i = from; i < from + sizeof(ulong); i++)
        {
            byte count = _map[i];
            byte kind = count switch
            {
                0 => 0,
                1 => 1,
                2 => 2,
                3 => 4,
                < 8 => 8,
                < 16 => 16,
                < 32 => 32,
                < 128 => 64,
                _ => 128,
            };
            if ((_known[i] | kind) == _known[i])
                continue;
            _branches += _known[i] == 0 ? 1 : 0;
            _known[i] |= kind;
            isNew = true;
        }

        return isNew;
    }
}
