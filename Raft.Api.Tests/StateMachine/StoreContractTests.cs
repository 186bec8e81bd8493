using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class StoreContractTests : StateMachineContract
{
    protected override IStateMachine Create() => new Store();

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => Random(random);

    /// <summary>A command of any kind, with few keys and small limits: so that they meet.</summary>
    internal static byte[] Random(Random random)
    {
        if (random.Next(30) == 0)
        {
            byte[] garbage = new byte[random.Next(60)];
            random.NextBytes(garbage);
            return garbage;
        }

        var kind = (CommandKind)random.Next(1, 5);
        bool isAppend = kind is CommandKind.Append or CommandKind.AppendLines;
        Precondition precondition = isAppend ? Precondition.None
            : new Precondition((PreconditionKind)random.Next(5), random.Next(3) == 0 ? [random.Next(1, 1000)] : []);
        return Commands.Of(
            kind, kind == CommandKind.AppendLines ? string.Join('\n', Enumerable.Range(0, random.Next(4))) : $"{random.Next(20)}",
            isAppend ? "" : $"key-{random.Next(12)}", precondition, IdempotencyKey(random),
            maxKeys: 20, minAgeSeconds: 60, maxEntries: 50, maxBytes: 4000, contentType: random.Next(2) == 0 ? "text/plain" : null);
    }

    private static string? IdempotencyKey(Random random) => random.Next(4) switch
    {
        0 => $"id-{random.Next(80)}",
        1 => Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000 + random.Next(900_000))).ToString(),
        _ => null,
    };

    protected override string Describe(IStateMachine machine) => ((Store)machine).Status.ToString();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void The_hash_kept_equals_the_hash_computed_anew(int seed)
    {
        var random = new Random(seed);
        var driver = new Driver();
        for (int n = 0; n < 2000; n++)
        {
            driver.TimeMs += random.Next(100) == 0 ? 60_000 : random.Next(3);
            driver.Apply(Random(random));
            if (n % 100 == 0)
                Assert.Equal(driver.Store.RecomputeHash(), driver.Store.Status.StateHash);
        }

        Assert.Equal(driver.Store.RecomputeHash(), driver.Store.Status.StateHash);
    }
}
