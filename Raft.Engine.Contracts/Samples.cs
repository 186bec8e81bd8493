using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>Entries and servers for the suites, and the comparison of entries by value.</summary>
internal static class Samples
{
    public static readonly GroupId Group = new("contract");
    public static readonly GroupId OtherGroup = new("Contract"); // names differ by case and nothing else
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    public static ServerId Server(int number) => new(new NodeId($"n{number}"), new StorageId(new UInt128(0x1234_5678, (ulong)number + 1)));

    public static Configuration Configuration(int members) => Protocol.Configuration.Of(
        Enumerable.Range(1, members).Select(n => new Member(
            Server(n).Node, Server(n).Storage, n % 3 == 0 ? MemberKind.Learner : MemberKind.Voter, $"http://127.0.0.1:{n}", "")));

    public static Entry Command(LogIndex index, Term term, int bytes)
    {
        byte[] payload = new byte[bytes];
        for (int i = 0; i < bytes; i++)
            payload[i] = (byte)(index.Value + i * 31);
        return new Entry(index, term, EntryKind.Command, 1_000 + index.Value, payload);
    }

    public static Entry[] Commands(LogIndex first, Term term, int count, int bytes) =>
        [.. Enumerable.Range(0, count).Select(n => Command(first + n, term, bytes))];

    public static Entry Random(Random random, LogIndex index, Term term, long time)
    {
        int what = random.Next(12);
        if (what == 0)
            return new Entry(index, term, EntryKind.Empty, time, default);
        if (what == 1)
            return new Entry(index, term, EntryKind.Configuration, time, Configuration(random.Next(1, 6)).Encode());

        byte[] payload = new byte[what == 2 ? random.Next(20_000) : random.Next(300)];
        random.NextBytes(payload);
        return new Entry(index, term, EntryKind.Command, time, payload);
    }

    /// <summary>The content of a snapshot: other bytes for each seed.</summary>
    public static byte[] Content(int bytes, int seed)
    {
        byte[] content = new byte[bytes];
        new Random(seed).NextBytes(content);
        return content;
    }

    public static void Same(SnapshotDescriptor expected, SnapshotDescriptor actual)
    {
        Assert.Equal(expected with { Configuration = actual.Configuration }, actual);
        Assert.Equal(expected.Configuration.Encode(), actual.Configuration.Encode());
    }

    public static void Same(IReadOnlyList<Entry> expected, IReadOnlyList<Entry> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (int i = 0; i < expected.Count; i++)
            Same(expected[i], actual[i]);
    }

    public static void Same(Entry expected, Entry actual)
    {
        Assert.Equal((expected.Index, expected.Term, expected.Kind, expected.TimeMs), (actual.Index, actual.Term, actual.Kind, actual.TimeMs));
        Assert.True(expected.Payload.Span.SequenceEqual(actual.Payload.Span), $"The payload of {expected} came back changed: {actual}.");
    }
}
