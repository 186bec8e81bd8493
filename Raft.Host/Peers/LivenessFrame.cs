using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What we say of our groups.</summary>
/// <param name="Version">Names what was said.</param>
/// <param name="Stamp">Our clock; comes back as an echo.</param>
/// <param name="Echo">The stamp that came last; 0: none.</param>
/// <param name="HeldTicks">How long that lay here.</param>
/// <param name="Groups">Null: as in the last frame of this version.</param>
internal readonly record struct LivenessFrame(
    long Version, long Stamp, long Echo, long HeldTicks, List<(GroupId Group, GroupStatus Status)>? Groups) : IFrameSource
{
    /// <summary>What one group takes at least.</summary>
    public const int MinGroupBytes = 12;

    private const int MaxGroupBytes = 512;

    public long SizeBound => 64 + (MaxGroupBytes * (long)(Groups?.Count ?? 0));

    public void WriteTo(FrameWriter writer)
    {
        writer.Begin(FrameKind.Liveness);
        writer.Int64(Version);
        writer.Int64(Stamp);
        writer.Int64(Echo);
        writer.Int64(HeldTicks);
        writer.Bool(Groups is not null);
        if (Groups is not null)
        {
            writer.Int32(Groups.Count);
            foreach ((GroupId group, GroupStatus status) in Groups)
            {
                writer.Text(group.Value);
                writer.Int64(status.Term.Value);
                writer.Bool(status.IsLeader);
                MessageCodec.WriteServer(writer, status.Follows);
            }
        }

        writer.End();
    }
}
