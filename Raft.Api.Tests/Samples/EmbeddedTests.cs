using System.Diagnostics;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Samples;

[Collection(ProcessCollection.Name)]
public sealed class EmbeddedTests
{
    /// <summary>Where it was built: there it has its libraries beside it, which the tests' folder takes from ASP.NET Core.</summary>
    private static string Assembly
    {
        get
        {
            var framework = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
            DirectoryInfo configuration = framework.Parent!, repository = configuration.Parent!.Parent!.Parent!;     // Raft.Api.Tests/bin/Debug/net10.0
            return Path.Combine(repository.FullName, "samples", "Embedded", "bin", configuration.Name, framework.Name, "Embedded.dll");
        }
    }

    [Fact]
    public async Task The_sample_tells_its_story_and_ends_by_itself()
    {
        var start = new ProcessStartInfo("dotnet", [Assembly]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        using var bound = new CancellationTokenSource(Wait.Bound);
        try
        {
            await process.WaitForExitAsync(bound.Token);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }

        string story = await output;
        Assert.True(process.ExitCode == 0, story + await errors);
        string[] chapters = ["took 'hello': entry", "word number 1", "was killed", "took 'world': entry", "word number 2", "took a snapshot", "is back", "knows 1002 words; the second is 'world'", "All three hold the same words."];
        int at = 0;
        foreach (string chapter in chapters)
        {
            int found = story.IndexOf(chapter, at, StringComparison.Ordinal);
            Assert.True(found >= 0, $"'{chapter}' is missing, or not in its place:\n{story}");
            at = found;
        }
    }
}
