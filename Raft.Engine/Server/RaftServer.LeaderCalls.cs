using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// What members ask of the leader. Failures are replies that say what is known. Rule 11.
public sealed partial class RaftServer
{
    internal void Begin(RemoteWrite write)
    {
        if (!TryBegin(write))
            return;

        if (_protocol.Role != Role.Leader)
            write.NotLeader();
        else if (!_protocol.Configuration.Contains(write.From))
            write.Answer(NotMemberReply(write.From));
        else if (write.Kind is not (EntryKind.Command or EntryKind.System))
            write.Answer(new CallRefusedReply(CallRefusal.NotMember, $"Entries of kind {write.Kind} are not for others to add."));
        else if (write.Command.Length > Settings.MaxCommandBytes)
            write.Answer(new CallRefusedReply(CallRefusal.TooBig, $"The limit is {Settings.MaxCommandBytes} bytes."));
        else
            AdmitForwarded(write);
    }

    private void AdmitForwarded(RemoteWrite write)
    {
        write.Deadline = DeadlineIn(write.Call.TimeoutMs);
        Admit(write);
    }

    /// <summary>Appended, not committed: the member watches its own log for the rest, and hears of the commit at once.</summary>
    internal void OnForwardedAppended(RemoteWrite write, EntryId entry)
    {
        _protocol.OnPeerWaits(write.From, entry.Index);
        write.Answer(new EntryAddedReply(entry));
    }

    internal void Begin(RemoteRead read)
    {
        if (!TryBegin(read))
            return;

        if (_protocol.Role != Role.Leader)
        {
            read.NotLeader();
        }
        else if (!_protocol.Configuration.Contains(read.From))
        {
            read.Answer(NotMemberReply(read.From));
        }
        else
        {
            _newReads.Add(read);
            SchedulePoll();
        }
    }

    internal void OnForwardedReadConfirmed(RemoteRead read, LogIndex index)
    {
        _protocol.OnPeerWaits(read.From, index);
        read.Answer(new ReadBarrierReply(index));
        SchedulePoll();
    }

    internal NotLeaderReply NotLeaderReply() => new(_protocol.Leader, _protocol.CurrentTerm);

    private bool IsReady => _stopReason is null && _protocolOrNull is not null;

    private static CallRefusedReply NotMemberReply(ServerId from) =>
        new(CallRefusal.NotMember, $"{from.Node} is no member of the configuration in force; nothing was done.");
}
