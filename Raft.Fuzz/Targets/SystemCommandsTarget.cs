using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Fuzz.Targets;

/// <summary>Commands of the host's own: read or refused, never thrown.</summary>
internal sealed class SystemCommandsTarget : FuzzTarget
{
    public override string Name => "system-commands";

    public override IEnumerable<byte[]> Seeds() =>
    [
        SystemCommands.Encode(new CreateGroup(new GroupId("orders"), PeerSamples.Joint)),
        SystemCommands.Encode(new HashCheck(new LogIndex(7), 9, 1)),
    ];

    public override string Run(byte[] input)
    {
        if (!SystemCommands.TryRead(input, out SystemCommand? command, out string? fault))
            return fault;
        ComesBack(command, SystemCommands.Encode, Read);
        return Accepted;
    }

    private static SystemCommand Read(byte[] bytes)
    {
        Holds(SystemCommands.TryRead(bytes, out SystemCommand? command, out string? fault), $"a system command comes back from its own bytes ({fault})");
        return command!;
    }
}
