using Raft.Simulator.Histories;

namespace Raft.Engine.Tests.Simulation;

/// <summary>How a history is to be.</summary>
/// <param name="Operations">How many in all.</param>
/// <param name="Clients">How many at once.</param>
/// <param name="Keys">Over how many keys; 0: the journal alone.</param>
/// <param name="UnknownPercent">How many answers are lost.</param>
internal sealed record HistoryShape(int Operations, int Clients, int Keys, int UnknownPercent, bool HasJournal = true);

/// <summary>A history that is linearizable because a plain store, on one thread, made it: clients ask, requests take effect at
/// some moment, answers come later, get lost, or belong to requests that are repeated.</summary>
internal sealed class HistoriesOfAModel
{
    private readonly Random _random;
    private readonly HistoryShape _shape;
    private readonly PlainStore _store = new();
    private readonly List<Pending> _pending = [];
    private readonly bool[] _isBusy;
    private readonly Dictionary<int, Operation> _toRepeat = [];
    private long _time;
    private int _values;

    private sealed class Pending
    {
        public required int Id { get; init; }
        public required int Client { get; init; }
        public required Operation Operation { get; init; }
        public bool IsLost { get; set; }
        public Outcome? Outcome { get; set; }
    }

    private HistoriesOfAModel(int seed, HistoryShape shape)
    {
        _random = new Random(seed);
        _shape = shape;
        _isBusy = new bool[shape.Clients];
    }

    private History History { get; } = new();

    public static History Run(int seed, HistoryShape shape)
    {
        var model = new HistoriesOfAModel(seed, shape);
        int begun = 0;
        while (begun < shape.Operations || model._pending.Exists(one => !one.IsLost))
        {
            model._time += model._random.Next(3);
            int client = model._random.Next(shape.Clients);
            if (!model._isBusy[client] && begun < shape.Operations)
            {
                model.Begin(client);
                begun++;
            }
            else if (model._pending.Count > 0)
            {
                model.GoOn(model._pending[model._random.Next(model._pending.Count)]);
            }
        }

        return model.History;
    }

    private void Begin(int client)
    {
        if (!_toRepeat.Remove(client, out Operation? operation))
            operation = NewOperation();
        _pending.Add(new Pending { Id = History.Invoke($"c{client}", operation, _time), Client = client, Operation = operation });
        _isBusy[client] = true;
    }

    private void GoOn(Pending one)
    {
        bool losesNow = !one.IsLost && _random.Next(200) < _shape.UnknownPercent;
        if (losesNow)
        {
            History.Unknown(one.Id, _time);
            _isBusy[one.Client] = false;
            one.IsLost = true;
            if (Retry.KeyOf(one.Operation) is not null)
                _toRepeat[one.Client] = one.Operation;
        }
        else if (one.Outcome is null && !one.IsLost && _random.Next(50) == 0)
        {
            History.NeverHappened(one.Id, _time);
            _isBusy[one.Client] = false;
            _pending.Remove(one);
        }
        else if (one.Outcome is null && (!one.IsLost || _random.Next(4) == 0))
        {
            one.Outcome = _store.Apply(one.Operation); // of one that is lost late, or never
        }
        else if (one.Outcome is not null && !one.IsLost)
        {
            History.Complete(one.Id, one.Outcome, _time);
            _isBusy[one.Client] = false;
            _pending.Remove(one);
        }

        if (one is { IsLost: true, Outcome: not null })
            _pending.Remove(one);
    }

    private Operation NewOperation()
    {
        string value = $"v{++_values}";
        string? retry = _random.Next(3) == 0 ? $"r{_values}" : null;
        if (_shape.Keys == 0 || (_shape.HasJournal && _random.Next(3) == 0))
            return _random.Next(2) == 0 ? new AppendEntry(value, retry) : new ReadEntries(1 + _random.Next(5), 1 + _random.Next(100));

        string key = $"k{_random.Next(_shape.Keys)}";
        return _random.Next(10) switch
        {
            < 4 => new GetKey(key),
            < 6 => new PutKey(key, value, null, retry),
            6 => new PutKey(key, value, NewCondition(key), retry),
            7 => new PutKey(key, value, KeyCondition.Is(Math.Max(1, _store.RevisionOf(key))), retry),
            8 => new DeleteKey(key, _random.Next(2) == 0 ? null : NewCondition(key), retry),
            _ => _shape.HasJournal ? new ListKeys("k") : new GetKey(key),
        };
    }

    private KeyCondition NewCondition(string key) => _random.Next(4) switch
    {
        0 => KeyCondition.Absent,
        1 => KeyCondition.Exists,
        2 => KeyCondition.IsNot(Math.Max(1, _store.RevisionOf(key))),
        _ => KeyCondition.Is(Math.Max(1, _store.RevisionOf(key) - _random.Next(3))),
    };
}

/// <summary>What the store is to be, without anything that makes it fast.</summary>
internal sealed class PlainStore
{
    private readonly SortedDictionary<string, (string Value, long Revision)> _keys = new(StringComparer.Ordinal);
    private readonly List<string> _journal = [];
    private readonly Dictionary<string, Outcome> _settled = [];
    private long _raftIndex;

    /// <summary>0 when the key is not there.</summary>
    public long RevisionOf(string key) => _keys.TryGetValue(key, out (string, long Revision) item) ? item.Revision : 0;

    public Outcome Apply(Operation operation)
    {
        string? retry = Retry.KeyOf(operation);
        if (retry is not null && _settled.TryGetValue(retry, out Outcome? first))
            return first;

        Outcome outcome = Execute(operation);
        if (retry is not null)
            _settled.Add(retry, outcome);
        return outcome;
    }

    private Outcome Execute(Operation operation)
    {
        switch (operation)
        {
            case GetKey get:
                return _keys.TryGetValue(get.Key, out (string Value, long Revision) item) ? new Found(item.Value, item.Revision) : new Missing();
            case ListKeys list:
                return new Listed([.. _keys.Where(one => one.Key.StartsWith(list.Prefix, StringComparison.Ordinal)).Select(one => new ListedKey(one.Key, one.Value.Value, one.Value.Revision))]);
            case ReadEntries read:
                return new EntriesRead(read.From, [.. _journal.Skip((int)read.From - 1).Take(read.Limit)], _journal.Count);
            case AppendEntry append:
                _journal.Add(append.Value);
                return new Appended(_journal.Count, ++_raftIndex);
            case PutKey put:
                long index = ++_raftIndex, before = RevisionOf(put.Key);
                if (!Holds(put.Condition, before))
                    return new Refused(before, index);
                _keys[put.Key] = (put.Value, index);
                return new Written(index, before == 0);
            case DeleteKey delete:
                index = ++_raftIndex;
                before = RevisionOf(delete.Key);
                if (!Holds(delete.Condition, before))
                    return new Refused(before, index);
                _keys.Remove(delete.Key);
                return new Removed(index);
            default:
                throw new InvalidOperationException(operation.ToString());
        }
    }

    private static bool Holds(KeyCondition? condition, long revision) => condition?.Kind switch
    {
        null => true,
        KeyConditionKind.Exists => revision > 0,
        KeyConditionKind.Absent => revision == 0,
        KeyConditionKind.Is => revision > 0 && revision == condition.Revision,
        _ => revision == 0 || revision != condition.Revision,
    };
}
