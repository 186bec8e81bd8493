using System.Text;
using Raft.Host.Api;

namespace Raft.Api.Tests.Rest.Unit;

public sealed class RequestTests
{
    [Theory]
    [InlineData("/v1/kv/a/b?x=/y", "a/b")]
    [InlineData("/v1/groups/g%20h/kv/a%2Fb", "a%2Fb")]
    [InlineData("http://host:1/v1/kv/a", "a")]
    [InlineData("/V1/KV/a/./b", "a/./b")]
    [InlineData("/v1/kv/", "")]
    [InlineData("/v1/kv", "")]
    [InlineData("/v1/groups/g/kv?x=/y", "")]
    [InlineData("/v1/x/../kv/a", null)]
    [InlineData("/v1/kvx/a", null)]
    public void The_rest_of_the_raw_path_is_found(string target, string? rest)
    {
        Assert.Equal(rest is not null, RawPath.TryGetRest(target, "kv", out ReadOnlySpan<char> found));
        Assert.Equal(rest ?? "", found.ToString());
    }

    [Theory]
    [InlineData("/v1/kv/a", "/v1/kv/a", true)]
    [InlineData("/v1/kv/a%2Fb%20c", "/v1/kv/a%2Fb c", true)]
    [InlineData("/v1/kv/a/./b", "/v1/kv/a/b", true)]
    [InlineData("/v1/kv/a/../b?x=/../y", "/v1/kv/b", true)]
    [InlineData("/v1/kv/a%2F..%2F..%2Fb", "/v1/kv/a%2F..%2F..%2Fb", true)]
    [InlineData("/v1/kv/", "/v1/kv/", true)]
    [InlineData("/v1/kv//", "/v1/kv//", true)]
    [InlineData("/v1/groups/%67/kv/a", "/v1/groups/g/kv/a", true)]
    [InlineData("http://host:1/v1/kv/a%20b", "/v1/kv/a b", true)]
    [InlineData("http://host:1", "/", true)]
    [InlineData("*", "", true)]
    [InlineData("/v1/kv/.", "/v1/kv/", false)]
    [InlineData("/v1/kv/%2e", "/v1/kv/", false)]
    [InlineData("/v1/kv/a/..", "/v1/kv/", false)]
    [InlineData("/v1/kv/%2e%2e/drain", "/v1/drain", false)]
    [InlineData("/v1/kv/x/%2E./../drain", "/v1/drain", false)]
    [InlineData("/v1/groups/default/kv/../../B/kv/x", "/v1/groups/B/kv/x", false)]
    [InlineData("/v1/groups/./kv/x", "/v1/groups/kv/x", false)]
    [InlineData("/v1/members/n1/../n2", "/v1/members/n2", false)]
    [InlineData("/v1/idempotency/..", "/v1/", false)]
    [InlineData("/swagger/../v1/drain", "/v1/drain", false)]
    [InlineData("/v1/./drain", "/v1/drain", false)]
    [InlineData("http://host/v1/groups/a%2Fkv%2Fb", "/v1/groups/a/kv/b", false)]
    [InlineData("http://host/v1\\drain", "/v1/drain", false)]
    public void The_raw_path_must_name_what_the_routed_path_names(string target, string routed, bool agrees) =>
        Assert.Equal(agrees, RoutedPath.FaultOf(target, routed) is null);

    [Theory]
    [InlineData("\"\\ud800\"", true)]
    [InlineData("\"\\udc00\\ud800\"", true)]
    [InlineData("{\"a\":[\"x\\uD83D\"]}", true)]
    [InlineData("\"\\ud83d\\ude00 \\n\\\\ud800\"", false)]
    [InlineData("\"\\u0041\"", false)]
    [InlineData("1", false)]
    public void Half_of_a_surrogate_pair_is_found(string json, bool isLone) =>
        Assert.Equal(isLone, JsonLines.HasLoneSurrogate(Encoding.UTF8.GetBytes(json)));

    [Theory]
    [InlineData("a%2Fb+c%252F", "a/b+c%2F")]
    [InlineData("%c3%A4", "ä")]
    [InlineData("%zz", null)]
    [InlineData("%4", null)]
    [InlineData("ä", null)]
    public void A_path_is_decoded_once(string text, string? decoded)
    {
        byte[] target = new byte[100];
        Assert.Equal(decoded is not null, RawPath.TryDecode(text, target, out int length, out _));
        if (decoded is not null)
            Assert.Equal(decoded, Encoding.UTF8.GetString(target, 0, length));
    }

    [Theory]
    [InlineData("\"5\"", new long[] { 5 })]
    [InlineData("\"5\", \"77\" ,\"abc\"", new long[] { 5, 77, -1 })]
    [InlineData("W/\"5\"", new long[] { -1 })]
    [InlineData("\"05\"", new long[] { -1 })]
    [InlineData("5", null)]
    [InlineData("\"5", null)]
    [InlineData("\"5\" \"6\"", null)]
    [InlineData("\"5\",", new long[] { 5 })]
    [InlineData(", ,\"5\",, \"6\" ,", new long[] { 5, 6 })]
    [InlineData(", ,", null)]
    [InlineData("W/", null)]
    [InlineData("", null)]
    public void Entity_tags_are_revisions_or_match_nothing(string text, long[]? revisions)
    {
        Assert.Equal(revisions is not null, RequestHeaders.TryParseTags(text, weakMatches: false, out long[] found));
        Assert.Equal(revisions ?? [], found);
    }

    [Theory]
    [InlineData("text/plain", true)]
    [InlineData("application/vnd.mine+json; charset=utf-8", true)]
    [InlineData("multipart/mixed; boundary=\"a b\\\"\" ; x=y", true)]
    [InlineData("text/csv;;;", false)]
    [InlineData("nonsense", false)]
    [InlineData("a/b; c", false)]
    [InlineData("a/b c/d", false)]
    [InlineData("/b", false)]
    public void A_content_type_is_checked(string text, bool valid) => Assert.Equal(valid, RequestHeaders.IsMediaType(text));

    [Theory]
    [InlineData("1\n2\n", 0)]
    [InlineData("1\r\n2\n\n", 0)]
    [InlineData("1\n\n2", 2)]
    [InlineData("1\n{\"a\":}\n", 2)]
    [InlineData("1 2", 1)]
    [InlineData("\u00ef\u00bb\u00bf1", 1)]
    public void A_broken_line_is_named(string batch, int brokenLine)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(batch);
        if (brokenLine == 0)
        {
            JsonLines.Check(bytes);
            return;
        }

        Problem problem = Assert.Throws<ProblemException>(() => JsonLines.Check(bytes)).Problem;
        Assert.Equal((400, ("line", (long)brokenLine)), (problem.Status, problem.Number!.Value));
    }

    [Fact]
    public void Invalid_utf8_in_a_line_is_an_error_with_its_line()
    {
        byte[] bytes = [.. "1\n\""u8, 0xff, .. "\"\n"u8];
        Assert.Contains("Line 2", Assert.Throws<ProblemException>(() => JsonLines.Check(bytes)).Problem.Detail, StringComparison.Ordinal);
    }
}
