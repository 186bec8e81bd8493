using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Ends writing before the disk is full: a full disk stops the node, and what stops one may stop all.</summary>
/// <remarks>
/// Free is what the file system says; free pages inside the database come on top. Following goes on whatever is left: a voter
/// that refused entries would cost the quorum long before its disk does. Thread-safe, but for <see cref="Look"/> and <see cref="CareFor"/>.
/// </remarks>
public sealed class DiskWatermark(NodeSettings settings, PeerTransport peers, TimeProvider time, ILogger<DiskWatermark> log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly string _directory = settings.DataDirectory;
    private readonly long _min = settings.Raft.Limits.MinFreeDiskBytes;
    private long _lookedAt;
    private long _free = -1;
    private volatile string? _shortage;

    /// <summary>Null while it is not known.</summary>
    public long? FreeBytes => Volatile.Read(ref _free) is >= 0 and var free ? free : null;

    /// <summary>What is the matter, for people; null while there is room.</summary>
    public string? Shortage => _shortage;

    /// <summary>Measures, once a second at most, and tells the peers. Of the caretaker.</summary>
    public void Look()
    {
        if (_min == 0 || (_lookedAt != 0 && time.GetElapsedTime(_lookedAt) < Interval))
            return;

        _lookedAt = time.GetTimestamp();
        try
        {
            Volatile.Write(ref _free, new DriveInfo(_directory).AvailableFreeSpace);
        }
        catch (IOException)
        {
            return;     // gone for the moment: what can no longer be written stops the node by itself
        }

        // An eighth above, so that it does not come and go with every file.
        bool isLow = _free - (_shortage is null ? 0 : _min / 8) < _min;
        if (isLow && _shortage is null)
            log.LacksSpace(_directory, _free, _min);
        else if (!isLow && _shortage is not null)
            log.HasSpaceAgain(_directory, _free);
        _shortage = isLow
            ? string.Create(CultureInfo.InvariantCulture, $"{_directory} on '{settings.Raft.NodeId}' has {_free} bytes free; below Raft:Limits:MinFreeDiskBytes = {_min} no commands are taken.")
            : null;
        peers.LacksSpace = isLow;
    }

    /// <summary>Stops or resumes the group's commands; says who should lead it instead, when it leads here and somebody else has room.</summary>
    /// <remarks>While it is being handed over writers wait. Only when half of what is to be left is gone too nothing waits any more.</remarks>
    public NodeId? CareFor(HostedGroup group)
    {
        string? shortage = _shortage;
        NodeId? other = shortage is not null && group.Server.Role == Role.Leader ? FindOther(group.Server) : null;
        group.Server.CommandStop = other is null || _free < _min / 2 ? shortage : null;
        return other;
    }

    private NodeId? FindOther(RaftServer server)
    {
        Configuration configuration = server.Configuration;
        return peers.Peers
            .Where(peer => peer.IsAlive && !peer.LacksSpace
                && configuration.Current.Any(member => member.Kind == MemberKind.Voter && member.Node == peer.Node && member.Storage == peer.Storage))
            .OrderBy(peer => peer.LeadsCount)
            .Select(peer => (NodeId?)peer.Node)
            .FirstOrDefault();
    }
}
