using Raft.Host;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Settings;

try
{
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
catch (Exception error) when (error is SettingsException or CommandLineException or ListenException)
{
    Console.Error.WriteLine(error.Message);
    return error is ListenException ? FatalExit.Failure : FatalExit.Usage;
}
