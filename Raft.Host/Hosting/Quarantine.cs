using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>What is known of a directory that cannot be used.</summary>
/// <param name="Uid">The cluster that it was in; null when it does not tell.</param>
/// <param name="Storage">Its storage id.</param>
/// <param name="Reason">What is wrong, for people.</param>
internal sealed record UnusableDirectory(ClusterUid? Uid, StorageId Storage, string Reason);

/// <summary>A node whose directory cannot be used: up, not ready, no Raft, until its cluster takes it in anew. Design 4.5.</summary>
internal sealed class Quarantine(
    NodeSettings settings, NodeAddresses addresses, FormationDesk desk, NodeState state, PeerQuestions questions, ILogger<Quarantine> log)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Everybody who asks hears why.</summary>
    public void Enter(string reason)
    {
        desk.Refuse($"'{settings.Raft.NodeId}' is in quarantine: {reason}");
        state.Enter(NodePhase.Quarantine, reason);
        log.Quarantined(reason);
    }

    /// <summary>Returns only when a living cluster of the directory's uid has answered that it takes this node in on a new
    /// directory; so what is left here is no longer needed by anybody.</summary>
    public async Task WaitUntilTakenInAsync(UnusableDirectory directory, CancellationToken cancellation)
    {
        Enter(directory.Reason);
        FormationPeer[] peers = Formation.PeersOf(settings.Raft);
        string? obstacle =
            settings.Raft.Rejoin == RejoinMode.Off ? null
            : directory.Uid is null ? "Its cluster is unknown, so that it cannot ask to be taken in anew."
            : peers.Length == 0 ? "Raft:Members and Raft:Join name nobody who could take it in anew."
            : "";
        if (obstacle is not "")
        {
            if (obstacle is not null)
                Say(directory, obstacle, isFinal: true);
            await Task.Delay(Timeout.Infinite, cancellation);
        }

        JoinRequest probe = addresses.JoinRequest(settings.Raft, directory.Storage, directory.Uid, isProbe: true);
        string? said = null;
        while (true)
        {
            JoinAnswer answer = await AskAllAsync(peers, probe, cancellation);
            if (answer.Verdict == JoinVerdict.Accepted && answer.Uid == directory.Uid!.Value.ToString()) // not null: else it waits for ever, above
                return;

            if (answer.Reason != said)
                Say(directory, $"It asks to be taken in on a new directory. {answer.Reason}", isFinal: answer.Verdict == JoinVerdict.Refused);
            said = answer.Reason;
            await Task.Delay(Pause, cancellation);
        }
    }

    private async Task<JoinAnswer> AskAllAsync(FormationPeer[] peers, JoinRequest probe, CancellationToken cancellation)
    {
        JoinAnswer[] answers = await Task.WhenAll(peers.Select(peer => Formation.AskToJoinAsync(questions, peer.Url, probe, cancellation)));

        // Whoever knows the leader answers with its words; the others only wait.
        return answers.MinBy(answer => answer.Verdict switch { JoinVerdict.Accepted => 0, JoinVerdict.Refused => 1, _ => 2 })!; // not empty: checked above
    }

    private void Say(UnusableDirectory directory, string what, bool isFinal)
    {
        state.Enter(NodePhase.Quarantine, $"{directory.Reason} {what}");
        if (isFinal)
            log.CannotForm(what);
        else
            log.WaitsToForm(what);
    }
}
