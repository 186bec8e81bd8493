using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Host.Hosting;

/// <summary>A member that cannot reach another one asks those that it does reach where they reach it. Without that two nodes that
/// have both moved would not find each other as long as the log, which would tell them, needs the two of them.</summary>
/// <remarks>An answer is one more address to try, of a member that is known here already; the handshake decides who is there. A
/// former release does not know the question, and answers nothing.</remarks>
internal sealed class AddressExchange(FormationDesk desk, PeerTransport peers, PeerQuestions questions, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);
    private const int AnswersMax = 1_000;
    private TimeSpan _pause = FirstPause;
    private long _last;

    /// <summary>Whether a member is missing, and it is time to ask. One caller at a time.</summary>
    public bool IsDue
    {
        get
        {
            if (time.GetElapsedTime(_last) < _pause)
                return false;

            IReadOnlyList<PeerStatus> all = peers.Peers;
            if (all.Any(peer => peer.IsMember && !peer.IsConnected))
                return all.Any(peer => peer.IsMember && peer.IsConnected);

            (_last, _pause) = (time.GetTimestamp(), FirstPause);
            return false;
        }
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            if (desk.Uid is not { } uid)
                return;

            var question = new AddressQuestion(uid.ToString());
            AddressAnswer?[] answers = await Task.WhenAll(peers.ConfirmedAddresses.Select(member => questions.AskAsync(member.Url, question, cancellation)));
            HashSet<ServerId> missing = [.. peers.Peers.Where(peer => peer.IsMember && !peer.IsConnected).Select(peer => new ServerId(peer.Node, peer.Storage))];
            foreach (MemberAddress address in answers.OfType<AddressAnswer>().SelectMany(answer => (answer.Members ?? []).Take(AnswersMax)))
            {
                if (address is { NodeId: not null, StorageId: not null, PeerUrl: not null }
                    && UInt128.TryParse(address.StorageId, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 storage)
                    && new ServerId(new NodeId(address.NodeId), new StorageId(storage)) is var server && missing.Contains(server))
                {
                    peers.HearOf(server, address.PeerUrl);
                }
            }
        }
        finally
        {
            _last = time.GetTimestamp();
            _pause = TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, LongestPause.Ticks));
        }
    }

    /// <summary>Nothing to a node of another cluster.</summary>
    public AddressAnswer Answer(AddressQuestion question) => desk.Uid is not { } uid || question.Uid != uid.ToString()
        ? new AddressAnswer([])
        : new AddressAnswer([.. peers.ConfirmedAddresses.Select(member => new MemberAddress(member.Server.Node.Value, member.Server.Storage.ToString(), member.Url))]);
}
