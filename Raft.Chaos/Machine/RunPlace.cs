using System.Globalization;

namespace Raft.Chaos.Machine;

/// <summary>The number of a run, from which everything that it makes on the machine has its name, and its directory.</summary>
/// <remarks>The owner keeps a lock for as long as it lives, however it ends: what belongs to a number whose lock is free is
/// left over, and the next run removes it.</remarks>
internal sealed class RunPlace : IAsyncDisposable
{
    private const string LocksDirectory = "/run/raft-chaos";
    private const int Most = 200;
    private readonly FileStream _lock;

    private RunPlace(int number, FileStream @lock, string directory)
    {
        Number = number;
        _lock = @lock;
        Directory = directory;
    }

    public int Number { get; }

    /// <summary>Everything that the run writes; removed at its end.</summary>
    public string Directory { get; }

    public static string PrefixOf(int number) => string.Create(CultureInfo.InvariantCulture, $"raft-chaos-{number}-");

    /// <summary>At most fifteen characters, as the kernel wants it.</summary>
    public static string BridgeOf(int number) => string.Create(CultureInfo.InvariantCulture, $"raftchaos{number}");

    public string NamespaceOf(string node) => PrefixOf(Number) + node;

    /// <summary>Removes what dead runs left, and takes the first number that is free.</summary>
    public static async Task<RunPlace> TakeAsync()
    {
        System.IO.Directory.CreateDirectory(LocksDirectory);
        RunPlace? taken = null;
        for (int number = 0; number < Most; number++)
        {
            string path = Path.Combine(LocksDirectory, string.Create(CultureInfo.InvariantCulture, $"{number}"));
            bool isLeft = File.Exists(path);
            if (taken is not null && !isLeft)
                continue;
            FileStream @lock;
            try
            {
                @lock = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                continue; // its owner lives
            }

            using (var reader = new StreamReader(@lock, leaveOpen: true))
            {
                string directory = (await reader.ReadToEndAsync()).Trim();
                if (isLeft)
                    await Leftovers.RemoveAsync(number, directory.Length == 0 ? null : directory);
            }

            if (taken is not null)
            {
                File.Delete(path);
                await @lock.DisposeAsync();
                continue;
            }

            string own = Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"raft-chaos-{number}"));
            @lock.SetLength(0);
            @lock.Write(System.Text.Encoding.UTF8.GetBytes(own));
            @lock.Flush();
            System.IO.Directory.CreateDirectory(own);
            taken = new RunPlace(number, @lock, own);
        }

        return taken ?? throw new InvalidOperationException($"{Most} runs are under way at once, as {LocksDirectory} has it.");
    }

    public async ValueTask DisposeAsync()
    {
        await Leftovers.RemoveAsync(Number, Directory);
        File.Delete(_lock.Name);
        await _lock.DisposeAsync();
    }
}
