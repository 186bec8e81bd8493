using Raft.Api.Tests.StateMachine;
using Raft.Api.Tests.Support;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.Memory;

/// <summary>Measured on the heap of this process, so with nothing beside it.</summary>
[Collection(ProcessCollection.Name)]
public sealed class StateSizeTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(1000)]
    public async Task What_the_store_says_it_takes_is_not_less_than_it_takes(int valueBytes)
    {
        var store = new Store();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int n = 1; n <= 20_000; n++)
            await store.ApplyAsync([new CommittedCommand(new LogIndex(n), new Term(1), 1, Commands.Of(CommandKind.Put, new string('v', valueBytes), $"key-number-{n}"))], CancellationToken.None);
        long taken = GC.GetTotalMemory(forceFullCollection: true) - before;

        Assert.InRange(store.StateBytes, taken * 9 / 10, taken * 2);
        GC.KeepAlive(store);
    }
}
