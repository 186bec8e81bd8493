using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

public sealed class HistoriesFileTests
{
    [Fact]
    public void Every_event_comes_back_as_it_was()
    {
        History history = new HistoriesStory()
            .Did("a", 1, 2, new PutKey("k", "1", KeyCondition.Is(5), "r"), new Refused(6, 7))
            .Did("a", 3, 4, new PutKey("k", "1\n\"ü", KeyCondition.Absent), new Written(8, true))
            .Did("b", 3, 4, new GetKey("k"), new Found("1\n\"ü", 8))
            .Did("b", 3, 4, new GetKey("m"), new Missing())
            .Did("b", 3, 4, new DeleteKey("k", KeyCondition.IsNot(9), "s"), new Removed(10))
            .Did("b", 3, 4, new ListKeys("k"), new Listed([new ListedKey("k", "v", 3)]))
            .Did("c", 5, 6, new AppendEntry("x", "t"), new Appended(1, 11))
            .Did("c", 5, 6, new ReadEntries(1, 10), new EntriesRead(1, ["x"], 1))
            .Maybe("d", 7, new DeleteKey("k", KeyCondition.Exists))
            .Never("d", 9, new AppendEntry("y")).History;

        string text = Saved(history);
        History loaded = HistoryFile.Load(new StringReader(text));

        Assert.Equal(history.Events.Count, text.Count(c => c == '\n'));
        Assert.Equal(text, Saved(loaded));
        Assert.Equal(history.Events.Select(one => (one.Kind, one.Id, one.Time, one.Client, one.Operation)), loaded.Events.Select(one => (one.Kind, one.Id, one.Time, one.Client, one.Operation)));
        Assert.Equal(history.Events.Select(one => one.Outcome?.ToString()), loaded.Events.Select(one => one.Outcome?.ToString()));
    }

    [Fact]
    public void A_last_line_that_is_cut_off_is_left_out()
    {
        string text = Saved(new HistoriesStory().Did("a", 1, 2, new AppendEntry("x"), new Appended(1)).History);

        History loaded = HistoryFile.Load(new StringReader(text[..^5]));

        Assert.Equal(EventKind.Invoked, Assert.Single(loaded.Events).Kind);
    }

    [Theory]
    [InlineData("{\"kind\":\"Completed\",\"id\":0,\"time\":1,\"outcome\":{\"kind\":\"missing\"}}", 2)]
    [InlineData("{\"kind\":\"Unknown\",\"id\":7,\"time\":1}", 2)]
    [InlineData("{\"kind\":\"Invoked\",\"id\":7,\"time\":1,\"client\":\"a\",\"operation\":{\"kind\":\"get\",\"key\":\"k\"}}", 2)]
    [InlineData("{\"kind\":\"Invoked\",\"id\":1,\"time\":1}", 2)]
    [InlineData("no json\n{}", 2)]
    public void A_line_that_cannot_be_is_named(string line, int number)
    {
        string text = $$$"""{"kind":"Invoked","id":0,"time":0,"client":"a","operation":{"kind":"append","value":"x"}}{{{'\n'}}}{{{line}}}{{{'\n'}}}""";

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => HistoryFile.Load(new StringReader(text)));
        Assert.StartsWith($"Line {number} ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_operation_ends_once_and_with_an_answer_of_its_kind()
    {
        var history = new History();
        int get = history.Invoke("a", new GetKey("k"), 1);
        Assert.Throws<ArgumentException>(() => history.Complete(get, new Appended(1), 2));
        history.Complete(get, new Missing(), 2);
        Assert.Throws<InvalidOperationException>(() => history.Unknown(get, 3));
        history.Invoke("a", new AppendEntry("x", "r"), 4);
        Assert.Throws<ArgumentException>(() => history.Invoke("a", new AppendEntry("y", "r"), 4));
    }

    private static string Saved(History history)
    {
        using var writer = new StringWriter();
        HistoryFile.Save(history, writer);
        return writer.ToString();
    }
}
