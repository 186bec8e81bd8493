using Raft.Bench;
using Raft.Bench.Load;
using Raft.Bench.Micro;

try
{
    Arguments arguments = Arguments.Parse(args);
    return arguments.Command switch
    {
        "put" or "get" or "append" or "ndjson" => await LoadCommands.RunAsync(arguments),
        "failover" => await FailoverCommand.RunAsync(arguments),
        "stall" => await StallCommand.RunAsync(arguments),
        "catch-up" => await CatchUpCommand.RunAsync(arguments),
        "snapshot" => await SnapshotCommand.RunAsync(arguments),
        "groups" => await GroupsCommand.RunAsync(arguments),
        "members" => await MembersCommand.RunAsync(arguments),
        "transfer" => await TransferCommand.RunAsync(arguments),
        "picture" => await PictureCommand.RunAsync(arguments),
        "micro" => MicroBenchmarks.Run(arguments.Rest),
        _ => Help(),
    };
}
catch (ArgumentException error)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}

static int Help()
{
    Console.WriteLine("""
        dotnet run -c Release --project Raft.Bench -- COMMAND [options]

          put, get      256-byte values over 1000 keys           --url URL[,URL...] [--clients 64] [--seconds 10] [--rate 0] [--bytes 256] [--keys 1000]
          append        single journal entries                   the same, without --keys
          ndjson        batches of journal entries, entries/s    the same, with --batch 500
          failover      kill -9 of the leader, again and again   --host DIR [--trials 20]; its own cluster
          stall         a follower stopped under load            --host DIR [--seconds 60] [--clients 32]; its own cluster
          catch-up      a follower dead for many entries         --host DIR [--entries 1000000] [--clients 16] [--batch 500] [--rate 0] [--log 1: never by snapshot]
          snapshot      a large state sent to an empty node      --host DIR [--megabytes 1024] [--bytes 65536]
          groups        many groups: start, idle, flood          --host DIR [--count 300] [--seconds 30] [--clients 16] [--flood 0: stop after idling]
          members       3 to 5 to 3 nodes, all replaced, writes  --host DIR [--clients 64] [--rate 0: half of the capacity]
          transfer      leadership handed over under writes      --host DIR [--trials 20] [--clients 64] [--rate 0: half of the capacity]
          picture       a snapshot of a large store in memory: lock, time, what commands notice       [--items 1000000] [--bytes 256]
          micro         benchmarks of the parts (BenchmarkDotNet); what follows goes to it, for example --filter '*'

        --rate 0 is a closed loop: each client asks again when it has its answer. A rate is an open loop of that many requests
        a second; latency then counts from when the request was due, so that waiting is not hidden.
        --host is a folder with Raft.Host.dll: dotnet publish Raft.Host -c Release -o DIR
        """);
    return 0;
}
