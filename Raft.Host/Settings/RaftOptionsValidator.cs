using System.Net;
using Microsoft.Extensions.Options;

namespace Raft.Host.Settings;

/// <summary>What is allowed. Every fault names the key, the value and the range, and all are reported together.</summary>
public sealed class RaftOptionsValidator : IValidateOptions<RaftOptions>
{
    /// <summary>A command travels in one frame, and a frame is bounded.</summary>
    public const int CommandBytesCeiling = 8 << 20;

    /// <summary>They all fit into one liveness frame.</summary>
    public const int GroupsMax = 4096;

    public ValidateOptionsResult Validate(string? name, RaftOptions options)
    {
        List<string> faults = [];
        LimitsOptions limits = options.Limits;
        FailureDetectorOptions detector = options.FailureDetector;
        long electionMs = (long)options.TickMs * options.ElectionTicks;

        Require(IsName(options.ClusterId), "ClusterId", options.ClusterId, NameRange);
        Require(IsName(options.NodeId), "NodeId", options.NodeId, NameRange);
        Require(!string.IsNullOrWhiteSpace(options.DataDirectory) && !options.DataDirectory.Contains('\0'), "DataDirectory", options.DataDirectory, "a path");
        Require(options.Shards is >= 0 and <= 1024, "Shards", options.Shards, "0 (one per core) to 1024");
        Require(options.TickMs is >= 5 and <= 60_000, "TickMs", options.TickMs, "5 to 60000");
        Require(options.ElectionTicks is >= 3 and <= 1000, "ElectionTicks", options.ElectionTicks, "3 to 1000");
        Require(options.RequestTimeoutMs is >= 10 and <= 3_600_000, "RequestTimeoutMs", options.RequestTimeoutMs, "10 to 3600000");
        Require(options.DiskStallMs is >= 100 and <= 3_600_000, "DiskStallMs", options.DiskStallMs, "100 to 3600000");
        Require(options.Clock.MaxLeapMs is >= 100 and <= 3_600_000, "Clock:MaxLeapMs", options.Clock.MaxLeapMs, "100 to 3600000");
        Require(options.Clock.ConfirmMs is >= 1000 and <= 86_400_000, "Clock:ConfirmMs", options.Clock.ConfirmMs, "1000 to 86400000");
        Require(detector.PingMs is >= 5 and <= 60_000, "FailureDetector:PingMs", detector.PingMs, "5 to 60000");
        Require(detector.TimeoutMs >= 2L * detector.PingMs && detector.TimeoutMs <= electionMs, "FailureDetector:TimeoutMs", detector.TimeoutMs,
            $"2 x PingMs = {2L * detector.PingMs} to TickMs x ElectionTicks = {electionMs}");
        Require(limits.MaxCommandBytes is >= 1024 and <= CommandBytesCeiling, "Limits:MaxCommandBytes", limits.MaxCommandBytes, $"1024 to {CommandBytesCeiling}");
        Require(limits.MaxStateBytes >= 0, "Limits:MaxStateBytes", limits.MaxStateBytes, "0 (by the memory) or more");
        Require(limits.MaxUncommittedBytes >= 2L * limits.MaxCommandBytes, "Limits:MaxUncommittedBytes", limits.MaxUncommittedBytes,
            $"2 x MaxCommandBytes = {2L * limits.MaxCommandBytes} or more");
        Require(limits.MaxTotalBytes >= limits.MaxUncommittedBytes, "Limits:MaxTotalBytes", limits.MaxTotalBytes,
            $"MaxUncommittedBytes = {limits.MaxUncommittedBytes} or more");
        Require(limits.MaxCacheBytes >= 0, "Limits:MaxCacheBytes", limits.MaxCacheBytes, "0 or more");
        Require(limits.MinFreeDiskBytes >= 0, "Limits:MinFreeDiskBytes", limits.MinFreeDiskBytes, "0 (never) or more");
        Require(limits.MaxLogDiskBytes >= 1 << 20, "Limits:MaxLogDiskBytes", limits.MaxLogDiskBytes, $"{1 << 20} or more");
        Require(limits.MaxTotalLogDiskBytes == 0 || limits.MaxTotalLogDiskBytes >= 64 << 20, "Limits:MaxTotalLogDiskBytes", limits.MaxTotalLogDiskBytes,
            $"0 (a quarter of the file system) or {64 << 20} or more");
        Require(limits.SnapshotFloorBytes >= 0 && limits.SnapshotFloorBytes <= limits.MaxLogDiskBytes, "Limits:SnapshotFloorBytes", limits.SnapshotFloorBytes,
            $"0 to MaxLogDiskBytes = {limits.MaxLogDiskBytes}");
        Require(limits.SnapshotTrailingEntries >= 0, "Limits:SnapshotTrailingEntries", limits.SnapshotTrailingEntries, "0 or more");
        Require(limits.SnapshotTrailingBytes >= 0 && limits.SnapshotTrailingBytes <= limits.MaxLogDiskBytes / 2, "Limits:SnapshotTrailingBytes", limits.SnapshotTrailingBytes,
            $"0 to half of MaxLogDiskBytes = {limits.MaxLogDiskBytes / 2}");
        Require(limits.SnapshotChunkBytes is >= 4096 and <= 4 << 20, "Limits:SnapshotChunkBytes", limits.SnapshotChunkBytes, $"4096 to {4 << 20}");
        Require(limits.SnapshotSendBytesPerSecond == 0 || limits.SnapshotSendBytesPerSecond >= limits.SnapshotChunkBytes, "Limits:SnapshotSendBytesPerSecond", limits.SnapshotSendBytesPerSecond,
            $"0 (unlimited), or SnapshotChunkBytes = {limits.SnapshotChunkBytes} or more");
        Require(limits.MaxInFlightAppends is >= 1 and <= 4096, "Limits:MaxInFlightAppends", limits.MaxInFlightAppends, "1 to 4096");
        Require(limits.MaxAppendBytes is >= 1024 and <= 4 << 20, "Limits:MaxAppendBytes", limits.MaxAppendBytes, $"1024 to {4 << 20}");
        Require(options.Journal.MaxEntries >= 1, "Journal:MaxEntries", options.Journal.MaxEntries, "1 or more");
        Require(options.Journal.MaxBytes >= limits.MaxCommandBytes, "Journal:MaxBytes", options.Journal.MaxBytes,
            $"Limits:MaxCommandBytes = {limits.MaxCommandBytes} or more");
        Require(options.Idempotency.MaxKeys is >= 1 and <= 10_000_000, "Idempotency:MaxKeys", options.Idempotency.MaxKeys, "1 to 10000000");
        Require(options.Idempotency.MinAgeSeconds is >= 1 and <= 31_536_000, "Idempotency:MinAgeSeconds", options.Idempotency.MinAgeSeconds, "1 to 31536000");
        Require(options.AdvertisedPeerUrl.Length == 0 || IsAddress(options.AdvertisedPeerUrl), "AdvertisedPeerUrl", options.AdvertisedPeerUrl, AddressRange);
        Require(options.AdvertisedApiUrl.Length == 0 || IsAddress(options.AdvertisedApiUrl), "AdvertisedApiUrl", options.AdvertisedApiUrl, AddressRange);
        ValidateGroups(options, faults);
        ValidateMembers(options, faults);
        return faults is [] ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);

