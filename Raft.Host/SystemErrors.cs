using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Raft.Host;

/// <summary>What the operating system says, as cause and remedy: the one place for every path that starts a node or fails on its disk.</summary>
internal static class SystemErrors
{
    /// <summary>The cause of an error number of a system call, in words; with the number, so that it can be looked up.</summary>
    public static string CauseOf(int errno) => $"errno {errno} ({Marshal.GetPInvokeErrorMessage(errno)})";

    /// <summary>What to do about an error number that a call on a file or directory ended with. A sentence.</summary>
    public static string RemedyOf(int errno) => errno switch
    {
        1 or 13 => "Make it accessible and writable for the user of this process, then start the node again.",
        2 => "Make it, or correct the path (a symbolic link may point to nothing), then start the node again.",
        12 => "Give the process more memory, then start the node again.",
        16 => "Something else holds it: end that, then start the node again.",
        17 or 20 => "Something on that path is a file, or a symbolic link that leads nowhere, and must be a directory: move it away, or correct the path.",
        21 => "It is a directory and must be a file: move it away, or correct the path.",
        22 or 95 => "Its file system does not support what the store needs (locks, fdatasync, rename): use a local file system such as ext4 or XFS.",
        23 or 24 => "Raise the limit of open files (ulimit -n, LimitNOFILE=), then start the node again.",
        26 => "A program of that name is running: end it, or correct the path.",
        28 or 122 => "Make room on its file system (or raise the quota), then start the node again: nothing acknowledged is lost.",
        30 => "Its file system is mounted read-only: mount it writable (after an error of the disk the kernel mounts it so: see its log), then start the node again.",
        36 => "A name on that path is too long: choose a shorter one.",
        37 => "Its file system gives no locks: use a local one, or make its lock service run.",
        40 => "Symbolic links on that path lead in a circle: correct them.",
        116 => "The server of its network file system has forgotten it: mount it again; better is a local file system.",
        0 => "Start the node again; what it finds on its disk is verified. If this comes back, report it with this line.",
        _ => "Check the disk (kernel log, SMART) and start the node again only on a sound one; on a new, empty one it comes back as a new member.",
    };

    /// <summary>What an exception of the framework says, as a cause and what to do. No stack trace, no type names, one line.</summary>
    public static (string Cause, string Remedy) Explain(Exception error)
    {
        Exception root = error.GetBaseException();
        return root switch
        {
            SocketException socket => ExplainSocket(socket.SocketErrorCode, socket),
            _ when error is UnauthorizedAccessException => (OneLine(error.Message), "Make it readable for the user of this process."),
            DirectoryNotFoundException or FileNotFoundException => (OneLine(root.Message), "Make it, or correct the path."),
            PathTooLongException => (OneLine(root.Message), "Choose a shorter path."),
            JsonException or FormatException => (error == root ? OneLine(root.Message) : $"{OneLine(error.Message)} {OneLine(root.Message)}", "Correct the file there."),
            OutOfMemoryException => ("the process may not have as much memory as it needs", "Give it more memory (the limit of its container or of its user), or fewer shards and smaller limits."),
            IOException { HResult: > 0 and < 4096 and var errno } => (OneLine(root.Message), RemedyOf(errno)),
            _ => (OneLine(root.Message), "If it is not clear what to do, report it with this line."),
        };
    }

    public static (string Cause, string Remedy) ExplainSocket(SocketError code, Exception error) => code switch
    {
        SocketError.AddressAlreadyInUse => ("the port is in use by another process", "End the other process (ss -ltnp names it), or choose another port."),
        SocketError.AccessDenied => ("this user may not listen at that port", "Choose a port from 1024 on, or give the program CAP_NET_BIND_SERVICE."),
        SocketError.AddressNotAvailable => ("no network interface of this machine has that address", "Choose an address of this machine (ip address lists them); an IPv6 link-local one needs its interface, as in [fe80::1%eth0]."),
        SocketError.AddressFamilyNotSupported or SocketError.ProtocolFamilyNotSupported => ("this machine does not speak that kind of address (IPv6 may be switched off)", "Choose an IPv4 address."),
        SocketError.InvalidArgument => ("the address cannot be listened at", "An IPv6 link-local address needs its interface, as in [fe80::1%eth0]; else choose another address."),
        SocketError.TooManyOpenSockets => ("the limit of open files is reached", "Raise it (ulimit -n, LimitNOFILE=)."),
        SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData => ("the name is not known", "Correct it, or write an address."),
        _ => (OneLine(error.Message), "Choose another address or port."),
    };

    internal static string OneLine(string text) => text.ReplaceLineEndings(" ").Trim();
}
