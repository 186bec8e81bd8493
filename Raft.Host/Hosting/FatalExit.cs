using System.Diagnostics.CodeAnalysis;
using Raft.Host.Memory;

namespace Raft.Host.Hosting;

/// <summary>Ends the process when it can no longer vouch for itself.</summary>
public static class FatalExit
{
    /// <summary>Something failed at start or while running.</summary>
    public const int Failure = 1;

    /// <summary>The configuration or the command line cannot be used.</summary>
    public const int Usage = 2;

    /// <summary>At once: an orderly stop would write to the disk that has just failed.</summary>
    [DoesNotReturn]
    public static void Now(ILogger logger, Exception? error, string reason)
    {
        if (OutOfMemory.IsCauseOf(error))
            OutOfMemory.End();

        logger.Stops(error, reason);

        // The console logger writes behind; this line must be out before the end.
        ProcessOutput.LastWords($"RaftHost stops: {reason}");
        Environment.Exit(Failure);
    }
}
