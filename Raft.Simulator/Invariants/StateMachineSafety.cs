using System.IO.Hashing;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>What one state machine was given at an index, all are given there; only what is committed, in order. PhD 3.6.3</summary>
internal sealed class StateMachineSafety(GroupLedger ledger) : IInvariant
{
    private readonly Dictionary<LogIndex, (Term Term, ulong Hash)> _applied = [];
    private readonly Dictionary<SimulatedServer, LogIndex> _last = [];

    public string? OnApplied(SimulatedServer server, in CommittedCommand command)
    {
        LogIndex last = _last.GetValueOrDefault(server);
        _last[server] = command.Index;
        if (command.Index <= last)
            return $"{server} applied {command.Index} after {last}";
        if (ledger.ShadowOf(server.Id).TermAt(command.Index) is { } durable ? durable != command.Term : command.Index > ledger.ShadowOf(server.Id).LastIndex)
            return $"{server} applied {command.Index} of term {command.Term}, which is not durable there";

        (Term, ulong) applied = (command.Term, XxHash3.HashToUInt64(command.Command.Span, command.TimeMs + (command.IsSystem ? 1L << 60 : 0)));
        return _applied.TryAdd(command.Index, applied) || _applied[command.Index] == applied
            ? null
            : $"{server} applied another command at {command.Index} of term {command.Term} than others, of term {_applied[command.Index].Term}";
    }
}
