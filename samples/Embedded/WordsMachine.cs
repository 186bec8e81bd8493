using System.Collections.Immutable;
using System.Text;
using Raft.Engine.Plugins;

namespace Embedded;

/// <summary>The state machine: a list of words. A command is a word, its result is the word's number.</summary>
public sealed class WordsMachine : IStateMachine
{
    // Immutable: a picture is a reference, and commands go on meanwhile.
    private volatile ImmutableList<string> _words = [];

    /// <summary>From any thread.</summary>
    public IReadOnlyList<string> Words => _words;

    public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        var results = new object?[commands.Count];
        for (int i = 0; i < results.Length; i++)
        {
            _words = _words.Add(Encoding.UTF8.GetString(commands[i].Command.Span));
            results[i] = _words.Count;
        }

        return ValueTask.FromResult<IReadOnlyList<object?>>(results);
    }

    public IStateSnapshot TakeSnapshot() => new Picture(_words);

    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        await content.CopyToAsync(bytes, cancellation);
        bytes.Position = 0;
        try
        {
            using var reader = new BinaryReader(bytes, Encoding.UTF8);
            ImmutableList<string>.Builder words = ImmutableList.CreateBuilder<string>();
            for (int left = reader.ReadInt32(); left > 0; left--)
                words.Add(reader.ReadString());
            if (bytes.Position < bytes.Length)
                throw new InvalidDataException("The picture goes on behind its end.");
            _words = words.ToImmutable();
        }
        catch (Exception error) when (error is EndOfStreamException or FormatException)
        {
            throw new InvalidDataException("The picture is cut off.", error);
        }
    }

    private sealed class Picture(ImmutableList<string> words) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            using var bytes = new MemoryStream();
            using var writer = new BinaryWriter(bytes, Encoding.UTF8);
            writer.Write(words.Count);
            foreach (string word in words)
                writer.Write(word);
            await target.WriteAsync(bytes.ToArray(), cancellation);
        }

        public void Dispose()
        {
        }
    }
}
