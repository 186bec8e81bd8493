using System.Runtime.ExceptionServices;
using Raft.Host.Storage;

namespace Raft.Host.Memory;

/// <summary>The end of a process that is out of memory: at once, with its own sentence and exit code, wherever it happens.</summary>
/// <remarks>An allocation may fail in any thread, in the middle of anything, and be caught by code that takes it for a failed disk or
/// a failed request. No state can be trusted after that, and what was acknowledged is on the disk.</remarks>
public static class OutOfMemory
{
    /// <summary>The process needed more memory than it may use.</summary>
    public const int ExitCode = 71;

    private const int StandardError = 2;

    // Made before it is needed: then nothing can be allocated any more.
    private static readonly byte[] s_lastWords = [.. "RaftHost stops: it is out of memory (exit code 71). What was acknowledged is on its disk. Give this node more memory, or lower Raft:Limits:MaxStateBytes, and start it again (docs/configuration.md, Memory).\n"u8];

    /// <summary>From now on the first failed allocation ends the process. For the service's own process; an application around it decides
    /// itself.</summary>
    public static void EndsProcess()
    {
        Write([]);      // loads what it takes
        AppDomain.CurrentDomain.FirstChanceException += static (_, thrown) => OnThrown(thrown);
    }

    /// <summary>Whether this is what an error comes from.</summary>
    public static bool IsCauseOf(Exception? error) => error switch
    {
        null => false,
        InsufficientMemoryException => false,       // a check before an allocation
        OutOfMemoryException => true,
        AggregateException many => many.InnerExceptions.Any(IsCauseOf),
        _ => IsCauseOf(error.InnerException),
    };

    /// <summary>Says so, and ends the process without running anything else.</summary>
    public static void End()
    {
        Write(s_lastWords);
        Native.Exit(ExitCode);
    }

    private static void OnThrown(FirstChanceExceptionEventArgs thrown)
    {
        if (thrown.Exception is OutOfMemoryException and not InsufficientMemoryException)
            End();
    }

    private static unsafe void Write(byte[] text)
    {
        fixed (byte* start = text)
            _ = Native.WriteTo(StandardError, start, (nuint)text.Length);
    }
}
