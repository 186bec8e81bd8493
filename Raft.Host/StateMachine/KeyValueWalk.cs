namespace Raft.Host.StateMachine;

/// <summary>Goes through a map as it was when the walk began, slice by slice, while the map changes. Not thread-safe.</summary>
/// <remarks>
/// What the map holds at a key with a revision of the walk's moment or older has not changed since. Whatever is newer has,
/// and the map hands over what it overwrites or removes (<see cref="Keep"/>): if the walk has not come there yet, and it is
/// not newer itself, it is kept for the next slice. So each key of the moment comes exactly once, though not all of them in
/// order, and a change costs one comparison of keys.
/// </remarks>
internal sealed class KeyValueWalk(KeyValueMap map, long revision)
{
    private readonly List<KeyValue> _kept = [];
    private byte[]? _cursor;        // the last key that was visited
    private bool _isAtEnd;

    /// <summary>What is about to be overwritten or removed.</summary>
    public void Keep(KeyValue old)
    {
        if (old.Revision <= revision && !_isAtEnd && (_cursor is null || old.Key.AsSpan().SequenceCompareTo(_cursor) > 0))
            _kept.Add(old);
    }

    /// <summary>Visits up to <paramref name="count"/> keys and adds what belongs to the moment; false when that was all.</summary>
    public bool Next(List<KeyValue> slice, int count)
    {
        slice.AddRange(_kept);
        _kept.Clear();
        if (_isAtEnd)
            return false;

        foreach (KeyValue item in map.After(_cursor))
        {
            if (count-- == 0)
                return true;
            if (item.Revision <= revision)
                slice.Add(item);
            _cursor = item.Key;
        }

        _isAtEnd = true;
        return false;
    }
}
