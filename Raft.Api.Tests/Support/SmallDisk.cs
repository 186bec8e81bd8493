using System.Diagnostics;
using System.Globalization;

namespace Raft.Api.Tests.Support;

/// <summary>A small ext4 file system of the test's own, in a file, that another program can fill: only for root.</summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private readonly TempDirectory _directory = new();

    /// <summary>Where it is mounted.</summary>
    public string Path => _directory["disk"];

    private string Filler => System.IO.Path.Combine(Path, "filler");

    /// <summary>Bytes that may still be written.</summary>
    public long FreeBytes => new DriveInfo(Path).AvailableFreeSpace;

    /// <summary>Makes one; skips the test, with the reason, where that is not possible.</summary>
    public static async Task<SmallDisk> RequireAsync(int megabytes)
    {
        var disk = new SmallDisk();
        Directory.CreateDirectory(disk.Path);
        string image = disk._directory["image"];
        await using (FileStream file = File.Create(image))
            file.SetLength((long)megabytes << 20);
        string? reason = await RunAsync("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
            ?? await RunAsync("mount", "-o", "loop", image, disk.Path);
        if (reason is not null)
            disk._directory.Dispose();
        Skip.If(reason is not null, $"A small file system needs root, loop devices and e2fsprogs: {reason}");
        return disk;
    }

    /// <summary>Another program fills it, to the last byte or but for so many.</summary>
    public async Task FillAsync(long butBytes = 0)
    {
        if (FreeBytes - butBytes is > 0 and var bytes)
            await RunAsync("fallocate", "--length", bytes.ToString(CultureInfo.InvariantCulture), Filler);
        if (butBytes == 0)
            await RunAsync("sh", "-c", "cat /dev/zero >> \"$1\"", "sh", Filler);     // ends where there is no room
    }

    /// <summary>The other program gives so many bytes back.</summary>
    public void GiveBack(long bytes)
    {
        using FileStream filler = File.OpenWrite(Filler);
        filler.SetLength(Math.Max(0, filler.Length - bytes));
    }

    /// <summary>Gives everything back.</summary>
    public void Free() => File.Delete(Filler);

    public async ValueTask DisposeAsync()
    {
        // A process that was just ended may hold a file for a moment longer.
        for (int tries = 0; tries < 100 && await RunAsync("umount", Path) is not null; tries++)
            await Task.Delay(50);
        _directory.Dispose();
    }

    /// <summary>Null when it went well.</summary>
    private static async Task<string?> RunAsync(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            string error = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            return process.ExitCode == 0 ? null : $"{program}: {error}";
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            return $"{program}: {error.Message}";
        }
    }
}
