using System.Diagnostics;
using System.Globalization;

namespace Raft.Chaos.Machine;

internal enum FileSystemKind
{
    /// <summary>A directory on the machine's own disk.</summary>
    Directory,
    Ext4,
    Xfs,
}

/// <summary>The disk of one node: a file system of its own in a file, whose power can be cut, and if wanted another one on top
/// that fails or is slow on demand.</summary>
internal sealed class NodeDisk(string directory, string @namespace, FileSystemKind kind, string? fuseFaults)
{
    private const long ImageBytes = 512 << 20;
    private string? _device;
    private Process? _fuse;

    private string Image => Path.Combine(directory, "disk.img");
    private string Below => Path.Combine(directory, "disk");
    private string Control => Path.Combine(directory, "faults");

    /// <summary>Where the node sees its disk.</summary>
    public string Mount => Path.Combine(directory, "data");

    /// <summary>The node's data directory.</summary>
    public string Data => Path.Combine(Mount, "node");

    public static Tool[] NeedsOf(FileSystemKind kind, bool hasFaults) =>
    [
        .. kind switch
        {
            FileSystemKind.Ext4 => new[] { Tool.LoopDevice, Tool.Losetup, Tool.Ext4 },
            FileSystemKind.Xfs => [Tool.LoopDevice, Tool.Losetup, Tool.Xfs],
            _ => [],
        },
        .. hasFaults ? Helpers.FuseNeeds : [],
    ];

    public async Task CreateAsync()
    {
        Directory.CreateDirectory(Mount);
        if (fuseFaults is not null || kind != FileSystemKind.Directory)
            Directory.CreateDirectory(Below);
        if (kind != FileSystemKind.Directory)
        {
            await using (FileStream image = File.Create(Image))
                image.SetLength(ImageBytes);
            _device = (await Shell.RunAsync("losetup", "--find", "--show", Image)).Trim();
            if (kind == FileSystemKind.Ext4)
                await Shell.RunAsync("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", _device);
            else
                await Shell.RunAsync("mkfs.xfs", "-q", "-f", _device);
        }

        await MountAsync();
    }

    /// <summary>Everything that was not synced is gone, and from now on every call fails. The node must be killed then.</summary>
    public Task CutPowerAsync() => Shell.RunAsync("xfs_io", "-x", "-c", "shutdown", kind == FileSystemKind.Directory ? throw new InvalidOperationException("A directory has no power.") : LoopMount);

    /// <summary>After a power cut, with nobody using the disk: the journal is replayed.</summary>
    public async Task RemountAsync()
    {
        await UnmountAsync();
        await MountAsync();
    }

    public async Task UnmountAsync()
    {
        if (_fuse is not null)
        {
            await RetryAsync("umount", Mount);
            await _fuse.WaitForExitAsync();
            _fuse.Dispose();
            _fuse = null;
        }

        if (kind != FileSystemKind.Directory)
            await RetryAsync("umount", LoopMount);
    }

    /// <summary>What reads, writes and syncs fail with from now on, 0 for nothing, by how much a sync is late, and whether one is
    /// only said to be done.</summary>
    public void Break(int readErrno = 0, int writeErrno = 0, int syncErrno = 0, int syncLateMs = 0, bool syncsLie = false)
    {
        string text = Control + ".new";
        File.WriteAllText(text, string.Create(CultureInfo.InvariantCulture, $"{readErrno} {writeErrno} {syncErrno} {syncLateMs} {(syncsLie ? 1 : 0)}\n"));
        File.Move(text, Control, overwrite: true);
    }

    public void Mend() => File.Delete(Control);

    /// <summary>Leaves no byte free.</summary>
    public async Task FillAsync()
    {
        var drive = new DriveInfo(LoopMount);
        string filler = Path.Combine(LoopMount, "filler");
        await Shell.TryAsync("fallocate", "--length", string.Create(CultureInfo.InvariantCulture, $"{drive.AvailableFreeSpace}"), filler);
        await Shell.TryAsync("sh", "-c", "cat /dev/zero >> \"$1\"", "sh", filler); // ends where there is no room
    }

    /// <summary>Makes some room again after <see cref="FillAsync"/>.</summary>
    public void GiveBack(long bytes)
    {
        using FileStream filler = File.OpenWrite(Path.Combine(LoopMount, "filler"));
        filler.SetLength(Math.Max(0, filler.Length - bytes));
    }

    public void Free() => File.Delete(Path.Combine(LoopMount, "filler"));

    private string LoopMount => fuseFaults is null ? Mount : Below;

    private async Task MountAsync()
    {
        if (kind != FileSystemKind.Directory)
            await Shell.RunAsync("mount", _device!, LoopMount);
        if (fuseFaults is null)
            return;

        string[] inside = Network.Inside(@namespace);
        _fuse = Shell.Start(Path.Combine(directory, "fuse.log"), inside[0], [.. inside[1..], fuseFaults, Below, Mount, Control, "-f", "-o", "max_threads=16"]);
        var watch = Stopwatch.StartNew();
        while (!(await File.ReadAllTextAsync("/proc/self/mounts")).Contains($" {Mount} fuse", StringComparison.Ordinal))
        {
            if (_fuse.HasExited || watch.Elapsed > TimeSpan.FromSeconds(30))
                throw new InvalidOperationException($"The file system with faults is not there: {await File.ReadAllTextAsync(Path.Combine(directory, "fuse.log"))}");
            await Task.Delay(10);
        }
    }

    /// <summary>A killed process may hold a file for a moment longer.</summary>
    private static async Task RetryAsync(string program, string argument)
    {
        for (int tries = 1; ; tries++)
        {
            (int code, _, string error) = await Shell.TryAsync(program, argument);
            if (code == 0)
                return;
            if (tries == 100)
                throw new InvalidOperationException($"{program} {argument}: {error}");
            await Task.Delay(50);
        }
    }
}
