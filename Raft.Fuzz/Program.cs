using System.Diagnostics;
using System.Globalization;
using Raft.Fuzz;

string? Option(string name)
{
    int at = Array.IndexOf(args, name);
    return at >= 0 && at + 1 < args.Length ? args[at + 1] : null;
}

bool isGuided = args.Contains("--guided");
string[] names = args.Contains("--all") ? [.. TargetTable.Names] : Option("--target") is { } some ? some.Split(',') : [];
if (names.Length == 0 || names.Except(TargetTable.Names).Any())
{
    Console.Error.WriteLine(
        $"Raft.Fuzz (--target NAME[,NAME] | --all) [--inputs N] [--seed S] [--guided] [--corpus DIRECTORY] [--keep N] [--input FILE]{Environment.NewLine}targets: {string.Join(", ", TargetTable.Names)}");
    return ExitCode.Usage;
}

if (Instrumentation.CurrentPath is not { } currentPath)
    return Instrumentation.Run(args, isGuided);
if (isGuided)
    BranchNovelty.Prepare();

long inputs = long.Parse(Option("--inputs") ?? "100000", CultureInfo.InvariantCulture);
int seed = int.Parse(Option("--seed") ?? "1", CultureInfo.InvariantCulture);
string corpus = Option("--corpus") ?? Corpus.Default;
int keep = int.Parse(Option("--keep") ?? "0", CultureInfo.InvariantCulture);
byte[]? only = Option("--input") is { } file ? File.ReadAllBytes(file) : null;

int failures = 0;
Console.WriteLine("| target | inputs | accepted | refused | time | slowest | reached |");
Console.WriteLine("|---|---|---|---|---|---|---|");
foreach (string name in names)
{
    using FuzzTarget target = TargetTable.Create(name);
    using var current = CurrentInput.Open(currentPath, name);
    Novelty novelty = isGuided && target.IsOnOneThread ? new BranchNovelty() : new OutcomeNovelty();
    var fuzzer = new Fuzzer(target, seed, novelty, only is null ? Corpus.Read(corpus, name) : [only]) { Before = current.Set, Mode = isGuided ? " --guided" : "" };
    var watch = Stopwatch.StartNew();
    try
    {
        fuzzer.Run(only is null ? inputs : 0);
    }
    catch (FuzzFailureException failure)
    {
        failures++;
        Console.Error.WriteLine($"{failure.Message}{Environment.NewLine}{failure.InnerException}");
        if (failure.IsHang)
            Environment.Exit(ExitCode.Failures);    // its thread may hold what the target's end waits for
    }

    // The smaller ones: what made them new is easier to see there, and the corpus stays small.
    foreach (byte[] input in fuzzer.Found.Where(input => input.Length <= 600).TakeLast(keep))
        Corpus.Keep(corpus, name, input);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {name} | {fuzzer.Tried} | {fuzzer.Accepted} | {fuzzer.Refused} | {watch.Elapsed.TotalSeconds:0.0} s | {fuzzer.Slowest.TotalMilliseconds:0.0} ms | {novelty.Reached} |"));
}

return failures == 0 ? ExitCode.Good : ExitCode.Failures;
