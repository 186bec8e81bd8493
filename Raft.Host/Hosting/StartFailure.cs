using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>Why a process does not start, or ends, as one sentence with cause and remedy, and the exit code that goes with it.</summary>
/// <remarks>Every way into the process ends here: no exception leaves it with a stack trace.</remarks>
public sealed record StartFailure(string Sentence, int ExitCode)
{
    /// <summary>Of whatever was thrown.</summary>
    public static StartFailure Of(Exception error) => error switch
    {
        SettingsException or CommandLineException => new StartFailure(error.Message, FatalExit.Usage),
        ListenException or DataDirectoryException or StorageFailedException => new StartFailure(error.Message, FatalExit.Failure),
        _ => Explained("The node cannot start", error, FatalExit.Failure),
    };

    /// <summary>A file of settings that cannot be read.</summary>
    internal static SettingsException Unreadable(string file, Exception error)
    {
        (string cause, string remedy) = SystemErrors.Explain(error);
        return new SettingsException([cause.Contains(file, StringComparison.Ordinal) ? $"{cause.TrimEnd('.')}. {remedy}" : $"{file} cannot be read: {cause.TrimEnd('.')}. {remedy}"]);
    }

    internal static StartFailure Explained(string what, Exception error, int exitCode)
    {
        (string cause, string remedy) = SystemErrors.Explain(error);
        return new StartFailure($"{what}: {cause.TrimEnd('.')}. {remedy}", exitCode);
    }
}
