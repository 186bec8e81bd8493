using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Raft.Host.Settings;

/// <summary>Limits that nobody has set follow the memory of the machine or container; those that were set are compared with it.</summary>
/// <remarks>docs/configuration.md, "Memory", gives each rule with figures. On a machine with several GiB the constants of
/// <see cref="RaftOptions"/> are the smaller ones, but for the state's limit.</remarks>
internal sealed class MemoryDefaults(RaftOptions options, IConfiguration configuration, long memoryBytes)
{
    /// <summary>What the process takes before it holds anything, and what a full log pipeline adds.</summary>
    internal const long FixedBytes = 96L << 20;

    /// <summary>With less than this a node does not run well.</summary>
    internal const long MemoryBytesMin = 96L << 20;

    private const int KeyBytes = 400;           // an idempotency key with its overhead
    private static readonly RaftOptions Constants = new();
    private readonly List<string> _warnings = [];

    /// <summary>What the runtime lets the heap grow to: three quarters of a container's limit, or all of a machine's memory.</summary>
    public static long AvailableBytes => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>The largest state that can be loaded again, and be replaced by another of its size.</summary>
    public static long StateBytesOf(long memoryBytes) => Math.Max(memoryBytes / 8, (memoryBytes - FixedBytes) / 20 * 7);

    /// <summary>Sets what was not set; gives what should be said about the rest.</summary>
    public IReadOnlyList<string> Apply(List<string> faults)
    {
        LimitsOptions limits = options.Limits;
        long groups = Math.Max(1, options.Groups.Count);

        bool isStateSet = IsSet("Limits:MaxStateBytes", limits.MaxStateBytes, Constants.Limits.MaxStateBytes);
        if (!isStateSet)
            limits.MaxStateBytes = StateBytesOf(memoryBytes);
        else if (limits.MaxStateBytes > memoryBytes)
            faults.Add(Say($"Raft:Limits:MaxStateBytes is {limits.MaxStateBytes}; allowed: up to the {memoryBytes} bytes that this process may use (docs/configuration.md, Memory)."));

        if (!IsSet("Limits:MaxUncommittedBytes", limits.MaxUncommittedBytes, Constants.Limits.MaxUncommittedBytes))
            limits.MaxUncommittedBytes = Math.Max(2L * limits.MaxCommandBytes, Math.Min(limits.MaxUncommittedBytes, memoryBytes / 24));
        if (!IsSet("Limits:MaxTotalBytes", limits.MaxTotalBytes, Constants.Limits.MaxTotalBytes))
            limits.MaxTotalBytes = Math.Max(limits.MaxUncommittedBytes, Math.Min(limits.MaxTotalBytes, memoryBytes / 12));
        if (!IsSet("Limits:MaxCacheBytes", limits.MaxCacheBytes, Constants.Limits.MaxCacheBytes))
            limits.MaxCacheBytes = Math.Min(limits.MaxCacheBytes, memoryBytes / 48 / groups);
        if (!IsSet("Journal:MaxBytes", options.Journal.MaxBytes, Constants.Journal.MaxBytes))
            options.Journal.MaxBytes = Math.Max(limits.MaxCommandBytes, Math.Min(options.Journal.MaxBytes, limits.MaxStateBytes / 2 / groups));
        if (!IsSet("Idempotency:MaxKeys", options.Idempotency.MaxKeys, Constants.Idempotency.MaxKeys))
            options.Idempotency.MaxKeys = (int)Math.Clamp(limits.MaxStateBytes / 4 / groups / KeyBytes, 1, options.Idempotency.MaxKeys);

        Compare(limits, groups);
        return _warnings;
    }

    private void Compare(LimitsOptions limits, long groups)
    {
        if (memoryBytes < MemoryBytesMin)
            Warn($"This process may use {memoryBytes} bytes of memory; at least {MemoryBytesMin} should be allowed (in a container: a limit of a third more).");
        if ((2 * limits.MaxStateBytes) + FixedBytes > memoryBytes && limits.MaxStateBytes > StateBytesOf(memoryBytes))
            Warn($"Raft:Limits:MaxStateBytes = {limits.MaxStateBytes} is more than {StateBytesOf(memoryBytes)}: a follower that receives a snapshot holds the old state and the new one, and {memoryBytes} bytes of memory do not suffice for both.");
        if (limits.MaxTotalBytes > memoryBytes / 4)
            Warn($"Raft:Limits:MaxTotalBytes = {limits.MaxTotalBytes} is more than a quarter of the {memoryBytes} bytes of memory.");
        if (groups * limits.MaxCacheBytes > memoryBytes / 8)
            Warn($"Raft:Limits:MaxCacheBytes = {limits.MaxCacheBytes} in each of {groups} groups is more than an eighth of the {memoryBytes} bytes of memory.");
        if (groups * options.Journal.MaxBytes > limits.MaxStateBytes)
            Warn($"Raft:Journal:MaxBytes = {options.Journal.MaxBytes} in each of {groups} groups is more than Raft:Limits:MaxStateBytes = {limits.MaxStateBytes}: once journals fill it nothing but deletes is accepted, and journals cannot be deleted.");
        if (groups * options.Idempotency.MaxKeys * KeyBytes > limits.MaxStateBytes)
            Warn($"Raft:Idempotency:MaxKeys = {options.Idempotency.MaxKeys} in each of {groups} groups takes more than Raft:Limits:MaxStateBytes = {limits.MaxStateBytes}: once keys fill it nothing but deletes is accepted.");
    }

    /// <summary>By a source of the configuration, or by the program around us.</summary>
    private bool IsSet(string key, long value, long constant) => value != constant || configuration[$"Raft:{key}"] is not null;

    private void Warn(FormattableString text) => _warnings.Add(Say(text));

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
