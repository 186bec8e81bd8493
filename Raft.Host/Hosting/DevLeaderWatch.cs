using System.Text.Json;

namespace Raft.Host.Hosting;

/// <summary>Says who leads the dev cluster, whenever that changes, by asking the nodes' status.</summary>
internal sealed class DevLeaderWatch(IReadOnlyList<DevNode> nodes)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    public async Task RunAsync(CancellationToken cancellation)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(1) };
        string? said = null;
        try
        {
            while (true)
            {
                DevNode? leader = await LeaderAsync(http, cancellation);
                if (leader is not null && leader.Id != said)
                {
                    Console.WriteLine($"{leader.Id} leads  ({leader.ApiUrl}, pid {leader.ProcessId}: kill -9 {leader.ProcessId} and watch)");
                    said = leader.Id;
                }

                await Task.Delay(Pause, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The cluster stops.
        }
    }

    private async Task<DevNode?> LeaderAsync(HttpClient http, CancellationToken cancellation)
    {
        (DevNode Node, long Term)[] claims = [.. (await Task.WhenAll(nodes.Select(node => ClaimAsync(http, node, cancellation)))).OfType<(DevNode, long)>()];
        return claims.Length == 0 ? null : claims.MaxBy(claim => claim.Term).Node;
    }

    private static async Task<(DevNode Node, long Term)?> ClaimAsync(HttpClient http, DevNode node, CancellationToken cancellation)
    {
        try
        {
            using JsonDocument status = JsonDocument.Parse(await http.GetByteArrayAsync(new Uri($"{node.ApiUrl}/v1/status"), cancellation));
            JsonElement group = status.RootElement.TryGetProperty("groups", out JsonElement groups) && groups.GetArrayLength() > 0 ? groups[0] : status.RootElement;
            return group.GetProperty("role").GetString() == "leader" ? (node, group.GetProperty("term").GetInt64()) : null;
        }
        catch (Exception error) when (error is HttpRequestException or JsonException or KeyNotFoundException or InvalidOperationException
            || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return null; // not up, or not in a cluster yet
        }
    }
}
