using System.Reflection;

namespace Raft.Host.Api;

/// <summary>What the <c>type</c> of every problem points at: docs/problems.md, as this release has it.</summary>
internal static class ProblemsPage
{
    private static readonly Lazy<byte[]> Text = new(Read);

    public static Task GetAsync(HttpContext context) => Answers.WriteBytesAsync(context, StatusCodes.Status200OK, "text/plain; charset=utf-8", Text.Value);

    private static byte[] Read()
    {
        using Stream page = Assembly.GetExecutingAssembly().GetManifestResourceStream("problems.md")
            ?? throw new InvalidOperationException("docs/problems.md is not embedded.");
        byte[] text = new byte[page.Length];
        page.ReadExactly(text);
        return text;
    }
}
