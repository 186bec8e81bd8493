namespace Raft.Fuzz;

/// <summary>Something that reads bytes which others wrote.</summary>
internal abstract class FuzzTarget : IDisposable
{
    /// <summary>The outcome of what is taken.</summary>
    public const string Accepted = "accepted";

    /// <summary>As on the command line, and as its directory of the corpus is called.</summary>
    public abstract string Name { get; }

    /// <summary>Inputs that are as they should be: where mutation begins.</summary>
    public abstract IEnumerable<byte[]> Seeds();

    /// <summary>Texts and bytes that mean something to it.</summary>
    public virtual IReadOnlyList<byte[]> Dictionary => [];

    /// <summary>What it may allocate for an input of no bytes; each byte may cost <see cref="Fuzzer.AllocatedBytesPerByte"/> more.</summary>
    public virtual long AllocatedBytes => 2 << 20;

    /// <summary>How many inputs a test of this target tries.</summary>
    public virtual int InputsInTests => 20_000;

    /// <summary>Reads the input. What is documented as a refusal is returned as such; whatever else is thrown is a failure.</summary>
    /// <returns>Accepted, or why not.</returns>
    public abstract string Run(byte[] input);

    /// <summary>Whether all that an input does is done on the thread that runs it: else the branches counted for it may be of others.</summary>
    public virtual bool IsOnOneThread => true;

    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>A claim about what was read, which the reader would break by itself.</summary>
    protected static void Holds(bool isTrue, string claim)
    {
        if (!isTrue)
            throw new InvalidOperationException($"It does not hold that {claim}.");
    }

    /// <summary>What was read must come back from its own bytes: written, read, and written again, it is the same bytes.</summary>
    protected static byte[] ComesBack<T>(T read, Func<T, byte[]> write, Func<byte[], T> readAgain)
    {
        byte[] once = write(read);
        Holds(once.AsSpan().SequenceEqual(write(readAgain(once))), $"a {typeof(T).Name} comes back from its own bytes");
        return once;
    }

    protected static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
