using System.Text.RegularExpressions;

namespace Raft.Api.Tests.Rest.Unit;

/// <summary>Every problem that the code names has its line on the page that its type points at.</summary>
public sealed partial class ProblemsPageTests
{
    [Fact]
    public void Every_type_of_problem_is_explained()
    {
        string root = Repository();
        string page = File.ReadAllText(Path.Combine(root, "docs/problems.md"));
        string[] names = [.. Directory.GetFiles(Path.Combine(root, "Raft.Host/Api"), "*.cs")
            .SelectMany(file => NamedProblem().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["name"].Value)
            .Distinct()];

        Assert.Contains("outcome-unknown", names);
        Assert.All(names, name => Assert.Contains($"| `{name}` |", page));
    }

    // new Problem(404, "name", ...), new(404, "name", ...), BadRequest("name", ...), Unavailable("name", ...)
    [GeneratedRegex("""(?:\(\d{3}, |BadRequest\(|Unavailable\()"(?<name>[a-z-]+)",""")]
    private static partial Regex NamedProblem();

    private static string Repository()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "RaftHost.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException($"No RaftHost.sln above {AppContext.BaseDirectory}.");
    }
}
