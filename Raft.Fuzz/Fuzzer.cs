using System.Diagnostics;
using System.Globalization;

namespace Raft.Fuzz;

/// <summary>Runs mutated inputs against a target. The same seed and corpus give the same inputs.</summary>
internal sealed class Fuzzer(FuzzTarget target, int seed, Novelty novelty, IEnumerable<byte[]> corpus)
{
    public const int AllocatedBytesPerByte = 1024;

    private const int CorpusMax = 4000;

    private readonly Random _random = new(seed);
    private readonly List<byte[]> _inputs = [];
    private byte[]? _current;
    private long _begun;

    /// <summary>What takes longer does not end. Far above what an input takes on the busiest machine.</summary>
    public TimeSpan HangAfter { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Told of each input before it is run.</summary>
    public Action<byte[]> Before { get; init; } = static _ => { };

    /// <summary>How the program is called that tries these inputs.</summary>
    public string Mode { get; init; } = "";

    /// <summary>Inputs that did something new, in the order in which they were found.</summary>
    public List<byte[]> Found { get; } = [];

    public long Accepted { get; private set; }

    public long Refused { get; private set; }

    public long Tried => Accepted + Refused;

    /// <summary>How long the slowest input took; for information, since any machine pauses.</summary>
    public TimeSpan Slowest { get; private set; }

    /// <summary>The target's own inputs, the corpus, and then so many more.</summary>
    /// <exception cref="FuzzFailureException">An input broke a promise, or does not end.</exception>
    public void Run(long inputs)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                RunAll(inputs);
            }
            catch (Exception error)
            {
                failure = error;
            }
        })
        {
            IsBackground = true,    // an input that does not end must not keep the process
            Name = $"fuzz {target.Name}",
        };
        thread.Start();
        TimeSpan look = HangAfter / 10;
        while (!thread.Join(look))
        {
            long begun = Volatile.Read(ref _begun);
            if (begun != 0 && Stopwatch.GetElapsedTime(begun) > HangAfter && Volatile.Read(ref _current) is { } input)
                throw Failure(input, string.Create(CultureInfo.InvariantCulture, $"did not end within {HangAfter.TotalSeconds:0.#} s"), isHang: true);
        }

        if (failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    private void RunAll(long inputs)
    {
        foreach (byte[] input in target.Seeds().Concat(corpus))
        {
            Try(input);
            _inputs.Add(input);
        }

        var mutator = new Mutator(_random, target.Dictionary);
        for (long n = 0; n < inputs; n++)
        {
            // The youngest were found last and were looked at least.
            int chosen = _random.Next(2) == 0 ? _random.Next(_inputs.Count) : _inputs.Count - 1 - _random.Next(Math.Min(16, _inputs.Count));
            byte[] input = mutator.Mutate(_inputs[chosen], _inputs[_random.Next(_inputs.Count)]);
            if (!Try(input) || _inputs.Count >= CorpusMax)
                continue;
            _inputs.Add(input);
            Found.Add(input);
        }
    }

    /// <summary>Whether the input did something new.</summary>
    private bool Try(byte[] input)
    {
        Before(input);
        Volatile.Write(ref _current, input);
        novelty.Begin();
        long before = GC.GetAllocatedBytesForCurrentThread(), begun = Stopwatch.GetTimestamp();
        Volatile.Write(ref _begun, begun);
        string outcome;
        try
        {
            outcome = target.Run(input);
        }
        catch (Exception error)
        {
            throw Failure(input, $"{error.GetType().Name}: {error.Message}", error);
        }

        Volatile.Write(ref _begun, 0);
        TimeSpan took = Stopwatch.GetElapsedTime(begun);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Slowest = took > Slowest ? took : Slowest;
        if (allocated > target.AllocatedBytes + ((long)AllocatedBytesPerByte * input.Length))
            throw Failure(input, $"allocated {allocated} bytes");
        if (outcome == FuzzTarget.Accepted)
            Accepted++;
        else
            Refused++;
        return novelty.IsNew(outcome);
    }

    private FuzzFailureException Failure(byte[] input, string what, Exception? inner = null, bool isHang = false) =>
        new(target.Name, input, what, $"dotnet run --project Raft.Fuzz -- --target {target.Name} --seed {seed} --inputs {Tried}{Mode}", inner) { IsHang = isHang };
}
