using System.Buffers.Text;

namespace Raft.Host.StateMachine;

/// <summary>A settled request: the key's hash of the request, and the first outcome.</summary>
public sealed record SettledKey(byte[] Scope, byte[] Sha256, StoreResult Outcome, long TimeMs)
{
    /// <summary>The key's own time, if it has one.</summary>
    internal long? KeyTimeMs => IdempotencyTable.TimeOf(StoreCommands.KeyOf(Scope));
}

/// <summary>Keys that were executed, with their outcome. Decides by nothing but the command and the leader's time stamps. Not thread-safe.</summary>
/// <remarks>A key is kept while it is younger than the window, and beyond that while there is room. So within the window a
/// repetition is always recognised, and a table full of young keys refuses new ones instead of forgetting one. A key with a
/// time of its own is recognised for ever: known, too old, or, if its clock is wrong, from the future and never executed.</remarks>
internal sealed class IdempotencyTable
{
    /// <summary>How far a client's clock may be ahead of the leader's. Every replica must decide by the same: to change it
    /// takes a feature level.</summary>
    internal const long ClockToleranceMs = 60_000;

    /// <summary>Memory of one key beside the bytes of its scope: the record, hash and outcome, its places in the dictionary and the queue.</summary>
    internal const int OverheadBytes = 320;

    private readonly Dictionary<byte[], SettledKey> _keys = new(ByteKeys.Comparer);
    private readonly Dictionary<byte[], SettledKey>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private readonly ChunkedQueue<SettledKey> _byAge = new(1);      // time stamps never fall: the oldest is first

    public IdempotencyTable(long forgottenThroughMs = 0)
    {
        _lookup = _keys.GetAlternateLookup<ReadOnlySpan<byte>>();
        ForgottenThroughMs = forgottenThroughMs;
    }

    public int Count => _keys.Count;

    /// <summary>Memory that the table takes.</summary>
    public long MemoryBytes { get; private set; }

    public UInt128 HashSum { get; private set; }

    /// <summary>The latest time among the keys with a time of their own that were forgotten. What is not younger may be one of
    /// them, whatever window a command brings: windows may differ between nodes, and grow.</summary>
    public long ForgottenThroughMs { get; private set; }

    /// <summary>By how much the log's time stamps are ahead of the clocks: a correction in the log says so. Ages are told by the stamps, which
    /// never fall; what time it is, by the stamps without this.</summary>
    public long OffsetMs { get; private set; }

    /// <summary>From this command on the stamps are that far ahead of the clocks.</summary>
    public void Correct(long offsetMs, long timeMs)
    {
        OffsetMs = offsetMs;
        // What was forgotten and is from the future now would keep every correct key out until then.
        ForgottenThroughMs = Math.Min(ForgottenThroughMs, timeMs - offsetMs);
    }

    /// <summary>A snapshot says so, and the rest of its state is here.</summary>
    public void RestoreOffset(long offsetMs) => OffsetMs = offsetMs;

    public SettledKey? Find(ReadOnlySpan<byte> scope) => _lookup.TryGetValue(scope, out SettledKey? found) ? found : null;

    /// <summary>Null when the command may be executed (and must then be <see cref="Settle">settled</see>); otherwise its result.</summary>
    public StoreResult? Admit(in StoreCommand command, long timeMs)
    {
        if (Find(command.IdempotencyScope) is { } settled)
            return command.Sha256.SequenceEqual(settled.Sha256) ? new Replayed(settled.Outcome) : KeyReused.Instance;

        long windowMs = command.MinAgeSeconds * 1000L;
        if (TimeOf(command.IdempotencyKey) is { } keyTime)
        {
            long nowMs = timeMs - OffsetMs;
            if (keyTime <= nowMs - windowMs || keyTime <= ForgottenThroughMs)
                return new KeyTooOld(command.MinAgeSeconds);
            if (keyTime > nowMs + ClockToleranceMs)
                return new KeyFromTheFuture(keyTime - nowMs);
        }

        while (_keys.Count >= command.MaxKeys && Oldest is { } oldest && AgeOf(oldest, timeMs) >= windowMs)
            ForgetOldest(oldest, timeMs);

        return _keys.Count < command.MaxKeys ? null
            : new TableFull(command.MaxKeys, Oldest is { } first ? windowMs - AgeOf(first, timeMs) : windowMs);
    }

    public void Settle(in StoreCommand command, StoreResult outcome, long timeMs) =>
        Add(new SettledKey(command.IdempotencyScope.ToArray(), command.Sha256.ToArray(), outcome, timeMs));

    /// <summary>Adds a key that is not there, not older than the others.</summary>
    public void Add(SettledKey settled)
    {
        _keys.Add(settled.Scope, settled);
        _byAge.Add(settled);
        MemoryBytes += OverheadBytes + settled.Scope.Length;
        HashSum += StateHash.OfOutcome(settled.Scope, settled.Sha256, settled.Outcome, settled.TimeMs);
    }

    public ChunkedQueue<SettledKey>.Picture TakePicture() => _byAge.TakePicture();

    public void Close(ChunkedQueue<SettledKey>.Picture picture) => _byAge.Close(picture);

    internal UInt128 RecomputeHashSum()
    {
        UInt128 sum = 0;
        for (long number = _byAge.First; number < _byAge.Next; number++)
        {
            SettledKey key = _byAge.At(number);
            sum += StateHash.OfOutcome(key.Scope, key.Sha256, key.Outcome, key.TimeMs);
        }

        return sum;
    }

    private SettledKey? Oldest => _byAge.Count == 0 ? null : _byAge.At(_byAge.First);

    /// <summary>For how long its window has run: by the log's time, and by its own time, where it has one. One whose own time is
    /// still to come (its client's clock was as wrong as the cluster's before a correction) ages like a key without a time.</summary>
    private long AgeOf(SettledKey key, long timeMs)
    {
        long age = timeMs - key.TimeMs;
        return key.KeyTimeMs is { } keyTime && keyTime <= timeMs - OffsetMs + ClockToleranceMs ? Math.Min(age, timeMs - OffsetMs - keyTime) : age;
    }

    private void ForgetOldest(SettledKey oldest, long timeMs)
    {
        _byAge.RemoveFirst();
        _keys.Remove(oldest.Scope);
        MemoryBytes -= OverheadBytes + oldest.Scope.Length;
        HashSum -= StateHash.OfOutcome(oldest.Scope, oldest.Sha256, oldest.Outcome, oldest.TimeMs);
        if (oldest.KeyTimeMs is { } keyTime && keyTime <= timeMs - OffsetMs)
            ForgottenThroughMs = Math.Max(ForgottenThroughMs, keyTime);
    }

    /// <summary>When a UUID of version 7 was made, in milliseconds since 1970; null for every other key. RFC 9562, 5.7</summary>
    internal static long? TimeOf(ReadOnlySpan<byte> key)
    {
        if (key.Length != 36 || key[14] != (byte)'7' || !Utf8Parser.TryParse(key, out Guid _, out int consumed, 'D') || consumed != 36)
            return null;
        if (key[19] is not ((byte)'8' or (byte)'9' or (byte)'a' or (byte)'b' or (byte)'A' or (byte)'B'))
            return null;

        return Utf8Parser.TryParse(key[..8], out ulong high, out _, 'x') && Utf8Parser.TryParse(key[9..13], out ulong low, out _, 'x')
            ? (long)((high << 16) | low)
            : null;
    }
}
