using Microsoft.Extensions.Logging;

namespace Raft.Simulator;

/// <summary>A server's log becomes part of the trace.</summary>
internal sealed class WorldLogger(World world, string who) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => world.Tracing != Tracing.None;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        world.Trace($"{who} {formatter(state, exception)}{(exception is null ? "" : " " + exception.Message)}");
}
