using System.Text;

namespace Raft.Host.StateMachine;

/// <summary>Few types in use share their strings; a flood of others is not remembered. Not thread-safe.</summary>
internal sealed class ContentTypes
{
    private const int RememberedMax = 256;

    private readonly Dictionary<byte[], string> _known = new(ByteKeys.Comparer);

    /// <summary>Null when there are no bytes.</summary>
    public string? Of(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return null;
        if (_known.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(bytes, out string? known))
            return known;

        string text = Encoding.ASCII.GetString(bytes);
        if (_known.Count < RememberedMax)
            _known.Add(bytes.ToArray(), text);
        return text;
    }
}
