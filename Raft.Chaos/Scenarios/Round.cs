using Raft.Chaos.Faults;

namespace Raft.Chaos.Scenarios;

/// <summary>Faults that overlap. When all have ended the next round begins.</summary>
internal sealed record Round(IReadOnlyList<(FaultKind Kind, Draw Draw)> Faults);
