using System.Reflection;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Machine;

/// <summary>The small programs in C that break disks, move clocks and delay packets, compiled for this run.</summary>
internal sealed class Helpers(string directory)
{
    public string FuseFaults => Path.Combine(directory, "fuse_faults");

    /// <summary>A library that is preloaded.</summary>
    public string ClockShift => Path.Combine(directory, "clock_shift");

    public string Delay => Path.Combine(directory, "nfq_delay");

    public static readonly Tool[] FuseNeeds = [Tool.Compiler, Tool.Libc, Tool.FuseLibrary, Tool.FuseDevice];

    public static readonly Tool[] ClockNeeds = [Tool.Compiler, Tool.Libc];

    public static readonly Tool[] DelayNeeds = [Tool.Compiler, Tool.Libc, Tool.NetfilterQueue];

    public async Task CompileAsync(ClusterOptions options)
    {
        Directory.CreateDirectory(directory);
        if (options.HasFaultyDisks)
            await CompileAsync(FuseFaults, "-D_FILE_OFFSET_BITS=64", "-I/usr/include/fuse3", "-lfuse3", "-pthread");
        if (options.HasFakeTime)
            await CompileAsync(ClockShift, "-shared", "-fPIC", "-ldl");
        if (options.HasDelays)
            await CompileAsync(Delay, "-lnetfilter_queue");
    }

    private static async Task CompileAsync(string program, params string[] options)
    {
        string source = program + ".c";
        await using (Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream(Path.GetFileName(source))!)
        await using (FileStream file = File.Create(source))
            await resource.CopyToAsync(file);
        await Shell.RunAsync("gcc", ["-O2", "-o", program, source, .. options]);
    }
}
