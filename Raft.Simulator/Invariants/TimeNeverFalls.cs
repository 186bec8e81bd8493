using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>From one committed command to the next the time stamp never falls, whoever leads and whatever its clock says: state machines lean on it.</summary>
internal sealed class TimeNeverFalls : IInvariant
{
    private LogIndex _last;
    private long _timeMs;

    public string? OnApplied(SimulatedServer server, in CommittedCommand command)
    {
        if (command.Index <= _last)
            return null;        // it was compared when the first server applied it, and is the same everywhere

        long before = _timeMs;
        (_last, _timeMs) = (command.Index, command.TimeMs);
        return command.TimeMs >= before ? null : $"{server} applied {command.Index} of {command.TimeMs} ms after a command of {before} ms";
    }
}
