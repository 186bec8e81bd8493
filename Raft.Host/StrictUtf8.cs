using System.Text;

namespace Raft.Host;

/// <summary>Names as bytes. Bytes that are no UTF-8 are no name: replaced by U+FFFD they would be another name, and a longer one.</summary>
internal static class StrictUtf8
{
    private static readonly UTF8Encoding _encoding = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="InvalidDataException">No UTF-8.</exception>
    public static string Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return _encoding.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new InvalidDataException("A name is not UTF-8.");
        }
    }
}
