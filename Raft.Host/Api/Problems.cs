using Raft.Engine.Errors;
using Raft.Host.Hosting;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Every problem that this service answers with, and the only place that tells "no" from "maybe"; in doubt it is a maybe.</summary>
/// <remarks>4xx but 408: it did not happen and never will by this attempt. 503 and 429: it was not submitted, come again. 504 and 500: unknown.</remarks>
public static class Problems
{
    private const string RetryWithKey = "Retry with the same Idempotency-Key to learn the outcome; without one, read before you write again.";
    private const string RetrySafely = "Nothing was written: it is safe to try again, here or at another node.";

    private const string RetryLater = "Nothing was done: try again later, with fewer requests at once. If it lasts, look at raft_storage_sync_seconds and at Raft:Limits:MaxUncommittedBytes.";

    /// <summary>What a failed call on a server means to the client.</summary>
    public static Problem From(RaftException error) => error switch
    {
        CommandTooBigException e => TooLarge(e.Limit) with { Detail = $"The command has {e.Size} bytes with its header; the limit is {e.Limit} (Raft:Limits:MaxCommandBytes and room for the header)." },
        DroppedEntryException => Unavailable("dropped", "The write was overtaken", error.Message),
        NotLeaderException => Unavailable("no-leader", "No leader", error.Message),
        OverloadedException => new Problem(429, "overloaded", "There is no room for the request", error.Message) { RetryAfter = 1, Remedy = RetryLater },
        OutOfSpaceException => new Problem(507, "out-of-space", "The leader's disk is nearly full", error.Message)
        { RetryAfter = 10, Remedy = "Nothing was written, and reads go on. Free space on the leader's disk, or make it larger; then try again." },
        OutOfMemoryBudgetException => new Problem(507, "out-of-memory-budget", "The memory budget is used up", error.Message)
        { RetryAfter = 10, Remedy = "Nothing was written. Reads and deletes are still served: delete keys, or give the nodes more memory (Raft:Limits:MaxStateBytes); then try again." },
        RaftTimeoutException { Outcome: WriteOutcome.NotSubmitted } => Unavailable("no-quorum", "Not served in time", error.Message),
        NotMemberException => Unavailable("not-a-member", "This node is no member of the group", error.Message),
        DestinationNotAliveException => Unavailable("no-leader", "The leader cannot be reached", error.Message),
        StoppedException { Outcome: WriteOutcome.NotSubmitted } => Unavailable("stopping", "The server has stopped", error.Message),
        ConfigurationChangeInProgressException => new Problem(409, "change-in-progress", "Another change is under way", error.Message)
        { RetryAfter = 1, Remedy = "GET /v1/members shows how far it is. Repeat when it is done." },
        InvalidConfigurationException => new Problem(400, "invalid-configuration", "The configuration is not allowed", error.Message),
        ConfigurationMovedException => ConfigurationMoved(error.Message),
        MemberUnreachableException => new Problem(409, "member-unreachable", "The node cannot be taken in as it is", error.Message)
        { Remedy = "A node that is added must run with an empty data directory, be in no cluster, and be reachable from here at its peerUrl." },
        InvalidTransferTargetException => InvalidTarget(error.Message),
        NoOtherVoterException => new Problem(409, "no-other-voter", "There is no other voter", error.Message),
        CommitStatusUnknownException or RaftTimeoutException or TransportException or StoppedException =>
            new Problem(504, "outcome-unknown", "It may or may not have happened", error.Message, Problem.Unknown) { Remedy = RetryWithKey },
        _ => Unexpected(error.Message),
    };

    /// <summary>A result of the state machine that is no success; null when it is one.</summary>
    public static Problem? From(StoreResult result) => result switch
    {
        PreconditionFailed { CurrentRevision: 0 } => PreconditionFailed(0),
        PreconditionFailed e => PreconditionFailed(e.CurrentRevision),
        KeyReused => new Problem(422, "key-reused", "The idempotency key belongs to another request",
            "This Idempotency-Key was used with another method, resource, precondition, content type or body. Nothing was written.")
        { Remedy = "Use a new key for a new request." },
        KeyTooOld e => new Problem(409, "key-too-old", "The idempotency key is too old",
            $"The key carries a time (UUIDv7) older than the {e.WindowSeconds} s for which keys are kept, so whether it was executed before is not known. This attempt wrote nothing.")
        { Remedy = "Read whether the first attempt happened, then write with a new key if it did not." },
        KeyFromTheFuture e => new Problem(409, "key-from-the-future", "The idempotency key is from the future",
            $"The key carries a time (UUIDv7) {e.AheadMs} ms ahead of the cluster's; at most {IdempotencyTable.ClockToleranceMs} ms are allowed, for else it could not be told when it is too old. This attempt wrote nothing.")
        { Remedy = "Set the client's clock, then write with a new key." },
        TableFull e => new Problem(429, "too-many-keys", "Too many young idempotency keys",
            $"All {e.MaxKeys} idempotency keys (Raft:Idempotency:MaxKeys) are younger than the time they are kept. Nothing was written.")
        { RetryAfter = (int)Math.Clamp((e.RetryAfterMs + 999) / 1000, 1, 3600), Remedy = "Come back later, or raise Raft:Idempotency:MaxKeys." },
        Malformed e => Unexpected($"The state machine refused the command: {e.Reason}"),
        _ => null,
    };

