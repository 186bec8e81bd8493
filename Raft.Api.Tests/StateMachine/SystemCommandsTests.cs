using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class SystemCommandsTests
{
    internal static readonly Configuration First = Configuration.Of(
        [new Member(new NodeId("n1"), new StorageId(7), MemberKind.Voter, "http://n1:1", "http://n1:2")]);

    [Fact]
    public void A_command_comes_back_as_it_was()
    {
        var create = new CreateGroup(new GroupId("orders"), First);
        Assert.True(SystemCommands.TryRead(SystemCommands.Encode(create), out SystemCommand? read, out _));
        CreateGroup back = Assert.IsType<CreateGroup>(read);
        Assert.Equal(create.Group, back.Group);
        Assert.Equal(First.Encode(), back.First.Encode());

        var check = new HashCheck(new LogIndex(1_234), new UInt128(5, 6), HashVersion: 3);
        Assert.True(SystemCommands.TryRead(SystemCommands.Encode(check), out read, out _));
        Assert.Equal(check, read);

        Assert.True(SystemCommands.TryRead(SystemCommands.Encode(new TimeCorrection(77)), out read, out _));
        Assert.Equal(new TimeCorrection(77), read);
    }

    [Fact]
    public void Bytes_that_are_no_command_are_refused_with_the_reason_and_never_throw()
    {
        var random = new Random(3);
        foreach (byte[] whole in new[] { SystemCommands.Encode(new CreateGroup(new GroupId("orders"), First)), SystemCommands.Encode(new HashCheck(new LogIndex(1), 2, 3)), SystemCommands.Encode(new TimeCorrection(4)) })
        {
            for (int length = 0; length < whole.Length; length++)
            {
                Assert.False(SystemCommands.TryRead(whole.AsSpan(0, length), out _, out string? fault));
                Assert.NotEmpty(fault);
            }

            for (int n = 0; n < 5_000; n++)
            {
                byte[] damaged = [.. whole];
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
                SystemCommands.TryRead(damaged, out _, out _);
            }
        }

        Assert.False(SystemCommands.TryRead([2, 1], out _, out string? version));
        Assert.Contains("version 2", version, StringComparison.Ordinal);
        Assert.False(SystemCommands.TryRead([1, 77], out _, out string? kind));
        Assert.Contains("kind 77", kind, StringComparison.Ordinal);
    }
}
