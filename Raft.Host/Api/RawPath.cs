using System.Text.Unicode;
using Microsoft.AspNetCore.Http.Features;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Keys are the rest of the path as the client wrote it, percent-decoded once: the framework's own path has lost the
/// difference between '/' and '%2F', and "." segments.</summary>
internal static class RawPath
{
    /// <summary>The decoded bytes after <c>/v1/{resource}/</c> or <c>/v1/groups/{group}/{resource}/</c>.</summary>
    /// <exception cref="ProblemException">400: no key, or none that is allowed.</exception>
    public static byte[] KeyOf(HttpContext context, string resource)
    {
        string target = TargetOf(context);
        Span<byte> decoded = stackalloc byte[StoreCommands.KeyBytesMax + 1];
        if (!TryGetRest(target, resource, out ReadOnlySpan<char> rest))
            throw new ProblemException(Problems.BadRequest("bad-path", "The path must be written without '.' and '..' segments before the key."));
        if (!TryDecode(rest, decoded, out int length, out string? fault))
            throw new ProblemException(Problems.BadRequest("bad-key", fault));
        if (length is 0 or > StoreCommands.KeyBytesMax)
            throw new ProblemException(Problems.BadRequest("bad-key", $"The key has {(length == 0 ? "no" : "more than 1024")} bytes; allowed: 1 to {StoreCommands.KeyBytesMax} bytes of UTF-8."));
        if (!Utf8.IsValid(decoded[..length]))
            throw new ProblemException(Problems.BadRequest("bad-key", "The key is no valid UTF-8 after percent-decoding."));
        return decoded[..length].ToArray();
    }

    /// <summary>Whether the raw path ends with a slash: an empty key, and not the collection.</summary>
    public static bool EndsWithSlash(HttpContext context)
    {
        return PathOf(TargetOf(context)).EndsWith('/');
    }

    /// <summary>The request target as it stands in the request line.</summary>
    internal static string TargetOf(HttpContext context) => context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;

    /// <summary>The path of a request target, without the query; empty when it has none. Proxies send the absolute form. RFC 9112, 3.2</summary>
    internal static ReadOnlySpan<char> PathOf(ReadOnlySpan<char> target)
    {
        int query = target.IndexOf('?');
        if (query >= 0)
            target = target[..query];
        if (target.StartsWith('/'))
            return target;

        int scheme = target.IndexOf("://");
        int path = scheme < 0 ? -1 : target[(scheme + 3)..].IndexOf('/');
        return path < 0 ? default : target[(scheme + 3 + path)..];
    }

    internal static bool TryGetRest(ReadOnlySpan<char> target, string resource, out ReadOnlySpan<char> rest)
    {
        rest = default;
        target = PathOf(target);
        const string Groups = "/v1/groups/";
        if (target.StartsWith(Groups, StringComparison.OrdinalIgnoreCase))
        {
            int slash = target[Groups.Length..].IndexOf('/');
            if (slash < 0)
                return false;
            target = target[(Groups.Length + slash + 1)..];
        }
        else if (target.StartsWith("/v1/", StringComparison.OrdinalIgnoreCase))
        {
            target = target[4..];
        }
        else
        {
            return false;
        }

        if (!target.StartsWith(resource, StringComparison.OrdinalIgnoreCase))
            return false;
        if (target.Length == resource.Length)
            return true;        // the collection: no key
        if (target[resource.Length] != '/')
            return false;
        rest = target[(resource.Length + 1)..];
        return true;
    }

    /// <summary>Decodes each %XX once. Stops when the target is full: the caller sees a length over the limit.</summary>
    /// <param name="part">Named in the fault: the path or the query.</param>
    internal static bool TryDecode(
        ReadOnlySpan<char> text, Span<byte> target, out int length, [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out string? fault, string part = "path")
    {
        length = 0;
        fault = null;
        for (int i = 0; i < text.Length && length < target.Length; i++)
        {
            char c = text[i];
            if (c == '%')
            {
                if (i + 2 >= text.Length || !char.IsAsciiHexDigit(text[i + 1]) || !char.IsAsciiHexDigit(text[i + 2]))
                {
                    fault = $"A '%' in the {part} is not followed by two hexadecimal digits; write '%25' for the sign itself.";
                    return false;
                }

                target[length++] = byte.Parse(text.Slice(i + 1, 2), System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
                i += 2;
            }
            else if (char.IsAscii(c))
            {
                target[length++] = (byte)c;
            }
            else
            {
                fault = $"The {part} holds a character that is not ASCII; percent-encode it as UTF-8.";
                return false;
            }
        }

        return true;
    }
}
