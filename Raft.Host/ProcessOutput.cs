using System.Runtime.InteropServices;
using System.Text;

namespace Raft.Host;

/// <summary>What the process prints. Nothing of it can end or hold up a node: a stream that is closed, full or not read loses text.</summary>
internal static partial class ProcessOutput
{
    private const int GetDescriptorFlags = 1, CloseOnExec = 1, ReadWrite = 2;
    private static readonly TimeSpan LastWordsWait = TimeSpan.FromSeconds(1);

    /// <summary>Before anything else in the process is opened.</summary>
    /// <remarks>Where standard streams were closed by whoever started the process, the next files that it opens get their numbers, and
    /// what is printed would be written into them: into the log of a group. Numbers that are free are given to /dev/null; one that
    /// the runtime has taken already (what it opens is closed on exec, what was inherited is not) is not printed to.</remarks>
    public static void Prepare()
    {
        if (OperatingSystem.IsLinux())
        {
            for (int descriptor = 0; descriptor <= 2; descriptor++)
                Occupy(descriptor);
        }

        Console.SetOut(IsOurs(1) ? new LossyWriter(Console.Out) : TextWriter.Null);
        Console.SetError(IsOurs(2) ? new LossyWriter(Console.Error) : TextWriter.Null);
    }

    /// <summary>To standard error, before an end of the process: out when this returns, unless nobody takes it.</summary>
    public static void LastWords(string text)
    {
        var writing = new Thread(() =>
        {
            Console.Error.WriteLine(text);
            Console.Error.Flush();
        })
        {
            IsBackground = true,
            Name = "last words",
        };
        try
        {
            writing.Start();
            writing.Join(LastWordsWait);
        }
        catch (Exception error) when (error is OutOfMemoryException or ThreadStartException)
        {
            Console.Error.WriteLine(text);      // no thread is to be had
        }
    }

    private static bool IsOurs(int descriptor) => !OperatingSystem.IsLinux() || Control(descriptor, GetDescriptorFlags, 0) is >= 0 and var flags && (flags & CloseOnExec) == 0;

    private static void Occupy(int descriptor)
    {
        // The lowest number that is free: those below are taken by now.
        if (Control(descriptor, GetDescriptorFlags, 0) < 0)
            _ = Open("/dev/null", ReadWrite);
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    /// <summary>Loses what cannot be written.</summary>
    internal sealed class LossyWriter(TextWriter inner) : TextWriter
    {
        public override Encoding Encoding => inner.Encoding;

        public override void Write(char value) => Try(value, static (to, text) => to.Write(text));

        public override void Write(string? value) => Try(value, static (to, text) => to.Write(text));

        public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

        public override void WriteLine(string? value) => Try(value, static (to, text) => to.WriteLine(text));

        public override void Flush() => Try(0, static (to, _) => to.Flush());

        private void Try<T>(T text, Action<TextWriter, T> write)
        {
            try
            {
                write(inner, text);
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException or UnauthorizedAccessException or InvalidOperationException)
            {
                // Closed, or on a full disk: printing is no reason to end.
            }
        }
    }
}
