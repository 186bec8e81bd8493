using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Raft.Chaos;

/// <summary>What happened when, on the screen and in a file; and everything that must not have happened.</summary>
internal sealed class RunLog : IDisposable
{
    private const int FindingsShown = 50;
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly StreamWriter _file;
    private readonly ConcurrentQueue<string> _findings = new();

    public RunLog(string directory) => _file = new StreamWriter(Path.Combine(directory, "run.log")) { AutoFlush = true };

    public TimeSpan Elapsed => _watch.Elapsed;

    /// <summary>Each of them makes the run fail.</summary>
    public IReadOnlyCollection<string> Findings => _findings;

    public void Write(string text)
    {
        string line = string.Create(CultureInfo.InvariantCulture, $"{_watch.Elapsed:mm\\:ss\\.fff} {text}");
        lock (_file)
        {
            Console.WriteLine(line);
            _file.WriteLine(line);
        }
    }

    /// <summary>Something that must not happen.</summary>
    public void Found(string text)
    {
        if (_findings.Count >= FindingsShown)
            return;
        _findings.Enqueue(string.Create(CultureInfo.InvariantCulture, $"at {_watch.Elapsed:mm\\:ss\\.fff}: {text}"));
        Write($"FOUND {text}");
    }

    public void Dispose() => _file.Dispose();
}
