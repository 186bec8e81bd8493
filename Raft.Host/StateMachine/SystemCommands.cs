using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>A command of the host's own, in the log of a group (<see cref="EntryKind.System"/>).</summary>
public abstract record SystemCommand;

/// <summary>Makes another group: each node writes its first configuration as index 1, term 1 of that group. Only in the first group's log.</summary>
public sealed record CreateGroup(GroupId Group, Configuration First) : SystemCommand;

/// <summary>What the leader's state amounts to at an index, for the others to compare.</summary>
/// <param name="Index">Of a user's command.</param>
/// <param name="Hash">The state hash when it had been applied.</param>
/// <param name="HashVersion">Other versions are not compared.</param>
public sealed record HashCheck(LogIndex Index, UInt128 Hash, int HashVersion) : SystemCommand;

/// <summary>The stamps of this log are ahead of the clocks: under a clock that was wrong, time ran ahead, and stamps never fall.</summary>
/// <param name="OffsetMs">By so much; counts when it is more than what was said before.</param>
public sealed record TimeCorrection(long OffsetMs) : SystemCommand;

/// <summary>System command to bytes and back. Version 1, little endian:</summary>
/// <remarks><code>
/// version:1 kind:1
///   1 create group   group:1+n configuration:rest
///   2 hash check     index:8 hash:16 hashVersion:4
///   3 correction     offset:8        (only where all members know it)
/// </code></remarks>
public static class SystemCommands
{
    internal const int GroupBytesMax = 255;

    private const byte Version = 1;
    private const byte CreateGroupKind = 1;
    private const byte HashCheckKind = 2;
    private const byte TimeCorrectionKind = 3;
    private const int TimeCorrectionBytes = 2 + 8;
    private const int HashCheckBytes = 2 + 8 + 16 + 4;

    public static byte[] Encode(SystemCommand command)
    {
        switch (command)
        {
            case CreateGroup create:
                byte[] configuration = create.First.Encode();
                byte[] name = Encoding.UTF8.GetBytes(create.Group.Value);
                return [Version, CreateGroupKind, checked((byte)name.Length), .. name, .. configuration];

            case HashCheck check:
                byte[] bytes = new byte[HashCheckBytes];
                bytes[0] = Version;
                bytes[1] = HashCheckKind;
                BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(2), check.Index.Value);
                BinaryPrimitives.WriteUInt128LittleEndian(bytes.AsSpan(10), check.Hash);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(26), check.HashVersion);
                return bytes;

            case TimeCorrection correction:
                byte[] offset = new byte[TimeCorrectionBytes];
                offset[0] = Version;
                offset[1] = TimeCorrectionKind;
                BinaryPrimitives.WriteInt64LittleEndian(offset.AsSpan(2), correction.OffsetMs);
                return offset;

            default:
                throw new ArgumentException($"{command?.GetType().Name} has no bytes.", nameof(command));
        }
    }

    /// <summary>Reads a command; false, with the reason, when the bytes are none that this release knows. Never throws: a
    /// committed entry must be got over.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out SystemCommand? command, [NotNullWhen(false)] out string? fault)
    {
        command = null;
        fault = null;
        if (bytes.Length < 2 || bytes[0] != Version)
            fault = bytes.IsEmpty ? "The system command is empty." : $"The system command has version {bytes[0]}; this release reads {Version}.";
        else if (bytes[1] == CreateGroupKind)
            command = ReadCreateGroup(bytes[2..], out fault);
        else if (bytes[1] == TimeCorrectionKind && bytes.Length != TimeCorrectionBytes)
            fault = $"A time correction has {bytes.Length} bytes; it takes {TimeCorrectionBytes}.";
        else if (bytes[1] == TimeCorrectionKind)
            command = new TimeCorrection(BinaryPrimitives.ReadInt64LittleEndian(bytes[2..]));
        else if (bytes[1] != HashCheckKind)
            fault = $"The system command has kind {bytes[1]}, which this release does not know.";
        else if (bytes.Length != HashCheckBytes)
            fault = $"A hash check has {bytes.Length} bytes; it takes {HashCheckBytes}.";
        else
            command = ReadHashCheck(bytes);
        return command is not null;
    }

    private static HashCheck ReadHashCheck(ReadOnlySpan<byte> bytes) => new(
        new LogIndex(BinaryPrimitives.ReadInt64LittleEndian(bytes[2..])),
        BinaryPrimitives.ReadUInt128LittleEndian(bytes[10..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[26..]));

    private static CreateGroup? ReadCreateGroup(ReadOnlySpan<byte> bytes, out string? fault)
    {
        fault = "The command that creates a group is cut off, or names none.";
        if (bytes.IsEmpty || bytes[0] == 0 || bytes.Length < 1 + bytes[0])
            return null;

        try
        {
            var create = new CreateGroup(new GroupId(StrictUtf8.Read(bytes.Slice(1, bytes[0]))), Configuration.Decode(bytes[(1 + bytes[0])..]));
            fault = null;
            return create;
        }
        catch (InvalidDataException error)
        {
            fault = error.Message;
            return null;
        }
    }
}
