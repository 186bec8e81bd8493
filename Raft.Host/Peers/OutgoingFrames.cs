using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

internal readonly record struct MessageFrame(Message Message, FrameAddress Address) : IFrameSource
{
    public long SizeBound => MessageCodec.SizeBound(Message) + Address.Group.Length;

    public object Lane => Address.Group;

    public void WriteTo(FrameWriter writer) => MessageCodec.Write(writer, Address, Message);
}

internal readonly record struct CallFrame(ulong Id, LeaderCall Call, FrameAddress Address) : IFrameSource
{
    public long SizeBound => CallCodec.SizeBound(Call) + Address.Group.Length;

    public object Lane => Address.Group;

    public void WriteTo(FrameWriter writer) => CallCodec.WriteCall(writer, Address, Id, Call);
}

internal readonly record struct CallReplyFrame(ulong Id, LeaderReply? Reply, FrameAddress Address) : IFrameSource
{
    public long SizeBound => 160 + Address.Group.Length + (Reply is CallRefusedReply refused ? 3L * refused.Detail.Length : 0);

    public object Lane => Address.Group;

    public void WriteTo(FrameWriter writer) => CallCodec.WriteReply(writer, Address, Id, Reply);
}

internal readonly record struct NoSuchGroupFrame(ulong Id, FrameAddress Address) : IFrameSource
{
    public long SizeBound => 64 + Address.Group.Length;

    /// <summary>One for all: the names are of the caller's making.</summary>
    public object Lane => FrameAddress.Node;

    public void WriteTo(FrameWriter writer) => MessageCodec.WriteNoSuchGroup(writer, Address, Id);
}
