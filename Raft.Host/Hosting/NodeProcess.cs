using Microsoft.Extensions.Logging.Console;
using Raft.Host.Monitoring;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>A node as a process: where its settings come from, what it prints, how it ends.</summary>
internal static class NodeProcess
{
    /// <summary>The shipped file, one in the working directory, one that was named, the environment, the command line; the last wins.</summary>
    public static void AddConfigurationSources(this WebApplicationBuilder builder, CommandLine commands)
    {
        ConfigurationManager configuration = builder.Configuration;
        configuration.Sources.Clear();
        AddFile(configuration, Path.Combine(AppContext.BaseDirectory, "appsettings.json"), isOptional: true);
        AddFile(configuration, Path.Combine(WorkingDirectory(), "appsettings.json"), isOptional: true);
        if (commands.ConfigurationFile is { } file)
            AddFile(configuration, Path.GetFullPath(file), isOptional: false);
        configuration.AddEnvironmentVariables();
        configuration.AddCommandLine([.. commands.Settings]);
        RefuseUnknownSections(configuration);

        builder.Logging.ClearProviders();
        builder.Logging.AddConfiguration(configuration.GetSection("Logging"));

        // What fails at start is told in a sentence, below; the framework would add its stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.UseUtcTimestamp = true;
        });

        // Whoever reads the log may stand still: lines are lost then, and the node goes on.
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite);
    }

    private static void AddFile(ConfigurationManager configuration, string path, bool isOptional)
    {
        try
        {
            configuration.AddJsonFile(path, isOptional, reloadOnChange: false);     // reads it
        }
        catch (Exception error) when (error is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw StartFailure.Unreadable(path, error);
        }
    }

    private static string WorkingDirectory()
    {
        try
        {
            return Directory.GetCurrentDirectory();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandLineException("The working directory of this process does not exist any more, or may not be read. Start it in another one.");
        }
    }

    /// <summary>A section whose name is misspelt would be passed over with all that it holds. The environment belongs to others
    /// as well, and the command line has been checked.</summary>
    internal static void RefuseUnknownSections(IConfigurationRoot configuration)
    {
        List<string> faults = [];
        foreach (FileConfigurationProvider file in configuration.Providers.OfType<FileConfigurationProvider>())
        {
            foreach (string section in file.GetChildKeys([], parentPath: null).Distinct(StringComparer.OrdinalIgnoreCase))
            {
                if (!CommandLine.Sections.Contains(section, StringComparer.OrdinalIgnoreCase))
                    faults.Add($"{section} in {file.Source.FileProvider?.GetFileInfo(file.Source.Path ?? "").PhysicalPath ?? file.Source.Path} is no known section; allowed: {string.Join(", ", CommandLine.Sections)}.");
            }
        }

        RefuseUnknownLevels(configuration.GetSection("Logging"), faults);
        if (faults is not [])
            throw new SettingsException(faults);
    }

    private static void RefuseUnknownLevels(IConfigurationSection section, List<string> faults)
    {
        foreach (IConfigurationSection child in section.GetChildren())
        {
            RefuseUnknownLevels(child, faults);
            if (child.Value is { } level && section.Key.Equals("LogLevel", StringComparison.OrdinalIgnoreCase) && !Enum.TryParse(level, ignoreCase: true, out LogLevel _))
                faults.Add($"{child.Path} is '{level}'; allowed: {string.Join(", ", Enum.GetNames<LogLevel>())}.");
        }
    }

    /// <summary>Listens, tells the reader where, and runs until somebody ends it. True: it is to be started again.</summary>
    /// <exception cref="ListenException">An endpoint could not be bound.</exception>
    public static async Task<bool> RunNodeAsync(this WebApplication app, CommandLine commands)
    {
        await using WebApplication node = app;
        NodeSettings settings = app.Services.GetRequiredService<NodeSettings>();
        NodeRestart restart = app.Services.GetRequiredService<NodeRestart>();
        restart.Offer();
        try
        {
            await app.StartAsync();
        }
        catch (Exception error) when (error.GetBaseException() is System.Net.Sockets.SocketException
            || (error is IOException && error.Message.Contains("address already in use", StringComparison.OrdinalIgnoreCase)))
        {
            throw ListenException.Of(error, settings.Endpoints);
        }

        if (commands.IsDevNode)
            StopWithStandardInput(app.Lifetime);
        else
            Console.WriteLine(Banner(app, settings));
        await app.WaitForShutdownAsync();
        return restart.IsWanted;
    }

    private static string Banner(WebApplication app, NodeSettings settings)
    {
        BoundEndpoints bound = app.Services.GetRequiredService<BoundEndpoints>();
        string api = BoundEndpoints.UrlOf(bound.Api, settings.Endpoints.Api);
        string peer = BoundEndpoints.UrlOf(bound.Peer, settings.Endpoints.Peer);
        return $"""
            RaftHost {RaftMeters.Version}: node '{settings.Raft.NodeId}' of cluster '{settings.Raft.ClusterId}'
              api    {api}  (also /swagger, /v1/status, /readyz, /metrics)
              peers  {peer}
              data   {settings.DataDirectory}
            Try:
              curl -i --data-binary 'first entry' {api}/v1/entries
              curl {api}/v1/entries
              curl -i -X PUT --data-binary 'some value' {api}/v1/kv/some-key
            Ctrl-C stops it.
            """;
    }

    /// <summary>The dev cluster holds the other end: when it dies, however it dies, so do its nodes.</summary>
    private static void StopWithStandardInput(IHostApplicationLifetime lifetime)
    {
        Stream input = Console.OpenStandardInput();
        var watch = new Thread(() =>
        {
            Span<byte> nothing = stackalloc byte[16];
            while (input.Read(nothing) > 0)
            {
            }

            lifetime.StopApplication();
        })
        {
            IsBackground = true,
            Name = "stdin",
        };
        watch.Start();
    }
}
