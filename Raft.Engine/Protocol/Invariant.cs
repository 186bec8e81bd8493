using System.Runtime.CompilerServices;

namespace Raft.Engine.Protocol;

/// <summary>A claim of ours turned out false: a bug, and the server must stop before it does harm.</summary>
public sealed class InvariantViolationException(string claim, string file, int line)
    : Exception($"Invariant violated: {claim} ({Path.GetFileName(file)}:{line}). This is a bug; the server stops.")
{
    public string Claim { get; } = claim;
}

/// <summary>Checks that stay on in release builds.</summary>
internal static class Invariant
{
    public static void Holds(
        bool condition,
        [CallerArgumentExpression(nameof(condition))] string claim = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (!condition)
            throw new InvariantViolationException(claim, file, line);
    }
}
