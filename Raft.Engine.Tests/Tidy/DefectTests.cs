using System.Reflection;
using System.Text.RegularExpressions;

namespace Raft.Engine.Tests.Tidy;

/// <summary>The planted defects still fit the sources, and the scenario list names tests that exist. eng/defects/run plants them.</summary>
public sealed partial class DefectTests
{
    private static readonly string _root = RootOf(AppContext.BaseDirectory);

    public static TheoryData<string> Defects => [.. Directory.GetFiles(Path.Combine(_root, "eng", "defects"), "*.defect").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Defects))]
    public void A_defect_fits_its_source_once_and_its_test_says_so(string name)
    {
        Match defect = Form().Match(File.ReadAllText(Path.Combine(_root, "eng", "defects", name)));
        Assert.True(defect.Success, $"{name} has not the form that eng/defects/run describes");
        string source = File.ReadAllText(Path.Combine(_root, defect.Groups["source"].Value));
        Assert.Equal(2, source.Split(defect.Groups["old"].Value).Length);
        Assert.NotEqual(defect.Groups["old"].Value, defect.Groups["new"].Value);
        if (!defect.Groups["test"].Success)
        {
            Assert.True(defect.Groups["seeds"].Success, $"{name} names neither a test nor a number of seeds");
            return;
        }

        string test = defect.Groups["test"].Value;
        (string type, string method) = (test[..test.LastIndexOf('.')], test[(test.LastIndexOf('.') + 1)..]);
        MethodInfo? found = typeof(DefectTests).Assembly.GetType(type)?.GetMethod(method);
        Assert.True(found?.GetCustomAttribute<FactAttribute>() is not null, $"{name} names a test that is not there: {test}");
        Assert.Contains($"eng/defects/{name}", SourceOf("Raft.Engine.Tests", type[(type.LastIndexOf('.') + 1)..]), StringComparison.Ordinal);
    }

    [Fact]
    public void Each_of_the_thirty_checks_has_a_defect()
    {
        int[] numbers = [.. Directory.GetFiles(Path.Combine(_root, "eng", "defects"), "*.defect")
            .Select(file => int.TryParse(Path.GetFileName(file)[..2], out int number) ? number : 0).Where(number => number > 0).Distinct().Order()];
        Assert.Equal(Enumerable.Range(1, 30), numbers);
    }

    [Fact]
    public void Every_scenario_has_a_test_that_exists_or_a_reason()
    {
        Assert.DoesNotContain("**none**", File.ReadAllText(Path.Combine(_root, "docs", "testing.md")), StringComparison.Ordinal);
        foreach (string line in File.ReadLines(Path.Combine(_root, "eng", "scenarios.txt")).Where(line => !line.StartsWith('#') && line.Contains(" : ", StringComparison.Ordinal)))
        {
            foreach (string test in line[(line.IndexOf(" : ", StringComparison.Ordinal) + 3)..].Split(", "))
            {
                string[] parts = test.Split('.');
                string all = string.Concat(new[] { "Raft.Engine.Tests", "Raft.Api.Tests", "Raft.Engine.Contracts" }.Select(project => SourceOf(project, parts[0])));
                Assert.True(all.Contains($" {parts[1]}(", StringComparison.Ordinal), $"{line}: there is no {test}");
            }
        }
    }

    /// <summary>Classes of this name in all folders of a project; two folders may have one each.</summary>
    private static string SourceOf(string project, string type) =>
        string.Concat(Directory.GetFiles(Path.Combine(_root, project), $"{type}.cs", SearchOption.AllDirectories).Select(File.ReadAllText));

    private static string RootOf(string directory)
    {
        while (!File.Exists(Path.Combine(directory, "RaftHost.sln")))
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return directory;
    }

    [GeneratedRegex(@"\Abreaks: *(?<breaks>[^\n]+)\nsource: *(?<source>[^\n]+)\n(test: *(?<test>[^\n]+)\n)?(seeds: *(?<seeds>[0-9]+)\n(options: *(?<options>--[^\n]+)\n)?)?--- replace\n(?<old>.+?\n)--- with\n(?<new>.*)\z", RegexOptions.Singleline)]
    private static partial Regex Form();
}
