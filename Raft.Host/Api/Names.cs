using Raft.Engine.Protocol;
using Raft.Host.Hosting;
using Raft.Host.Peers;

namespace Raft.Host.Api;

/// <summary>Enumerations as the interface spells them.</summary>
internal static class Names
{
    public static string Of(NodePhase phase) => phase switch
    {
        NodePhase.Starting => "starting",
        NodePhase.Forming => "forming",
        NodePhase.Running => "running",
        NodePhase.Quarantine => "quarantine",
        _ => "stopping",
    };

    public static string Of(Role role) => role switch
    {
        Role.Leader => "leader",
        Role.Candidate => "candidate",
        Role.Follower => "follower",
        _ => "preCandidate",
    };

    public static string Of(AddressSource source) => source switch
    {
        AddressSource.Operator => "operator",
        AddressSource.Configuration => "configuration",
        AddressSource.Members => "members",
        AddressSource.Peer => "peer",
        _ => "otherMember",
    };

    public static string Of(MemberKind kind) => kind switch
    {
        MemberKind.Voter => "voter",
        MemberKind.Learner => "learner",
        _ => "joining",
    };
}
