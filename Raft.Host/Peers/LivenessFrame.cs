using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What a liveness frame says of the sender's groups.</summary>
internal enum LivenessContent : byte
{
    /// <summary>As in the frames before, up to this version.</summary>
    Same = 0,

    /// <summary>All groups.</summary>
    Whole = 1,

    /// <summary>What differs from the version before.</summary>
    Changes = 2,
}

/// <summary>What we say of our groups.</summary>
/// <param name="Content">How much of it.</param>
/// <param name="Stamp">Our clock; comes back as an echo.</param>
/// <param name="Echo">The stamp that came last; 0: none.</param>
/// <param name="HeldTicks">How long that lay here.</param>
/// <param name="LacksSpace">Our disk is nearly full.</param>
/// <param name="Own">What is said; also names its version.</param>
/// <param name="ClockMs">Our wall clock, milliseconds since 1970 UTC; null where the peer does not speak <see cref="PeerHandshake.ClockVersion"/>.</param>
internal readonly record struct LivenessFrame(
    LivenessContent Content, long Stamp, long Echo, long HeldTicks, bool LacksSpace, OwnStatuses Own, long? ClockMs) : IFrameSource
{
    /// <summary>The states here take more memory than our budget; told with the clock only.</summary>
    public bool LacksMemory { get; init; }

    /// <summary>What one group takes at least.</summary>
    public const int MinGroupBytes = 3;

    private const int MaxGroupBytes = 512;

    public long SizeBound => 64 + (MaxGroupBytes * (long)(Content switch
    {
        LivenessContent.Whole => Own.Said.Count,
        LivenessContent.Changes => Own.Changes.Count,
        _ => 0,
    }));

    /// <summary>Of the node: no group goes before it for long.</summary>
    public object Lane => FrameAddress.Node;

    public void WriteTo(FrameWriter writer)
    {
        writer.Begin(FrameKind.Liveness);
        writer.Int64(Own.Version);
        writer.Int64(Stamp);
        writer.Int64(Echo);
        writer.Int64(HeldTicks);
        writer.Bool(LacksSpace);
        writer.Byte((byte)Content);
        if (Content == LivenessContent.Whole)
        {
            writer.Int32(Own.Said.Count);
            foreach ((GroupId group, GroupStatus status) in Own.Said)
                WriteGroup(writer, group, status);
        }
        else if (Content == LivenessContent.Changes)
        {
            writer.Int32(Own.Changes.Count);
            foreach ((GroupId group, GroupStatus? status) in Own.Changes)
                WriteGroup(writer, group, status);
        }

        if (ClockMs is { } clockMs)
        {
            writer.Int64(clockMs);
            writer.Bool(LacksMemory);
        }

        writer.End();
    }

    /// <summary>A group and what is said of it; without a status: nothing any more.</summary>
    public static (GroupId Group, GroupStatus? Status) ReadGroup(ref PayloadReader reader)
    {
        var group = new GroupId(reader.Text());
        if (!reader.Bool())
            return (group, null);

        var status = new GroupStatus(reader.Term(), reader.Bool(), MessageCodec.ReadServer(ref reader));
        return (group, reader.Bool() ? status with { QuietCommit = reader.Index() } : status);
    }

    private static void WriteGroup(FrameWriter writer, GroupId group, GroupStatus? status)
    {
        writer.Text(group.Value);
        writer.Bool(status is not null);
        if (status is not { } said)
            return;

        writer.Int64(said.Term.Value);
        writer.Bool(said.IsLeader);
        MessageCodec.WriteServer(writer, said.Follows);
        writer.Bool(said.QuietCommit is not null);
        if (said.QuietCommit is { } commit)
            writer.Int64(commit.Value);
    }
}