    public static Problem PreconditionFailed(long currentRevision) =>
        new(412, "precondition-failed", "The precondition does not hold",
            currentRevision == 0 ? "The key is not there." : $"The key is at revision {currentRevision}.")
        { Number = ("currentRevision", currentRevision), Remedy = "Read the key and decide again." };

    public static Problem TooLarge(long limit) =>
        new(413, "too-large", "The body is too large", $"The body has more than {limit} bytes (Raft:Limits:MaxCommandBytes).")
        { Number = ("limit", limit), EndsConnection = true };

    public static Problem NoRoomForBody(long heldBytes, long maxBytes) =>
        new(429, "overloaded", "This node has no room for the body",
            $"The bodies of requests under way hold {heldBytes} of {maxBytes} bytes (Raft:Limits:MaxTotalBytes) on this node, until the time was up. Nothing was submitted.")
        { RetryAfter = 1, Remedy = RetryLater, EndsConnection = true };

    public static Problem BadRequest(string name, string detail) => new(400, name, "The request makes no sense", detail);

    public static Problem InFlight { get; } =
        new(409, "in-flight", "A request with this idempotency key is under way",
            "This node is serving a request with the same Idempotency-Key. This attempt wrote nothing.")
        { RetryAfter = 1, Remedy = "Wait for the other, or repeat later." };

    public static Problem UnsupportedType(string detail) => new(415, "unsupported-type", "The content type is not supported", detail);

    /// <summary>A stored value is what its content type says, so a coding would have to be kept with it, and is not.</summary>
    public static Problem UnsupportedEncoding(string encoding) =>
        new(415, "unsupported-encoding", "The content encoding is not supported", $"Content-Encoding is '{encoding}'; allowed: none, or 'identity'. Nothing was stored.")
        { AcceptEncoding = "identity", Remedy = "Send the body as it is, or declare the compressed bytes as the value by a content type such as application/gzip." };

    public static Problem UnsupportedExpectation(string expectation) =>
        new(417, "unsupported-expectation", "The expectation is not supported", $"Expect is '{expectation}'; allowed: 100-continue.");

    public static Problem TargetTooLong(int length, int limit) =>
        new(414, "target-too-long", "The request target is too long", $"Path and query have {length} characters; allowed: {limit}.") { EndsConnection = true };

    public static Problem HeadersTooLarge(int chars, int count) =>
        new(431, "headers-too-large", "The header fields are too large",
            $"The request has {count} header fields with {chars} characters; allowed: {RequestChecks.HeaderCountMax} with {RequestChecks.HeaderCharsMax}.")
        { EndsConnection = true };

    public static Problem NoGroup(string group, GroupRegistry groups) =>
        new(404, "no-such-group", "There is no such group", $"This node runs no group '{group}'; it runs {GroupNames.Listed(groups)}.") { Remedy = "GET /v1/groups lists them." };

    public static Problem NoStore(string group, string machine) =>
        new(404, "no-store", "The group has a state machine of its own",
            $"Group '{group}' runs {machine} in place of the built-in store, so it has no keys, no journal and no idempotency keys.")
        { Remedy = "POST /v1/entries hands it a command. What else it offers is up to it." };

    public static Problem KeysNotKept(string group, string machine) =>
        BadRequest("no-idempotency-keys", $"Group '{group}' runs {machine} in place of the built-in store, which alone keeps idempotency keys. Nothing was submitted.")
            with
        { Remedy = "Leave the Idempotency-Key out, and put what makes the command safe to repeat into the command." };

    public static Problem StateDiffers(string group, HashAlarm alarm) =>
        Unavailable("state-differs", "This node's state of the group differs from the others'", $"Group '{group}' is out of service on this node. {TextOf(alarm)}")
            with
        { Remedy = "Ask another node. This one: keep the directory for analysis, stop the node, empty the directory, start it; it is replaced." };

    internal static string TextOf(HashAlarm alarm) =>
        $"At index {alarm.Index} the hash of its state was {alarm.Own:x32}, and the leader's {alarm.Leaders:x32}.";

    /// <summary>A snapshot overtook the entry, so nobody here saw its result.</summary>
    /// <param name="isExecuted">It cannot have been refused when it was applied.</param>
    public static Problem ResultLost(bool isExecuted) =>
        new(504, "committed-result-unknown", "It is committed, and its result is not known here",
            isExecuted
                ? "The write is committed and took effect. A snapshot of the leader overtook it on this node, so its result (index, revision) is not known here."
                : "The write is committed, and may have been refused when it was applied, by its precondition or its key. A snapshot of the leader overtook it on this node, so its result is not known here.",
            isExecuted ? Problem.Committed : Problem.Unknown)
        { Remedy = isExecuted ? "Do not repeat it. Read to learn more." : RetryWithKey };

