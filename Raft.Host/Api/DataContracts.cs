using Raft.Host.Settings;

namespace Raft.Host.Api;

// The shapes of what the data routes answer. The answers are written by hand; these describe them at /swagger, and a test
// compares the two.

/// <summary>One entry was appended.</summary>
/// <param name="Index">Of the journal: where to read it.</param>
public sealed record AppendedDocument(string Group, long Index, long Term);

/// <summary>All lines of a batch were appended, one entry each.</summary>
public sealed record AppendedLinesDocument(string Group, long FirstIndex, long LastIndex, long Count, long Term);

/// <summary>The entry is committed and not applied yet (wait=committed), so its journal index is not known.</summary>
/// <param name="RaftIndex">Of the Raft log.</param>
public sealed record CommittedDocument(string Group, long RaftIndex, long Term);

/// <summary>Entries from an index on.</summary>
/// <param name="Next">Where the next page begins.</param>
/// <param name="FirstIndex">The oldest entry kept.</param>
/// <param name="LastIndex">The newest.</param>
public sealed record EntryListDocument(IReadOnlyList<EntryDocument> Entries, long Next, long FirstIndex, long LastIndex);

/// <summary>One entry, its content in one of three forms.</summary>
/// <param name="Time">The leader's time stamp.</param>
/// <param name="Json">If it came as JSON and is.</param>
/// <param name="Text">Else, if it is UTF-8.</param>
/// <param name="Base64">Else.</param>
public sealed record EntryDocument(long Index, long Term, DateTimeOffset Time, string? ContentType, object? Json, string? Text, string? Base64);

/// <summary>A value was written.</summary>
/// <param name="Revision">The same as in ETag.</param>
/// <param name="Created">There was none before.</param>
public sealed record KeyWrittenDocument(string Group, long Revision, long Term, bool Created);

/// <summary>Keys in the order of their bytes.</summary>
/// <param name="Next">What to give as after for the next page; null when there is none.</param>
public sealed record KeyListDocument(IReadOnlyList<KeyDocument> Items, string? Next);

/// <summary>One key with its value, in one of three forms as in <see cref="EntryDocument"/>.</summary>
public sealed record KeyDocument(string Key, long Revision, string? ContentType, object? Json, string? Text, string? Base64);

/// <summary>What became of the request with an Idempotency-Key.</summary>
/// <param name="Time">When it was executed, by the leader's time stamp.</param>
/// <param name="KeptUntil">Until then at least the key is known; longer while there is room.</param>
/// <param name="Status">The status code of its answer; the other names are those of that answer's body.</param>
/// <param name="Index">Of an append of one entry, as firstIndex.</param>
public sealed record OutcomeDocument(
    string Key, string Group, DateTimeOffset Time, DateTimeOffset KeptUntil, int Status, long Term,
    long? Index, long? FirstIndex, long? LastIndex, long? Count, long? Revision, bool? Created, long? CurrentRevision);

/// <summary>The configuration in force.</summary>
public sealed record ConfigDocument(RaftOptions Raft);

/// <summary>This node can take writes.</summary>
public sealed record ReadyDocument(bool Ready, string Phase, IReadOnlyList<string> Reasons, IReadOnlyList<string> Warnings);

/// <summary>Every error, after RFC 9457.</summary>
/// <param name="Type">Points at the explanation; what follows the # is for programs.</param>
/// <param name="Outcome">Of this attempt at a write: notSubmitted, unknown, or committed. Reads have none.</param>
/// <param name="Remedy">What to do.</param>
/// <param name="Line">The broken one of a batch.</param>
/// <param name="CurrentRevision">Of the key; 0: it is not there.</param>
/// <param name="FirstIndex">Where the journal begins.</param>
/// <param name="LastIndex">Where it ends.</param>
/// <param name="Limit">In bytes.</param>
/// <param name="Reasons">Why the node is not ready, one by one.</param>
/// <param name="Groups">What became of it in each group, when some failed.</param>
public sealed record ProblemDocument(
    string Type, string Title, int Status, string Detail, string? Outcome, string? Remedy,
    long? Line, long? CurrentRevision, long? FirstIndex, long? LastIndex, long? Limit, IReadOnlyList<string>? Reasons, IReadOnlyList<GroupOutcomeDocument>? Groups);
