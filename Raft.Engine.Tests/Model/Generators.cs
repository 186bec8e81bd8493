using CsCheck;
using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Model;

/// <summary>Configurations of up to nine servers.</summary>
internal static class Generators
{
    public const int ServersMax = 9;

    public static readonly Gen<int> Number = Gen.Int[1, ServersMax];

    /// <summary>Each server with a kind; 0: it is no member.</summary>
    private static Gen<List<Member>> Members(int kinds, int atMost) =>
        Gen.Int[0, kinds].Array[atMost].Select(kindOf => kindOf
            .Select((kind, i) => (Kind: kind, Number: i + 1)).Where(one => one.Kind > 0)
            .Select(one => MemberOf(one.Number, (MemberKind)one.Kind)).ToList());

    /// <summary>Members of all kinds, at least one of them a voter.</summary>
    public static Gen<List<Member>> SomeMembers(int atMost = ServersMax) =>
        Members(kinds: 3, atMost).Where(members => members.Exists(member => member.Kind == MemberKind.Voter));

    /// <summary>Simple and joint ones.</summary>
    public static readonly Gen<Configuration> Configurations =
        Gen.Select(SomeMembers(), SomeMembers(), Gen.Bool, (current, previous, isJoint) => new Configuration(current, isJoint ? previous : []));

    /// <summary>As a leader may find it before a change: not joint; perhaps on its way to a target.</summary>
    public static Gen<Configuration> Settled(int atMost = ServersMax) =>
        Gen.Select(SomeMembers(atMost), SomeMembers(atMost), Gen.Bool, (current, target, hasTarget) => Configuration.Of(current) with
        {
            Target = hasTarget ? [.. target.Where(member => member.Kind != MemberKind.Joining)] : [],
        });
}
