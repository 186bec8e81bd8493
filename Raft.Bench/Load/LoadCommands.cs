namespace Raft.Bench.Load;

/// <summary>put, get, append, ndjson: load on a cluster that is there.</summary>
internal static class LoadCommands
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        string[] urls = [.. arguments.Text("url").Split(',').Select(url => url.TrimEnd('/'))];
        int keys = Math.Max(1, arguments.Number("keys", 1000)), bytes = arguments.Number("bytes", 256), batch = Math.Max(1, arguments.Number("batch", 500));
        (Operation operation, string unit) = arguments.Command switch
        {
            "put" => (Operations.Put(keys, bytes), "writes"),
            "get" => (Operations.Get(keys), "reads"),
            "append" => (Operations.Append(bytes), "entries"),
            _ => (Operations.Ndjson(batch, bytes), "entries"),
        };
        if (arguments.Command == "get")
            await LoadRun.RunAsync(Operations.Put(keys, bytes), urls, clients: 16, TimeSpan.FromSeconds(1), ratePerSecond: 0);

        int clients = Math.Max(1, arguments.Number("clients", 64));
        (Latencies result, double seconds) = await LoadRun.RunAsync(
            operation, urls, clients, TimeSpan.FromSeconds(arguments.Number("seconds", 10)), arguments.Number("rate", 0));
        Console.WriteLine($"{arguments.Command} clients={clients} {result.Summary(seconds, unit)}");
        if (result.FirstError is { } error)
            Console.Error.WriteLine($"the first error: {error}");
        return result.Operations > 0 ? 0 : 1;
    }
}
