using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Values of 1 MiB until the cluster refuses more, or 400 of them; deleted at the end. In a small container it must refuse
/// before it dies.</summary>
internal sealed class LargeValues(ChaosCluster cluster, Draw draw) : IFault
{
    private const int ValueBytes = 1 << 20, Most = 400;
    private static readonly TimeSpan RequestBound = TimeSpan.FromSeconds(15);
    private int _written;
    private int _refused;

    public static readonly FaultKind Kind = new("large values", FaultScope.Operation, 4, (cluster, draw) => new LargeValues(cluster, draw));

    public string Describe() => string.Create(CultureInfo.InvariantCulture, $"{_written} values of 1 MiB written, {_refused} refused");

    public async Task<bool> BeginAsync()
    {
        cluster.MayLackSpace = true;
        byte[] value = new byte[ValueBytes];
        new Random(draw.Number).NextBytes(value);
        for (int n = 0; n < Most && _refused < 10; n++)
        {
            HttpStatusCode? status = await SendAsync(HttpMethod.Put, n, value);
            if (status is HttpStatusCode.OK or HttpStatusCode.Created)
                _written++;
            else if (status is HttpStatusCode.InsufficientStorage)
                _refused++;
            else if (status is HttpStatusCode.InternalServerError)
                cluster.Log.Found("a value of 1 MiB was answered with 500");
        }

        return true;
    }

    public async Task EndAsync()
    {
        for (int n = 0; n < Most; n++)
        {
            for (int tries = 0; tries < 20 && await SendAsync(HttpMethod.Delete, n, body: null) is not HttpStatusCode.NoContent; tries++)
                await Task.Delay(500);
        }
    }

    private async Task<HttpStatusCode?> SendAsync(HttpMethod method, int n, byte[]? body)
    {
        ChaosNode asked = cluster.Nodes[(n + draw.Number) % cluster.Nodes.Count];
        try
        {
            using var bound = new CancellationTokenSource(RequestBound);
            using var request = new HttpRequestMessage(method, string.Create(CultureInfo.InvariantCulture, $"/v1/kv/large-{n}"));
            if (body is not null)
                request.Content = new ByteArrayContent(body);
            using HttpResponseMessage answer = await asked.Process.Http.SendAsync(request, bound.Token);
            return answer.StatusCode;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            return null;
        }
    }
}
