using Raft.Host;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Settings;

try
{
    ProcessOutput.Prepare();
    CommandLine commands = CommandLine.Parse(args);
    if (commands.Answer is { } answer)
    {
        Console.WriteLine(answer);
        return 0;
    }

    OutOfMemory.EndsProcess();
    bool startsAgain;
    do
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.AddConfigurationSources(commands);
        if (commands.DevClusterSize is not null)
            return await DevCluster.RunAsync(commands, builder.Configuration);

        builder.AddRaftHost();

        WebApplication app = builder.Build();
        app.UseRaftHost();
        startsAgain = await app.RunNodeAsync(commands);
    }
    while (startsAgain);

    return 0;
}
catch (Exception error)
{
    try
    {
        StartFailure failure = StartFailure.Of(error);
        ProcessOutput.LastWords(failure.Sentence);
        return failure.ExitCode;
    }
    catch (Exception) when (error is FileNotFoundException or FileLoadException or TypeInitializationException or OutOfMemoryException)
    {
        // Not even the parts of the program that explain could be loaded.
        Console.Error.WriteLine($"The node cannot start: {error.Message.ReplaceLineEndings(" ")} Its files cannot be read: check the limits of open files and of memory (ulimit -n, ulimit -v), and the installation.");
        return 1;
    }
}
