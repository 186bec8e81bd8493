using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Primitives;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>What a request says of itself in its headers, checked.</summary>
internal static class RequestHeaders
{
    private const string TokenSigns = "!#$%&'*+-.^_`|~";
    private static readonly ConcurrentDictionary<string, bool> KnownTypes = new(StringComparer.Ordinal);

    /// <summary>The content type as written; null when there is none.</summary>
    /// <exception cref="ProblemException">415: it is none.</exception>
    public static string? ContentType(HttpRequest request)
    {
        string? type = request.ContentType;
        if (string.IsNullOrEmpty(type))
            return null;
        if (KnownTypes.ContainsKey(type))
            return type;
        if (type.Length > StoreCommands.ContentTypeBytesMax || !IsMediaType(type))
            throw new ProblemException(Problems.UnsupportedType($"'{Shown(type)}' is no content type: type/subtype, then parameters; at most {StoreCommands.ContentTypeBytesMax} ASCII characters."));
        if (KnownTypes.Count < 256)
            KnownTypes.TryAdd(type, true);
        return type;
    }

    /// <summary>Whether the type, without its parameters, is this one.</summary>
    public static bool IsType(string? contentType, string wanted)
    {
        if (contentType is null)
            return false;
        ReadOnlySpan<char> type = contentType;
        int parameters = type.IndexOf(';');
        return (parameters < 0 ? type : type[..parameters]).Trim().Equals(wanted, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>application/json and everything +json.</summary>
    public static bool IsJson(string? contentType)
    {
        if (contentType is null)
            return false;
        ReadOnlySpan<char> type = contentType;
        int parameters = type.IndexOf(';');
        type = (parameters < 0 ? type : type[..parameters]).Trim();
        return type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The idempotency key; null when there is none.</summary>
    /// <exception cref="ProblemException">400: it is none.</exception>
    public static string? IdempotencyKey(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Idempotency-Key", out StringValues values))
            return null;

        string key = values.Count == 1 ? values[0] ?? "" : "";
        return IsIdempotencyKey(key) ? key : throw new ProblemException(Problems.BadRequest("bad-idempotency-key",
            values.Count == 1 ? $"Idempotency-Key is '{Shown(key)}'; allowed: 1 to 255 visible ASCII characters." : "Idempotency-Key is given more than once."));
    }

    public static bool IsIdempotencyKey(string key) => key.Length is > 0 and <= StoreCommands.IdempotencyKeyBytesMax && !key.AsSpan().ContainsAnyExceptInRange('!', '~');

    /// <summary>If-Match and If-None-Match as a precondition of a write.</summary>
    /// <exception cref="ProblemException">400: not to be understood.</exception>
    public static Precondition Precondition(HttpRequest request)
    {
        (Precondition match, Precondition noneMatch) = ReadConditions(request);
        if (match.Kind != PreconditionKind.None && noneMatch.Kind != PreconditionKind.None)
            throw new ProblemException(Problems.BadRequest("bad-precondition", "A write takes If-Match or If-None-Match, not both."));
        return match.Kind != PreconditionKind.None ? match : noneMatch;
    }

    /// <summary>The conditions of a read: If-Match is evaluated first (412), then If-None-Match (304). RFC 9110, 13.2.2</summary>
    /// <exception cref="ProblemException">400: not to be understood.</exception>
    public static (Precondition Match, Precondition NoneMatch) ReadConditions(HttpRequest request)
    {
        StringValues match = request.Headers.IfMatch, noneMatch = request.Headers.IfNoneMatch;
        return (
            match.Count == 0 ? StateMachine.Precondition.None : Parse(match, "If-Match", PreconditionKind.Exists, PreconditionKind.Matches, weakMatches: false),
            noneMatch.Count == 0 ? StateMachine.Precondition.None : Parse(noneMatch, "If-None-Match", PreconditionKind.Absent, PreconditionKind.MatchesNot, weakMatches: true));
    }

    private static Precondition Parse(StringValues values, string header, PreconditionKind any, PreconditionKind listed, bool weakMatches)
    {
        string text = values.ToString();
        if (text.Trim() == "*")
            return new Precondition(any, []);
        if (!TryParseTags(text, weakMatches, out long[] revisions))
            throw new ProblemException(Problems.BadRequest("bad-precondition", $"{header} is '{Shown(text)}'; allowed: '*', or up to {StateMachine.Precondition.RevisionsMax} entity tags in quotes, as ETag gives them."));
        return new Precondition(listed, revisions);
    }

    /// <summary>A list of entity tags; empty elements of it are ignored (RFC 9110, 5.6.1), but it must have one that is not. A tag that is no revision, or a weak one where that must not match, is -1: no revision has it. RFC 9110, 8.8.3</summary>
    internal static bool TryParseTags(ReadOnlySpan<char> text, bool weakMatches, out long[] revisions)
    {
        List<long> found = [];
        revisions = [];
        while (true)
        {
            text = text.TrimStart(", \t");
            if (text.IsEmpty && found.Count > 0)
                break;
            bool isWeak = text.StartsWith("W/", StringComparison.Ordinal);
            if (isWeak)
                text = text[2..];
            if (!text.StartsWith('"'))
                return false;
            int end = text[1..].IndexOf('"');
            if (end < 0 || found.Count == StateMachine.Precondition.RevisionsMax)
                return false;

            ReadOnlySpan<char> tag = text.Slice(1, end);
            bool isRevision = long.TryParse(tag, NumberStyles.None, CultureInfo.InvariantCulture, out long revision) && tag[0] != '0';
            found.Add(isRevision && (weakMatches || !isWeak) ? revision : -1);
            text = text[(end + 2)..].TrimStart(" \t");
            if (text.IsEmpty)
                break;
            if (text[0] != ',')
                return false;
            text = text[1..];
        }

        revisions = [.. found];
        return true;
    }

    /// <summary>type "/" subtype, then parameters with token or quoted values; all ASCII. RFC 9110, 8.3.1</summary>
    internal static bool IsMediaType(ReadOnlySpan<char> text)
    {
        if (!TryToken(ref text) || !TrySign(ref text, '/') || !TryToken(ref text))
            return false;
        while (true)
        {
            text = text.TrimStart(" \t");
            if (text.IsEmpty)
                return true;
            if (!TrySign(ref text, ';'))
                return false;
            text = text.TrimStart(" \t");
            if (!TryToken(ref text) || !TrySign(ref text, '=') || !(TryToken(ref text) || TryQuoted(ref text)))
                return false;
        }

        static bool TrySign(ref ReadOnlySpan<char> text, char sign)
        {
            if (!text.StartsWith(sign))
                return false;
            text = text[1..];
            return true;
        }

        static bool TryToken(ref ReadOnlySpan<char> text)
        {
            int length = 0;
            while (length < text.Length && (char.IsAsciiLetterOrDigit(text[length]) || TokenSigns.Contains(text[length], StringComparison.Ordinal)))
                length++;
            text = text[length..];
            return length > 0;
        }

        static bool TryQuoted(ref ReadOnlySpan<char> text)
        {
            if (!text.StartsWith('"'))
                return false;
            for (int i = 1; i < text.Length; i++)
            {
                if (text[i] is < ' ' or > '~')
                    return false;
                if (text[i] == '\\')
                    i++;
                else if (text[i] == '"')
                {
                    text = text[(i + 1)..];
                    return true;
                }
            }

            return false;
        }
    }

    private static string Shown(string text) => text.Length <= 80 ? text : string.Concat(text.AsSpan(0, 80), "...");
}
