using Raft.Fuzz;

namespace Raft.Api.Tests.Fuzzing;

/// <summary>Every target of Raft.Fuzz: the inputs that are kept, and a few new ones from a fixed seed.</summary>
public sealed class FuzzTests
{
    public static TheoryData<string> Names => [.. TargetTable.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void No_input_brings_about_anything_but_an_answer_or_a_refusal(string name)
    {
        using FuzzTarget target = TargetTable.Create(name);
        var fuzzer = new Fuzzer(target, seed: 1, new OutcomeNovelty(), Corpus.Read(Corpus.Default, name));

        fuzzer.Run(target.InputsInTests);

        Assert.True(fuzzer.Refused > 0);
    }

    [Fact]
    public void The_corpus_has_no_directory_without_a_target() => Assert.Equal(
        TargetTable.Names, Directory.GetDirectories(Corpus.Default).Select(directory => Path.GetFileName(directory)!).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData(1, "FormatException")]
    [InlineData(2, "allocated")]
    [InlineData(3, "did not end")]
    public void What_throws_allocates_too_much_or_does_not_end_is_kept_and_can_be_repeated(byte input, string what)
    {
        using var target = new BrokenTarget();
        var fuzzer = new Fuzzer(target, seed: 1, new OutcomeNovelty(), [[4], [input]]) { HangAfter = TimeSpan.FromSeconds(2) };

        FuzzFailureException failure = Assert.Throws<FuzzFailureException>(() => fuzzer.Run(inputs: 0));

        Assert.Contains(what, failure.Message, StringComparison.Ordinal);
        Assert.Equal(1, fuzzer.Accepted);
        string path = failure.Message.Split("--input ")[1].Split('\n', '\r')[0];
        Assert.Equal([input], File.ReadAllBytes(path));
        File.Delete(path);
    }

    [Fact]
    public void What_does_not_come_back_from_its_own_bytes_is_a_failure()
    {
        using var target = new BrokenTarget();

        FuzzFailureException failure = Assert.Throws<FuzzFailureException>(() => new Fuzzer(target, seed: 1, new OutcomeNovelty(), [[5]]).Run(inputs: 0));

        Assert.Contains("comes back", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_input_under_way_outlives_its_process()
    {
        string path = Path.GetTempFileName();
        using (CurrentInput current = CurrentInput.Open(path, "frames"))
        {
            Assert.Null(CurrentInput.Read(path));
            current.Set([1, 2, 3]);
            current.Set([4, 5]);
        }

        (string target, byte[] input) = CurrentInput.Read(path)!.Value;
        Assert.Equal("frames", target);
        Assert.Equal([4, 5], input);
        File.Delete(path);
    }

    [Fact]
    public void The_same_seed_gives_the_same_inputs()
    {
        Assert.Equal(Inputs(seed: 5), Inputs(seed: 5));
        Assert.NotEqual(Inputs(seed: 5), Inputs(seed: 6));

        static IEnumerable<string> Inputs(int seed)
        {
            var mutator = new Mutator(new Random(seed), [[1, 2, 3]]);
            return Enumerable.Range(0, 50).Select(_ => Convert.ToHexString(mutator.Mutate([1, 2, 3, 4], [5, 6, 7]))).ToList();
        }
    }

    private sealed class BrokenTarget : FuzzTarget
    {
        private readonly ManualResetEventSlim _end = new();

        public override string Name => "broken";

        public override IEnumerable<byte[]> Seeds() => [];

        public override string Run(byte[] input)
        {
            switch (input[0])
            {
                case 1:
                    throw new FormatException();
                case 2:
                    GC.KeepAlive(new byte[16 << 20]);
                    break;
                case 3:
                    _end.Wait();
                    break;
                case 5:
                    ComesBack(input[0], number => [number], bytes => (byte)(bytes[0] + 1));
                    break;
                default:
                    break;
            }

            return Accepted;
        }

        public override void Dispose()
        {
            _end.Set();
            base.Dispose();
        }
    }
}
