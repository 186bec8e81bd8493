using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Leadership is handed to another node, whatever state that one is in.</summary>
internal sealed class Transfer(ChaosCluster cluster, Draw draw) : IFault
{
    private string _target = "";
    private Task<string>? _answer;

    public static readonly FaultKind Kind = new("transfer", FaultScope.Operation, 7, (cluster, draw) => new Transfer(cluster, draw));

    public string Describe() => $"leadership to {_target}";

    public Task<bool> BeginAsync()
    {
        _target = cluster.Nodes[draw.Number % cluster.Nodes.Count].Id;
        ChaosNode asked = cluster.Nodes[draw.Number / 7 % cluster.Nodes.Count];
        _answer = Operator.AskAsync(asked, "POST", "/v1/leader/transfer", $$"""{"target":"{{_target}}"}""");
        return Task.FromResult(true);
    }

    public async Task EndAsync()
    {
        if (_answer is not null)
            cluster.Log.Write($"leadership to {_target}: {await _answer}");
    }
}
