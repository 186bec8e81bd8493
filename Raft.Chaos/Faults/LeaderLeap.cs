using System.Globalization;
using System.Net;
using System.Text;
using Raft.Api.Tests.Support;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>The leader's wall clock leaps an hour or 400 days ahead or back, and returns. One clock must not move the cluster's time:
/// idempotency keys that carry the true time are accepted throughout.</summary>
internal sealed class LeaderLeap(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw with { OnLeader = true }, isDeadly: false)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    public static readonly FaultKind Kind = new("clock leap of the leader", FaultScope.Node, 4, (cluster, draw) => new LeaderLeap(cluster, draw));

    protected override string Text => string.Create(CultureInfo.InvariantCulture, $"the clock {Leap:+0;-0} h off on");

    private double Leap => (Draw.Number % 4) switch { 0 => 1, 1 => -1, 2 => 400 * 24, _ => -400 * 24 };

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.ClockOffset = TimeSpan.FromHours(Leap);
        await WriteWithTimeAsync(mustSucceed: false);
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        node.ClockOffset = TimeSpan.Zero;

        // Only where all clocks are right is it known what time it is.
        if (Cluster.Nodes.All(other => other.ClockOffset == TimeSpan.Zero))
            await WriteWithTimeAsync(mustSucceed: true);
    }

    /// <summary>A write whose UUIDv7 key carries the true time.</summary>
    private async Task WriteWithTimeAsync(bool mustSucceed)
    {
        string last = "no answer";
        try
        {
            await Wait.UntilAsync(
                async () =>
                {
                    using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(8));
                    using var request = new HttpRequestMessage(HttpMethod.Put, "/v1/kv/leap") { Content = new StringContent("x", Encoding.UTF8, "text/plain") };
                    request.Headers.Add("Idempotency-Key", Guid.CreateVersion7().ToString());
                    using HttpResponseMessage answer = await Cluster.Nodes[Draw.Number % Cluster.Nodes.Count].Process.Http.SendAsync(request, bound.Token);
                    last = await answer.Content.ReadAsStringAsync(bound.Token);
                    return answer.IsSuccessStatusCode || !mustSucceed;
                },
                "a write whose key carries the true time", bound: Bound);
        }
        catch (TimeoutException)
        {
            Cluster.Log.Found($"after a clock leap of {Leap} h a write whose key carries the true time is refused: {last}");
        }
        catch (Exception error) when (!mustSucceed && error is HttpRequestException or IOException or OperationCanceledException)
        {
            // Other faults are under way.
        }
    }
}
