using System.Collections.Immutable;
using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Raft.Engine.Plugins;
using Raft.Host.StateMachine;

namespace Counter;

/// <summary>The value of a counter after a command.</summary>
public sealed record Counted(string Name, long Value);

/// <summary>A command that was none; nothing was counted.</summary>
public sealed record Refused(string Error);

/// <summary>Named counters. A command is a name and a number, such as <c>apples 5</c>.</summary>
public sealed class CounterMachine : IStateMachine, IHashedState
{
    // Immutable: readers on other threads and pictures hold a reference, and commands go on meanwhile.
    private volatile ImmutableSortedDictionary<string, long> _counters = Empty;
    private static readonly ImmutableSortedDictionary<string, long> Empty = ImmutableSortedDictionary.Create<string, long>(StringComparer.Ordinal);

    public long Read(string name) => _counters.GetValueOrDefault(name);

    /// <summary>The replicas compare it now and then.</summary>
    public UInt128 StateHash => XxHash128.HashToUInt128(Encode(_counters));

    public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation) =>
        ValueTask.FromResult<IReadOnlyList<object?>>([.. commands.Select(command => Apply(Encoding.UTF8.GetString(command.Command.Span)))]);

    public IStateSnapshot TakeSnapshot() => new Picture(_counters);

    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        await content.CopyToAsync(bytes, cancellation);
        _counters = await Task.Run(() => Decode(bytes.ToArray()), cancellation);    // the caller is a shard's only thread
    }

    // What is no command was committed all the same: it has a result like any other, and must never throw.
    private object Apply(string command)
    {
        string[] parts = command.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != 2 || !long.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long change))
            return new Refused($"'{command}' is not a name and a number.");

        long value = unchecked(_counters.GetValueOrDefault(parts[0]) + change);
        _counters = _counters.SetItem(parts[0], value);
        return new Counted(parts[0], value);
    }

    private static byte[] Encode(ImmutableSortedDictionary<string, long> counters)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write("counters 1");
        writer.Write(counters.Count);
        foreach ((string name, long value) in counters)
        {
            writer.Write(name);
            writer.Write(value);
        }

        writer.Flush();
        return bytes.ToArray();
    }

    private static ImmutableSortedDictionary<string, long> Decode(byte[] content)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(content), Encoding.UTF8);
            if (reader.ReadString() != "counters 1")
                throw new InvalidDataException("This is no picture of counters.");
            ImmutableSortedDictionary<string, long>.Builder counters = Empty.ToBuilder();
            for (int left = reader.ReadInt32(); left > 0; left--)
                counters.Add(reader.ReadString(), reader.ReadInt64());
            return reader.BaseStream.ReadByte() < 0 ? counters.ToImmutable() : throw new InvalidDataException("The picture goes on behind its end.");
        }
        catch (Exception error) when (error is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new InvalidDataException("The picture is cut off or damaged.", error);
        }
    }

    private sealed class Picture(ImmutableSortedDictionary<string, long> counters) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation) => await target.WriteAsync(Encode(counters), cancellation);

        public void Dispose()
        {
        }
    }
}
