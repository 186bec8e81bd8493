using System.Buffers.Binary;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Raft.Api.Tests.Support;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Cluster;

/// <summary>One node: its process, its disk, its place in the network, its clock.</summary>
internal sealed class ChaosNode : IAsyncDisposable
{
    public const int ApiPort = 8080, PeerPort = 8081;
    private const int ErrorsShown = 20;
    private readonly RunLog _log;
    private readonly StreamWriter _output;
    private readonly CpuGroup? _cpu;
    private readonly Lock _gate = new();
    private readonly string? _clock;
    private string? _mayEnd;
    private int _errors;
    private bool _isDisposed;

    public ChaosNode(int number, RunPlace place, Network network, ClusterOptions options, Helpers helpers, RunLog log)
    {
        _log = log;
        Number = number;
        Id = string.Create(CultureInfo.InvariantCulture, $"n{number}");
        Namespace = place.NamespaceOf(Id);
        Address = network.AddressOf(number);
        string directory = Path.Combine(place.Directory, Id);
        Directory.CreateDirectory(directory);
        _output = new StreamWriter(Path.Combine(place.Directory, Id + ".log")) { AutoFlush = true };
        Disk = new NodeDisk(directory, Namespace, options.FileSystem, options.HasFaultyDisks ? helpers.FuseFaults : null);
        Process = new NodeProcess(Id, Disk.Data, ApiPort, PeerPort, Address) { OnLine = Read };
        Process.Wrapper.AddRange(Network.Inside(Namespace));
        if (options.Descriptors is { } descriptors)
            Process.Wrapper.AddRange(["prlimit", string.Create(CultureInfo.InvariantCulture, $"--nofile={descriptors}:{descriptors}")]);
        if (options.MemoryBytes is { } memory)
            Process.Wrapper.InsertRange(0, new MemoryGroup(Namespace, memory).Inside);
        if (options.HasCpuGroups)
            _cpu = new CpuGroup(Namespace);
        if (options.HasFakeTime)
        {
            _clock = Path.Combine(directory, "clock");
            ClockOffset = TimeSpan.Zero;
            Process.Settings["LD_PRELOAD"] = helpers.ClockShift;
            Process.Settings["CLOCK_SHIFT"] = _clock;
        }
    }

    public int Number { get; }
    public string Id { get; }
    public string Namespace { get; }
    public string Address { get; }
    public NodeDisk Disk { get; }
    public NodeProcess Process { get; }
    public CpuGroup Cpu => _cpu ?? throw new InvalidOperationException("The run has no control groups.");

    /// <summary>What is added to its wall clock.</summary>
    public TimeSpan ClockOffset
    {
        get;
        set
        {
            field = value;
            byte[] seconds = new byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(seconds, (long)value.TotalSeconds);

            // In place: the node has the file in its memory.
            using SafeFileHandle file = File.OpenHandle(_clock ?? throw new InvalidOperationException("The run has no clocks of its own."), FileMode.OpenOrCreate, FileAccess.Write);
            RandomAccess.Write(file, seconds, 0);
        }
    }

    /// <summary>A member that was taken out with its disk may come back with another one.</summary>
    public bool HasNewDisk { get; set; }

    /// <summary>It came back as a new member, so its settings name whom it asks to take it in.</summary>
    public bool JoinsBySetting { get; set; }

    /// <summary>Quarantine is right at the moment.</summary>
    public bool MayBeDamaged { get; set; }

    /// <summary>Lines of level Error: something was refused that should have been served.</summary>
    public int Errors => Volatile.Read(ref _errors);

    /// <summary>How often it ended by itself because of a fault.</summary>
    public int Ends { get; private set; }

    /// <summary>Why the process may be gone at the moment; null when it must run.</summary>
    public string? MayEnd
    {
        get
        {
            lock (_gate)
                return _mayEnd;
        }
    }

    public void Start()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this); // a fault that was abandoned must leave no process behind
            Process.Start();
            _cpu?.Add(Process.ProcessId);
            _mayEnd = null;
        }
    }

    /// <summary>From now until the next start the process may end by itself, or be ended.</summary>
    public void AllowEnd(string why)
    {
        lock (_gate)
            _mayEnd = why;
    }

    /// <summary>It must live from now on, and is started again if it does not.</summary>
    /// <param name="exitCodes">With which it may have ended; none given: any.</param>
    public async Task RequireLifeAsync(params int[] exitCodes)
    {
        if (Process.ExitCode is null)
        {
            lock (_gate)
                _mayEnd = null;
            return;
        }

        int code = await Process.ExitAsync(); // and all that it wrote
        Ends++;
        if (exitCodes.Length > 0 && !exitCodes.Contains(code))
            _log.Found($"{Id} ended with exit code {code}, where {string.Join(" or ", exitCodes)} is right ({MayEnd}).{Environment.NewLine}{Process.Tail(15)}");
        Start();
    }

    public async Task KillAsync(string why)
    {
        AllowEnd(why);
        if (Process.IsRunning)
            await Process.KillAsync();
    }

    /// <summary>Tells when the process has ended though nothing was done to it, and starts it again so that the run can go on.</summary>
    public async Task CheckThatItLivesAsync()
    {
        if (MayEnd is not null || Process.ExitCode is null)
            return;
        AllowEnd("it is told already");
        int code = await Process.ExitAsync();
        _log.Found($"{Id} ended by itself with exit code {code}. Its last lines:{Environment.NewLine}{Process.Tail(15)}");
        Start();
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _mayEnd = "the run ends";
            _isDisposed = true;
        }

        await Process.DisposeAsync();
        await _output.DisposeAsync();
    }

    private void Read(string line)
    {
        _output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{_log.Elapsed:mm\\:ss\\.fff} {line}"));
        if (line.Contains(" fail: ", StringComparison.Ordinal) && Interlocked.Increment(ref _errors) <= ErrorsShown)
            _log.Write($"{Id} wrote: {line}");
        bool isFatal = line.Contains("crit: ", StringComparison.Ordinal) || line.StartsWith("Unhandled exception", StringComparison.Ordinal)
            || line.Contains("Invariant", StringComparison.Ordinal);
        if (isFatal && _mayEnd is null)
            _log.Found($"{Id} wrote: {line}");
        else if (!MayBeDamaged && line.Contains("quarantine", StringComparison.OrdinalIgnoreCase))
            _log.Found($"{Id} is in quarantine: {line}");
    }
}
