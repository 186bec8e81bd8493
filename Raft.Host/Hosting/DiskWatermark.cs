using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>Ends writing before the disk is full, and while the store finds no room for what it must write.</summary>
/// <remarks>
/// Free is what the file system says and, on top, what the data file has and does not use: the log takes from there. A quarter of the
/// limit must be free on the file system itself: a snapshot, which lets the log go, needs a file of its own. Deletions pass while a
/// quarter is left, so that they cannot fill the disk themselves; what a snapshot gives back is theirs again. Following goes on
/// whatever is left: a voter that refused entries would cost the quorum long before its disk does. Thread-safe, but for
/// <see cref="Look"/>, <see cref="Attach"/> and <see cref="CareFor"/>.
/// </remarks>
public sealed class DiskWatermark(NodeSettings settings, PeerTransport peers, TimeProvider time, ILogger<DiskWatermark> log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private const int ReserveEvery = 10;                // looks

    private readonly string _directory = settings.DataDirectory;
    private readonly long _min = settings.Raft.Limits.MinFreeDiskBytes;
    private NodeStore? _store;
    private long _lookedAt;
    private int _looks;
    private long _free = -1;
    private long _reusable;
    private volatile string? _shortage;

    /// <summary>Of the file system. Null while it is not known.</summary>
    public long? FreeBytes => Volatile.Read(ref _free) is >= 0 and var free ? free : null;

    /// <summary>About what the data file has and does not use.</summary>
    public long ReusableBytes => Volatile.Read(ref _reusable);

    /// <summary>What is the matter, for people; null while there is room.</summary>
    public string? Shortage => _shortage;

    /// <summary>From now on what the store says counts too.</summary>
    internal void Attach(NodeStore store) => _store = store;

    /// <summary>Measures, once a second at most, and tells the peers. Of the caretaker.</summary>
    public void Look()
    {
        if (_lookedAt != 0 && time.GetElapsedTime(_lookedAt) < Interval)
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

        Volatile.Write(ref _reusable, _store?.ReusableBytes ?? 0);
        if (++_looks % ReserveEvery == 0)
            _store?.RefillReserve();

        string? stuck = _store?.Shortage;
        bool isLow = stuck is not null || IsBelow(_min);
        if (isLow && _shortage is null)
            log.LacksSpace(_directory, _free, _reusable, _min);
        else if (!isLow && _shortage is not null)
            log.HasSpaceAgain(_directory, _free);
        _shortage = !isLow ? null
            : stuck is not null ? $"{_directory} on '{settings.Raft.NodeId}' has no room for what must be written, and no commands are taken. {stuck}"
            : string.Create(CultureInfo.InvariantCulture, $"{_directory} on '{settings.Raft.NodeId}' has {_free} bytes free and {_reusable} to use again; below Raft:Limits:MinFreeDiskBytes = {_min} no commands are taken but deletions.");
        peers.LacksSpace = isLow;
    }

    /// <summary>Stops or resumes the group's commands; says who should lead it instead, when it leads here and somebody else has room.</summary>
    /// <remarks>While it is being handed over writers wait. Only when half of what is to be left is gone too nothing waits any more.</remarks>
    public NodeId? CareFor(HostedGroup group)
    {
        string? shortage = _shortage;
        NodeId? other = shortage is not null && group.Server.Role == Role.Leader ? FindOther(group.Server) : null;
        group.Server.LetsDeletionsPass = _store?.Shortage is null && _free + _reusable >= _min / 4;
        group.Server.CommandStop = other is null || _free < _min / 2 ? shortage : null;
        return other;
    }

    /// <summary>Why the group's leader takes no commands for lack of room, as far as this node can know; null when it may take them.</summary>
    public string? RefusalOf(RaftServer server)
    {
        if (server.Role == Role.Leader)
            return server.CommandStop;
        if (server.CurrentLeader is not { } leader || !peers.Peers.Any(peer => peer.Node == leader.Node && peer.Storage == leader.Storage && peer.LacksSpace))
            return null;

        // Else it hands over to one that has room.
        bool hasOwnRoom = _shortage is null && server.Configuration.Current.Any(member => member.Id == server.Id && member.Kind == MemberKind.Voter);
        return hasOwnRoom || FindOther(server) is not null ? null : $"The disk of the leader '{leader.Node}' is nearly full, and no other voter has room.";
    }

    // An eighth above, so that it does not come and go with every file.
    private bool IsBelow(long min)
    {
        long slack = _shortage is null ? 0 : min / 8;
        return _free + _reusable - slack < min || _free - (slack / 4) < min / 4;
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
