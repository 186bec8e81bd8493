using System.Globalization;
using CsCheck;

namespace Raft.Engine.Tests.Model;

/// <summary>Something that holds of every generated value. The same values each time, unless asked for others:
/// <c>RAFT_MODEL_SEED</c> is the first seed, <c>RAFT_MODEL_FACTOR</c> multiplies how many are tried.</summary>
internal static class Property
{
    private static readonly ulong _firstSeed = ulong.Parse(Environment.GetEnvironmentVariable("RAFT_MODEL_SEED") ?? "1", CultureInfo.InvariantCulture);
    private static readonly int _factor = int.Parse(Environment.GetEnvironmentVariable("RAFT_MODEL_FACTOR") ?? "1", CultureInfo.InvariantCulture);

    /// <summary>Tries so many values; of one that fails CsCheck looks for the smallest that fails too.</summary>
    public static void Holds<T>(Gen<T> values, Action<T> claim, int count = 2000)
    {
        for (ulong seed = _firstSeed; seed < _firstSeed + (ulong)(count * (long)_factor); seed++)
        {
            var random = new PCG(1, seed);
            string state = random.ToString();
            T value = values.Generate(random, null, out _);
            try
            {
                claim(value);
            }
            catch (Exception error)
            {
                values.Sample(claim, seed: state, iter: 1000, threads: 1);
                throw new InvalidOperationException($"RAFT_MODEL_SEED={seed}: {error.Message}", error);
            }
        }
    }
}
