using System.Runtime.InteropServices;

namespace Raft.Api.Tests.Support;

public enum Signal
{
    Kill = 9,
    Terminate = 15,
    Interrupt = 2,
    Continue = 18,
    Stop = 19,
}

internal static partial class Native
{
    /// <summary>Sends a signal to one process of ours; false when it is gone.</summary>
    public static bool Send(int processId, Signal signal) => Kill(processId, (int)signal) == 0;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int processId, int signal);
}
