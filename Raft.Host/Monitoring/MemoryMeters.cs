using System.Diagnostics.Metrics;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Settings;

namespace Raft.Host.Monitoring;

/// <summary>The gauges of memory and connections.</summary>
public sealed class MemoryMeters(NodeSettings settings, StateBudget states, MemoryWatch watch, BodyBudget bodies, ConnectionCounts connections, GroupRegistry groups)
{
    private static readonly KeyValuePair<string, object?> Api = new("endpoint", "api");
    private static readonly KeyValuePair<string, object?> Peer = new("endpoint", "peer");

    public void Measure(Meter meter)
    {
        meter.CreateObservableGauge("raft.state.bytes", () => states.StateBytes, "By", "Memory of the states of all groups, with overhead.");
        meter.CreateObservableGauge("raft.state.max", () => states.MaxBytes, "By", "Raft:Limits:MaxStateBytes.");
        meter.CreateObservableGauge("raft.memory.low", () => watch.Shortage is null ? 0 : 1, unit: null, "1 while writes that make the state larger are, or soon will be, refused.");
        meter.CreateObservableCounter("raft.memory.refused", () => groups.All.Sum(group => group.Gate?.Refused ?? 0), unit: null, "Commands refused for lack of memory.");
        meter.CreateObservableGauge("raft.bodies.bytes", () => bodies.HeldBytes, "By", "Memory of large request bodies under way.");
        meter.CreateObservableGauge(
            "raft.connections", () => new[] { new Measurement<int>(connections.Clients.Open, Api), new Measurement<int>(connections.Peers.Open, Peer) }, unit: null, "Open connections.");
        meter.CreateObservableGauge(
            "raft.connections.max", () => new[] { new Measurement<int>(settings.Connections.Clients, Api), new Measurement<int>(settings.Connections.Peers, Peer) }, unit: null, "Connections that are accepted.");
        meter.CreateObservableCounter(
            "raft.connections.refused", () => new[] { new Measurement<long>(connections.Clients.Refused, Api), new Measurement<long>(connections.Peers.Refused, Peer) }, unit: null, "Connections closed because there were as many as allowed.");
    }
}
