using System.Reflection;

namespace Raft.Chaos.Machine;

/// <summary>The small programs in C that break disks and delay packets, compiled for this run.</summary>
internal sealed class Helpers(string directory)
{
    public string FuseFaults => Path.Combine(directory, "fuse_faults");

    public string Delay => Path.Combine(directory, "nfq_delay");

    public static readonly Tool[] FuseNeeds = [Tool.Compiler, Tool.Libc, Tool.FuseLibrary, Tool.FuseDevice];

    public static readonly Tool[] DelayNeeds = [Tool.Compiler, Tool.Libc, Tool.NetfilterQueue];

    public async Task CompileAsync(bool withFuse, bool withDelay)
    {
        Directory.CreateDirectory(directory);
        if (withFuse)
            await CompileAsync(FuseFaults, "-D_FILE_OFFSET_BITS=64", "-I/usr/include/fuse3", "-lfuse3", "-pthread");
        if (withDelay)
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