        void Require(bool allowed, string key, object value, string range)
        {
            if (!allowed)
                faults.Add(Fault(key, value, range));
        }
    }

    private static void ValidateGroups(RaftOptions options, List<string> faults)
    {
        if (options.Groups.Count > GroupsMax)
            faults.Add(Fault("Groups", $"a list of {options.Groups.Count}", $"at most {GroupsMax}"));

        var positions = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < options.Groups.Count; i++)
        {
            string id = options.Groups[i].Id;
            if (!IsName(id))
                faults.Add(Fault($"Groups:{i}:Id", id, NameRange));
            else if (!positions.TryAdd(id, i))
                faults.Add(Fault($"Groups:{i}:Id", id, $"each group once; Groups:{positions[id]} has the same"));
        }
    }

    private static void ValidateMembers(RaftOptions options, List<string> faults)
    {
        for (int i = 0; i < options.Join.Count; i++)
        {
            if (!IsAddress(options.Join[i]))
                faults.Add(Fault($"Join:{i}", options.Join[i], AddressRange));
        }

        if (options.Members.Count == 0)
            return;

        for (int i = 0; i < options.Members.Count; i++)
        {
            MemberOptions member = options.Members[i];
            if (!IsName(member.Id))
                faults.Add(Fault($"Members:{i}:Id", member.Id, NameRange));
            if (!IsAddress(member.PeerUrl))
                faults.Add(Fault($"Members:{i}:PeerUrl", member.PeerUrl, AddressRange));
            if (member.ApiUrl.Length > 0 && !IsAddress(member.ApiUrl))
                faults.Add(Fault($"Members:{i}:ApiUrl", member.ApiUrl, AddressRange));

            for (int earlier = 0; earlier < i; earlier++)
            {
                if (options.Members[earlier].Id == member.Id)
                    faults.Add(Fault($"Members:{i}:Id", member.Id, $"each node once; Members:{earlier} has the same"));
                if (SameAddress(options.Members[earlier].PeerUrl, member.PeerUrl))
                    faults.Add(Fault($"Members:{i}:PeerUrl", member.PeerUrl, $"each address once; Members:{earlier} has the same"));
            }
        }

        // A node that joins need not be one of those that formed the cluster.
        if (options.Join.Count == 0 && !options.Members.Any(member => member.Id == options.NodeId))
            faults.Add(Fault("NodeId", options.NodeId, $"one of Members: {string.Join(", ", options.Members.Select(member => member.Id))}"));
        if (!options.Members.Any(member => member.Voter))
            faults.Add("Raft:Members has no voter; allowed: at least one member with Voter true.");
    }

    internal const string NameRange = "1 to 63 letters, digits, '.', '-' or '_', and neither '.' nor '..'";

    internal const string AddressRange = "http(s)://host:port without a path, and not of every address (0.0.0.0, [::])";

    // '.' and '..' do not survive in a path of the REST interface.
    internal static bool IsName(string text) =>
        text.Length is >= 1 and <= 63 && text is not "." and not ".." && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    internal static bool IsAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? address)
        && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps)
        && address is { Host.Length: > 0, Port: > 0, AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" }
        && !IsEveryAddress(address);

    /// <summary>An address to listen on, and not to dial: whoever dials it reaches itself.</summary>
    internal static bool IsEveryAddress(Uri address) =>
        IPAddress.TryParse(address.Host.Trim('[', ']'), out IPAddress? ip)
        && (ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip) is var plain && (plain.Equals(IPAddress.Any) || plain.Equals(IPAddress.IPv6Any));

    private static bool SameAddress(string one, string other) =>
        Uri.TryCreate(one, UriKind.Absolute, out Uri? a) && Uri.TryCreate(other, UriKind.Absolute, out Uri? b) && a == b;

    private static string Fault(string key, object value, string range) => $"Raft:{key} is {(value is string ? $"'{value}'" : value)}; allowed: {range}.";
}
