using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Monitoring;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Groups as the interface shows them.</summary>
internal static class GroupDocuments
{
    public static GroupStatusDocument StatusOf(HostedGroup group)
    {
        ServerStatus server = group.Server.Status;
        StoreStatus? store = group.Store?.Status;
        return new GroupStatusDocument(
            group.Id.Value, Names.Of(server.Role), server.Term.Value, server.Leader?.Node.Value,
            server.CommitIndex.Value, server.AppliedIndex.Value, server.DurableIndex.Value, server.FirstIndex.Value, server.LastIndex.Value, server.ConfigurationIndex.Value,
            ConfigurationOf(server), SnapshotOf(group.Id, server.Snapshot), server.IsTakingSnapshot,
            [.. server.SnapshotTransfers.Select(sent => new SnapshotTransferDocument(sent.Peer.Node.Value, sent.Index.Value, sent.SentBytes, sent.SizeBytes))],
            group.Machine.HashAlarm is { } alarm ? Problems.TextOf(alarm) : null,
            store?.StateHash.ToString("x32", CultureInfo.InvariantCulture), store?.AppliedIndex,
            store is { } journal ? new JournalStatusDocument(journal.JournalFirstIndex, journal.JournalLastIndex, journal.JournalBytes) : null,
            store?.Keys, store?.KeyValueBytes, store?.IdempotencyKeys);
    }

    public static GroupDocument Of(HostedGroup group, Readiness readiness)
    {
        ServerStatus server = group.Server.Status;
        List<string> reasons = [];
        readiness.AddReasons(group, reasons);
        return new GroupDocument(
            group.Id.Value, Names.Of(server.Role), server.Term.Value, server.Leader?.Node.Value, server.CommitIndex.Value, server.AppliedIndex.Value,
            server.Configuration.Current.Count, server.Configuration.Current.Count(member => member.Kind == MemberKind.Voter),
            reasons.Count == 0, reasons.Count == 0 ? null : string.Join(' ', reasons));
    }

    public static ConfigurationDocument ConfigurationOf(ServerStatus server)
    {
        Configuration configuration = server.Configuration;
        return new ConfigurationDocument(
            server.ConfigurationIndex.Value, configuration.IsJoint,
            [.. configuration.All.Select(member => MemberOf(member, IsLeaving(member, configuration)))],
            configuration.Target.Count == 0 ? null : [.. configuration.Target.Select(member => MemberOf(member, isLeaving: false))]);
    }

    public static SnapshotDocument? SnapshotOf(GroupId group, SnapshotDescriptor? snapshot) => snapshot is null ? null : new SnapshotDocument(
        group.Value, snapshot.SnapshotId, snapshot.Index.Value, snapshot.Term.Value, snapshot.ConfigurationIndex.Value, snapshot.SizeBytes,
        snapshot.Hash.ToString("x32", CultureInfo.InvariantCulture));

    /// <summary>The members of one group, as this node sees them.</summary>
    public static MemberListDocument MembersOf(HostedGroup group)
    {
        ServerStatus server = group.Server.Status;
        Configuration configuration = server.Configuration;
        return new MemberListDocument(
            group.Id.Value, group.Server.Id.Node.Value, server.Leader?.Node.Value, server.ConfigurationIndex.Value, ChangeOf(server),
            [.. configuration.All.Select(member => MemberOf(member, group.Server.Id, server))], GroupsInChange: null);
    }

    /// <summary>Committed, not joint, nobody joins, and nothing more is wanted.</summary>
    public static bool IsSettled(ServerStatus server) =>
        !server.Configuration.IsJoint && !IsCatchingUp(server.Configuration) && server.ConfigurationIndex <= server.CommitIndex;

    private static bool IsCatchingUp(Configuration configuration) =>
        configuration.Target.Count > 0 || configuration.Current.Any(member => member.Kind == MemberKind.Joining);

    private static ChangeInProgressDocument? ChangeOf(ServerStatus server)
    {
        if (IsSettled(server))
            return null;

        Configuration configuration = server.Configuration;
        IReadOnlyList<Member> target = configuration.Target.Count > 0 ? configuration.Target : configuration.Current;
        return new ChangeInProgressDocument(
            configuration.IsJoint ? "joint" : IsCatchingUp(configuration) ? "catchingUp" : "committing",
            [.. target.Select(member => MemberOf(member.Kind == MemberKind.Joining ? member with { Kind = MemberKind.Voter } : member, isLeaving: false))]);
    }

    private static bool IsLeaving(Member member, Configuration configuration) =>
        configuration.IsJoint && !configuration.Current.Any(current => current.Id == member.Id);

    private static ConfiguredMemberDocument MemberOf(Member member, bool isLeaving) => new(member.Node.Value, member.Storage.ToString(), Names.Of(member.Kind), isLeaving);

    private static GroupMemberDocument MemberOf(Member member, ServerId self, ServerStatus server)
    {
        bool isSelf = member.Id == self, isLeader = server.Leader == member.Id;
        PeerProgress? progress = server.Role == Role.Leader && !isSelf ? Find(server.Peers, member.Id) : null;
        long? match = isSelf ? server.DurableIndex.Value : progress?.MatchIndex.Value;
        long? lag = match is null ? null : Math.Max(0, server.CommitIndex.Value - match.Value);
        return new GroupMemberDocument(
            member.Node.Value, member.Storage.ToString(), Names.Of(member.Kind), IsLeaving(member, server.Configuration), member.PeerUrl, member.ApiUrl,
            isLeader, isSelf ? true : progress?.IsAlive, match, lag, progress?.State, member.Kind == MemberKind.Joining ? JoiningOf(progress, server) : null);
    }

    private static JoiningDocument? JoiningOf(PeerProgress? progress, ServerStatus server)
    {
        if (progress is not { } peer)
            return null;

        SnapshotSentDocument? snapshot = null;
        foreach (SnapshotProgress sent in server.SnapshotTransfers)
        {
            if (sent.Peer == peer.Server)
                snapshot = new SnapshotSentDocument(sent.SentBytes, sent.SizeBytes);
        }

        return new JoiningDocument(peer.CaughtUpRounds, Math.Max(0, server.LastIndex - peer.MatchIndex), snapshot);
    }

    internal static PeerProgress? Find(IReadOnlyList<PeerProgress> peers, ServerId server)
    {
        foreach (PeerProgress peer in peers)
        {
            if (peer.Server == server)
                return peer;
        }

        return null;
    }
}
