using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>A server comes back on an old directory. Who refuses whom, and which of the two must take no part. Faults 16, 38.</summary>
public sealed class OldDirectoryTests
{
    private static readonly NodeIdentity One = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Two = PeerNode.IdentityOf("n2", 2, start: 5);
    private static readonly GroupId Group = new("default");

    [Theory]
    [InlineData("it calls")]
    [InlineData("it is called")]
    public async Task Only_the_old_one_hears_that_its_directory_is_refused_whoever_calls(string who)
    {
        await using PeerNode one = await PeerNode.StartAsync(One);
        Assert.Null(one.Transport.JudgeReturn(Two));
        await using PeerNode two = await PeerNode.StartAsync(Two with { StartCount = 4 });

        PeerNode caller = who == "it calls" ? two : one;
        caller.Transport.Group(Group).Start(new RecordingPeerHandler());
        caller.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two)]));
        await Eventually.HoldsAsync(() => caller.Log.Lines.Any(line => line.Text.Contains("old copy of its disk", StringComparison.Ordinal)), "the refusal", caller.Explain);

        // The old one calls back who has called it, and hears it then.
        await Eventually.HoldsAsync(() => two.Transport.OwnDirectoryRefused.IsCompleted, "the old one to hear it", two.Explain);
        Assert.False(one.Transport.OwnDirectoryRefused.IsCompleted);
    }
}
