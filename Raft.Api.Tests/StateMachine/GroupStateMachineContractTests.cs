using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

/// <summary>The store as the host runs it: what it is wrapped in keeps the contract too.</summary>
public sealed class GroupStateMachineContractTests : StateMachineContract
{
    protected override IStateMachine Create() =>
        new GroupStateMachine(new GroupId("g"), new Store(), NullLogger<GroupStateMachine>.Instance);

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => StoreContractTests.Random(random);

    protected override string Describe(IStateMachine machine)
    {
        var group = (GroupStateMachine)machine;
        return $"{((Store)group.Inner).Status} {group.PendingHashCheck} {string.Join(", ", group.CreatedGroups)}";
    }
}
