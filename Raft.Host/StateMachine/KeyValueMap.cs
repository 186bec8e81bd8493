namespace Raft.Host.StateMachine;

/// <summary>A key with its value, as of one revision. Immutable.</summary>
/// <param name="Revision">The Raft index of the write.</param>
public sealed record KeyValue(byte[] Key, byte[] Value, string? ContentType, long Revision)
{
    internal UInt128 Hash { get; init; }
}

/// <summary>Keys in the ordinal order of their UTF-8 bytes. Not thread-safe.</summary>
internal sealed class KeyValueMap
{
    /// <summary>Memory of one key beside its bytes and those of its value: the record, two array headers, its places in the dictionary
    /// and in the order.</summary>
    internal const int OverheadBytes = 256;

    private static readonly Comparer<byte[]> _byBytes = Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b));

    private readonly Dictionary<byte[], KeyValue> _values = new(ByteKeys.Comparer);
    private readonly Dictionary<byte[], KeyValue>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private readonly SortedSet<byte[]> _order;
    private KeyValueWalk? _walk;

    public KeyValueMap()
    {
        _order = new SortedSet<byte[]>(_byBytes);
        _lookup = _values.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    /// <summary>A map of these, in whatever order they come.</summary>
    /// <exception cref="InvalidDataException">Two have the same key.</exception>
    public KeyValueMap(IReadOnlyCollection<KeyValue> items)
        : this()
    {
        _values.EnsureCapacity(items.Count);
        foreach (KeyValue item in items)
        {
            if (!_values.TryAdd(item.Key, item))
                throw new InvalidDataException($"The key {Convert.ToHexString(item.Key)} is there twice.");
            HashSum += item.Hash;
            Bytes += item.Key.Length + item.Value.Length;
        }

        _order = new SortedSet<byte[]>(_values.Keys, _byBytes);
    }

    public int Count => _values.Count;

    /// <summary>Bytes of all keys and values.</summary>
    public long Bytes { get; private set; }

    /// <summary>Memory that the map takes.</summary>
    public long MemoryBytes => Bytes + ((long)Count * OverheadBytes);

    /// <summary>Sum of the hashes of all keys with their values and revisions.</summary>
    public UInt128 HashSum { get; private set; }

    public KeyValue? Find(ReadOnlySpan<byte> key) => _lookup.TryGetValue(key, out KeyValue? found) ? found : null;

    /// <summary>Writes a copy of the value: the entry's own bytes may be part of a larger buffer.</summary>
    public void Put(KeyValue? existing, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, string? contentType, long revision)
    {
        byte[] ownKey = existing?.Key ?? key.ToArray();
        var written = new KeyValue(ownKey, value.ToArray(), contentType, revision) { Hash = StateHash.OfKeyValue(key, value, contentType, revision) };
        if (existing is null)
        {
            _order.Add(ownKey);
            Bytes += key.Length;
        }
        else
        {
            _walk?.Keep(existing);
            HashSum -= existing.Hash;
            Bytes -= existing.Value.Length;
        }

        HashSum += written.Hash;
        Bytes += value.Length;
        _values[ownKey] = written;
    }

    public void Delete(KeyValue existing)
    {
        _walk?.Keep(existing);
        _values.Remove(existing.Key);
        _order.Remove(existing.Key);
        HashSum -= existing.Hash;
        Bytes -= existing.Key.Length + existing.Value.Length;
    }

    /// <summary>Up to <paramref name="limit"/> keys that begin with the prefix, those after <paramref name="after"/>.</summary>
    /// <param name="isCut">There are more.</param>
    public List<KeyValue> Range(byte[] prefix, byte[] after, int limit, long maxBytes, out bool isCut)
    {
        isCut = false;
        List<KeyValue> found = [];
        byte[] from = after.AsSpan().SequenceCompareTo(prefix) > 0 ? after : prefix;
        if (_order.Max is not { } last || from.AsSpan().SequenceCompareTo(last) > 0)
            return found;

        long bytes = 0;
        foreach (byte[] key in _order.GetViewBetween(from, last))
        {
            if (!key.AsSpan().StartsWith(prefix))
                break;
            if (after.Length > 0 && key.AsSpan().SequenceEqual(after))
                continue;

            KeyValue item = _values[key];
            bytes += item.Key.Length + item.Value.Length;
            if (found.Count == limit || (found.Count > 0 && bytes > maxBytes))
            {
                isCut = true;
                break;
            }

            found.Add(item);
        }

        return found;
    }

    /// <summary>What has a key after this one, in order; null: everything.</summary>
    public IEnumerable<KeyValue> After(byte[]? key)
    {
        if (_order.Max is not { } last || (key is not null && key.AsSpan().SequenceCompareTo(last) >= 0))
            yield break;

        foreach (byte[] next in key is null ? _order : _order.GetViewBetween(key, last))
        {
            if (key is null || !next.AsSpan().SequenceEqual(key))
                yield return _values[next];
        }
    }

    /// <summary>Begins a walk over what is there now; one at a time.</summary>
    /// <param name="revision">The highest that there is.</param>
    public KeyValueWalk BeginWalk(long revision)
    {
        if (_walk is not null)
            throw new InvalidOperationException("A walk is under way already.");
        return _walk = new KeyValueWalk(this, revision);
    }

    public void End(KeyValueWalk walk)
    {
        if (_walk == walk)
            _walk = null;
    }

    /// <summary>The sum once more from nothing, for tests.</summary>
    internal UInt128 RecomputeHashSum()
    {
        UInt128 sum = 0;
        foreach (KeyValue item in _values.Values)
            sum += StateHash.OfKeyValue(item.Key, item.Value, item.ContentType, item.Revision);
        return sum;
    }
}
