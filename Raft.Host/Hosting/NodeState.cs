namespace Raft.Host.Hosting;

public enum NodePhase
{
    /// <summary>Opening storage.</summary>
    Starting,

    /// <summary>New, and waiting for the others to form or adopt a cluster.</summary>
    Forming,

    /// <summary>Takes part.</summary>
    Running,

    /// <summary>Damage or a foreign directory was found: up, not ready, no Raft.</summary>
    Quarantine,

    Stopping,
}

/// <summary>Where the node is in its life, and why; for readiness and for problems. Thread-safe.</summary>
public sealed class NodeState
{
    private volatile Snapshot _now = new(NodePhase.Starting, "The data directory is being opened.");

    public sealed record Snapshot(NodePhase Phase, string Reason);

    public Snapshot Now => _now;

    public void Enter(NodePhase phase, string reason) => _now = new Snapshot(phase, reason);
}