    public static Problem ResultUnreadable(string type, string detail) =>
        new(500, "result-unreadable", "The command took effect, and its result cannot be shown",
            $"The state machine answered with {type}, which is neither bytes nor text nor can be written as JSON: {detail}", Problem.Committed)
        { Remedy = "Do not repeat it. The state machine should answer with bytes, text, or a type that System.Text.Json can write." };

    public static Problem UnknownMember(string node, string where) =>
        new(404, "unknown-member", "There is no such member", $"'{node}' is no member of {where}.") { Remedy = "GET /v1/members lists them." };

    public static Problem BadNodeId(string name, string id) => BadRequest("bad-node-id", $"{name} is '{id}'; allowed: {RaftOptionsValidator.NameRange}.");

    public static Problem AddressInUse(string peerUrl, string owner) =>
        new(409, "address-in-use", "Another member has this address", $"'{owner}' is reached at {peerUrl}. Nothing was changed.") { Remedy = "Correct the peerUrl, or remove the other member first." };

    public static Problem OtherDisk(string node, string peerUrl) =>
        new(409, "other-disk", "The node is on another disk", $"The node at {peerUrl} has another data directory than the member '{node}' had: it is not the same server. Nothing was changed.")
        { Remedy = "Remove the member, then add the node anew; or leave it to Raft:Rejoin." };

    public static Problem ConfigurationMoved(string detail) =>
        new(412, "configuration-moved", "The configuration is another one", detail) { Remedy = "GET the members again, and decide again." };

    public static Problem InvalidTarget(string detail) =>
        new(409, "invalid-target", "The node cannot take leadership over", detail) { Remedy = "GET /v1/members shows who is a voter and alive." };

    public static Problem StillLeads(IReadOnlyList<string> groups) =>
        Unavailable("still-leads", "Not all leaderships were handed over in time", $"The node is draining, and still leads {string.Join(", ", groups)}.")
            with
        { Remedy = "Repeat the request. It goes on draining until DELETE /v1/drain." };

    /// <summary>Some groups did what was asked and others did not.</summary>
    internal static Problem PartlyDone(int failed, IReadOnlyList<GroupResult> results) =>
        new(504, "partly-done", "Not all groups did it", $"{failed} of {results.Count} groups failed; 'groups' says what became of each.", Problem.Unknown)
        { Remedy = "Repeat the request: groups that are done have nothing to do.", Groups = [.. results.Select(result => result.ToDocument())] };

    public static Problem NotRunning(string phase, string reason) =>
        Unavailable("not-running", "The node does not take part yet", $"The node is in phase {phase}: {reason}");

    public static Problem NotReady(IReadOnlyList<string> reasons) =>
        new(503, "not-ready", "The node is not ready", string.Join(' ', reasons)) { RetryAfter = 1, Reasons = reasons };

    public static Problem NoSuchKey { get; } = new(404, "no-such-key", "The key is not there", "There is no value under this key.");

    public static Problem KeyUnknown(long windowSeconds) =>
        new(404, "key-unknown", "The key is not known",
            $"No request with this Idempotency-Key was executed within the last {windowSeconds} s (Raft:Idempotency:MinAgeSeconds); one before that may be forgotten. One that is under way may still be executed.");

    public static Problem EntryNotYet(long index, long lastIndex) =>
        new(404, "entry-not-yet", "The entry is not there yet", $"The journal ends at index {lastIndex}; there is no entry {index} (entry-not-yet).") { Number = ("lastIndex", lastIndex) };

    public static Problem EntryCompacted(long index, long firstIndex) =>
        new(410, "entry-compacted", "The entry is no longer kept", $"The journal begins at index {firstIndex}; entry {index} is no longer kept (entry-compacted).")
        { Number = ("firstIndex", firstIndex), Remedy = $"Go on from {firstIndex}." };

    public static Problem Unexpected(string detail) =>
        new(500, "internal", "Something went wrong here", detail, Problem.Unknown) { Remedy = RetryWithKey };

    /// <summary>Of a status code that the framework has set by itself.</summary>
    public static Problem OfStatus(int status, string detail) => status switch
    {
        404 => new Problem(404, "no-such-route", "There is no such route", detail) { Remedy = "/swagger lists all routes." },
        405 => new Problem(405, "method-not-allowed", "The route does not have this method", detail) { Remedy = "The header Allow names those it has." },
        408 => new Problem(408, "request-timeout", "The request took too long to arrive", detail, Problem.Unknown) { Remedy = RetryWithKey },
        413 => new Problem(413, "too-large", "The body is too large", detail) { EndsConnection = true },
        415 => UnsupportedType(detail),
        < 500 => new Problem(status, "bad-request", "The request makes no sense", detail),
        503 => Unavailable("unavailable", "Not available", detail),
        _ => Unexpected(detail) with { Status = status },
    };

    private static Problem Unavailable(string name, string title, string detail) =>
        new(503, name, title, detail) { RetryAfter = 1, Remedy = RetrySafely };
}
