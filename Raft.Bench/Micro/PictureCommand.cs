using System.Diagnostics;
using System.Security.Cryptography;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Bench.Micro;

/// <summary>A picture of a large store: how long it holds the lock, how long it takes, and what commands notice of it.</summary>
internal static class PictureCommand
{
    private const int Batch = 1_000;
    private static readonly TimeSpan _pace = TimeSpan.FromMicroseconds(500);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        int items = arguments.Number("items", 1_000_000);
        int bytes = arguments.Number("bytes", 256);
        await RunAsync("keys", CommandKind.Put, items, bytes);
        await RunAsync("journal entries", CommandKind.Append, items, bytes);
        return 0;
    }

    private static async Task RunAsync(string what, CommandKind kind, int items, int bytes)
    {
        var driver = new Driver(kind, items, bytes);
        await driver.FillAsync();
        Console.WriteLine($"{items:N0} {what} of {bytes} bytes");
        GC.Collect();

        // The same commands without a picture: what the machine and the collector take anyway.
        List<TimeSpan> quiet = await driver.ApplyUntilAsync(Task.Delay(TimeSpan.FromSeconds(3)));
        Print("apply, no picture", quiet);

        string file = Path.Combine(Path.GetTempPath(), $"raft-bench-{Guid.NewGuid():n}");
        try
        {
            long began = Stopwatch.GetTimestamp();
            List<TimeSpan> slices = new(1 << 16);
            using IStateSnapshot picture = driver.Store.TakeSnapshot(SectionWriter.DefaultSectionBytes, StoreSnapshot.DefaultSliceKeys, slices.Add);
            TimeSpan taken = Stopwatch.GetElapsedTime(began);
            TimeSpan written = default;
            Task writing = Task.Run(async () =>
            {
                await using var target = new FileStream(file, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 20);
                await picture.WriteAsync(target, CancellationToken.None);
                written = Stopwatch.GetElapsedTime(began);
            });
            List<TimeSpan> busy = await driver.ApplyUntilAsync(writing);
            await writing;
            Print("apply, meanwhile", busy);
            Console.WriteLine($"  taken in {taken.TotalMilliseconds:F2} ms, written in {written.TotalSeconds:F2} s ({new FileInfo(file).Length >> 20} MiB)");
            Print("lock held by a slice", slices);

            var loaded = new Store();
            long before = GC.GetTotalMemory(forceFullCollection: true);
            began = Stopwatch.GetTimestamp();
            await using (FileStream source = File.OpenRead(file))
                await loaded.LoadSnapshotAsync(source, CancellationToken.None);
            Console.WriteLine($"  loaded in {Stopwatch.GetElapsedTime(began).TotalSeconds:F2} s, {(GC.GetTotalMemory(forceFullCollection: true) - before) >> 20} MiB");
            GC.KeepAlive(loaded);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void Print(string what, List<TimeSpan> latencies)
    {
        latencies.Sort();
        Console.WriteLine($"  {what}: p50 {At(0.5):F3} ms, p99 {At(0.99):F3} ms, p99.9 {At(0.999):F3} ms, max {At(1):F3} ms ({latencies.Count:N0} times)");

        double At(double part) => latencies[Math.Min(latencies.Count - 1, (int)(part * latencies.Count))].TotalMilliseconds;
    }

    /// <summary>Fills a store, then overwrites keys, or appends and drops, one command a call.</summary>
    private sealed class Driver(CommandKind kind, int items, int bytes)
    {
        private readonly Random _random = new(1);
        private long _index;

        public Store Store { get; } = new();

        public async Task FillAsync()
        {
            var batch = new CommittedCommand[Math.Min(Batch, items)];
            for (int n = 0; n < items; n += batch.Length)
            {
                for (int i = 0; i < batch.Length; i++)
                    batch[i] = Next(n + i);
                await Store.ApplyAsync(batch, CancellationToken.None);
            }
        }

        public async Task<List<TimeSpan>> ApplyUntilAsync(Task end)
        {
            List<TimeSpan> latencies = new(1 << 20);
            var one = new CommittedCommand[1];
            long due = Stopwatch.GetTimestamp();
            while (!end.IsCompleted)
            {
                one[0] = Next(_random.Next(items));
                long began = Stopwatch.GetTimestamp();
                await Store.ApplyAsync(one, CancellationToken.None);
                latencies.Add(Stopwatch.GetElapsedTime(began));
                due += (long)(_pace.TotalSeconds * Stopwatch.Frequency);
                while (Stopwatch.GetTimestamp() < due && !end.IsCompleted)
                    Thread.Sleep(0);
            }

            return latencies;
        }

        private CommittedCommand Next(int number)
        {
            byte[] key = kind == CommandKind.Put ? System.Text.Encoding.UTF8.GetBytes($"key-{number:D9}") : [];
            int header = StoreCommands.HeaderBytes(kind, Precondition.None, idempotency: null, contentType: null, key);
            byte[] command = new byte[header + bytes];
            StoreCommands.WriteHeader(command, kind, Precondition.None, idempotency: null, journalMaxEntries: items, journalMaxBytes: long.MaxValue, contentType: null, key);
            RandomNumberGenerator.Fill(command.AsSpan(header));
            return new CommittedCommand(new LogIndex(++_index), new Term(1), _index, command);
        }
    }
}
