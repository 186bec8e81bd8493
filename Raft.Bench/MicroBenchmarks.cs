using BenchmarkDotNet.Running;

namespace Raft.Bench;

/// <summary>The way into BenchmarkDotNet: the classes of Micro/.</summary>
internal static class MicroBenchmarks
{
    public static int Run(string[] arguments)
    {
        BenchmarkSwitcher.FromAssembly(typeof(MicroBenchmarks).Assembly).Run(arguments);
        return 0;
    }
}
