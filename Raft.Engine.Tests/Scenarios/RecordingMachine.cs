using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Scenarios;

/// <summary>Remembers what it was given; its pictures hold all of it. Everything stays on the caller's thread.</summary>
internal sealed class RecordingMachine : IStateMachine
{
    private const string PictureName = "recording machine 1";
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Hook _applying = new("The state machine has failed.");
    private List<string> _applied = [];
    private List<CommittedCommand> _commands = [];
    private Picture? _open;

    /// <summary>What a command must begin with to make room.</summary>
    public string? Deletion { get; set; }

    public bool MakesRoom(ReadOnlySpan<byte> command) => Deletion is { } deletion && command.StartsWith(Utf8.GetBytes(deletion));

    public IReadOnlyList<string> Applied => _applied;
    public IReadOnlyList<CommittedCommand> Commands => _commands;
    public int LargestCall { get; private set; }

    /// <summary>Of the last call to apply: cancelled when the server stops.</summary>
    public CancellationToken Token { get; private set; }

    public bool IsFailing
    {
        get => _applying.IsFailing;
        set => _applying.IsFailing = value;
    }

    /// <summary>Makes the writing of a picture slow, or fail.</summary>
    public Hook Writing { get; } = new("The picture cannot be written.");

    /// <summary>Makes loading slow, or fail.</summary>
    public Hook Loading { get; } = new("The picture cannot be loaded.");

    /// <summary>How many pictures were taken.</summary>
    public int PicturesTaken { get; private set; }

    /// <summary>How many pictures were loaded; zero when all came from the log.</summary>
    public int PicturesLoaded { get; private set; }

    /// <summary>The next call takes until <see cref="Release"/>.</summary>
    public void Hold() => _applying.Hold();

    public void Release() => _applying.Release();

    public async ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        Token = cancellation;
        await _applying.PassAsync();
        LargestCall = Math.Max(LargestCall, commands.Count);
        var results = new object?[commands.Count];
        for (int i = 0; i < results.Length; i++)
        {
            if (_commands.Count > 0 && commands[i].Index <= _commands[^1].Index)
                throw new InvalidOperationException($"Index {commands[i].Index} was applied already; the last is {_commands[^1].Index}.");

            string text = Encoding.UTF8.GetString(commands[i].Command.Span);
            _applied.Add(text);
            _commands.Add(commands[i]);
            results[i] = $"{text} is number {_applied.Count}";
        }

        return results;
    }

    public IStateSnapshot TakeSnapshot()
    {
        if (_open is not null)
            throw new InvalidOperationException("A picture is open already.");
        PicturesTaken++;
        return _open = new Picture(this, [.. _commands]);
    }

    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        await Loading.PassAsync();
        var bytes = new MemoryStream();
        await content.CopyToAsync(bytes, cancellation);
        bytes.Position = 0;
        List<CommittedCommand> commands = Read(bytes);
        _commands = commands;
        _applied = [.. commands.Select(command => Encoding.UTF8.GetString(command.Command.Span))];
        PicturesLoaded++;
    }

    private static List<CommittedCommand> Read(MemoryStream bytes)
    {
        try
        {
            using var reader = new BinaryReader(bytes, Utf8, leaveOpen: true);
            if (reader.ReadString() != PictureName)
                throw new InvalidDataException("This is no picture of a recording machine.");

            List<CommittedCommand> commands = [];
            while (reader.ReadBoolean())
            {
                var index = new LogIndex(reader.ReadInt64());
                var term = new Term(reader.ReadInt64());
                long timeMs = reader.ReadInt64();
                bool isSystem = reader.ReadBoolean();
                int length = reader.ReadInt32();
                if (length < 0 || length > bytes.Length - bytes.Position)
                    throw new InvalidDataException($"The picture claims a command of {length} bytes.");
                commands.Add(new CommittedCommand(index, term, timeMs, reader.ReadBytes(length)) { IsSystem = isSystem });
            }

            if (bytes.Position != bytes.Length)
                throw new InvalidDataException("The picture goes on behind its end.");
            return commands;
        }
        catch (Exception error) when (error is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new InvalidDataException("The picture is cut off or damaged.", error);
        }
    }

    /// <summary>A point that a call passes: held, or failing.</summary>
    internal sealed class Hook(string failure)
    {
        private TaskCompletionSource? _held;

        public bool IsFailing { get; set; }

        /// <summary>Whether somebody waits there.</summary>
        public bool IsWaiting { get; private set; }

        public void Hold() => _held ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Release()
        {
            _held?.SetResult();
            _held = null;
        }

        internal async Task PassAsync()
        {
            if (_held is { } held)
            {
                IsWaiting = true;
                await held.Task;
                IsWaiting = false;
            }

            if (IsFailing)
                throw new InvalidOperationException(failure);
        }
    }

    private sealed class Picture(RecordingMachine machine, CommittedCommand[] commands) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            await machine.Writing.PassAsync();
            var bytes = new MemoryStream();
            using (var writer = new BinaryWriter(bytes, Utf8, leaveOpen: true))
            {
                writer.Write(PictureName);
                foreach (CommittedCommand command in commands)
                {
                    writer.Write(true);
                    writer.Write(command.Index.Value);
                    writer.Write(command.Term.Value);
                    writer.Write(command.TimeMs);
                    writer.Write(command.IsSystem);
                    writer.Write(command.Command.Length);
                    writer.Write(command.Command.Span);
                }

                writer.Write(false);
            }

            await target.WriteAsync(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), cancellation);
        }

        public void Dispose()
        {
            if (machine._open == this)
                machine._open = null;
        }
    }
}
