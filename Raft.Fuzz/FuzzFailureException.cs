namespace Raft.Fuzz;

/// <summary>An input that broke what a target promises; it is kept in a file.</summary>
internal sealed class FuzzFailureException(string target, byte[] input, string what, string repeat, Exception? inner = null)
    : Exception(Text(target, input, what, repeat), inner)
{
    private const int BytesShown = 200;

    public byte[] Input => input;

    /// <summary>The input has not ended: its thread still runs.</summary>
    public bool IsHang { get; init; }

    /// <summary>Where an input is kept that broke something, and what repeats it.</summary>
    public static string Keep(string target, byte[] input)
    {
        string path = Corpus.Keep(Path.Combine(Path.GetTempPath(), "raft-fuzz-failures"), target, input);
        return $"kept as {path}{Environment.NewLine}alone: dotnet run --project Raft.Fuzz -- --target {target} --input {path}";
    }

    private static string Text(string target, byte[] input, string what, string repeat) =>
        $"{target}: {what}{Environment.NewLine}input ({input.Length} bytes): {Convert.ToHexString(input.AsSpan(0, Math.Min(input.Length, BytesShown)))}"
        + $"{(input.Length > BytesShown ? "..." : "")}{Environment.NewLine}{Keep(target, input)}{Environment.NewLine}with those before it: {repeat}";
}
