using System.Globalization;

namespace Raft.Chaos.Clients;

/// <summary>The keys that are used at the moment: few, so that clients meet. A key that was used often makes way for a new one,
/// because what a checker has to search grows with each unknown write of a key.</summary>
internal sealed class KeyPool(Random random)
{
    private const int Current = 5, UsesMost = 120, UnknownMost = 10;
    private readonly Lock _gate = new();
    private readonly List<Slot> _slots = [.. Enumerable.Range(0, Current).Select(n => new Slot(n))];
    private int _next = Current;

    /// <summary>All keys that there have been.</summary>
    public IReadOnlyList<string> All
    {
        get
        {
            lock (_gate)
                return [.. Enumerable.Range(0, _next).Select(TextOf)];
        }
    }

    public string Take()
    {
        lock (_gate)
        {
            int place = random.Next(Current);
            if (_slots[place].Uses >= UsesMost || _slots[place].Unknown >= UnknownMost)
                _slots[place] = new Slot(_next++);
            _slots[place].Uses++;
            return TextOf(_slots[place].Number);
        }
    }

    public void NoteUnknown(string key)
    {
        lock (_gate)
        {
            foreach (Slot slot in _slots.Where(slot => TextOf(slot.Number) == key))
                slot.Unknown++;
        }
    }

    private static string TextOf(int number) => string.Create(CultureInfo.InvariantCulture, $"key-{number}");

    private sealed record Slot(int Number)
    {
        public int Uses { get; set; }
        public int Unknown { get; set; }
    }
}
