using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>When this server last knew that it had applied all that its leader had committed. Written on the shard, read anywhere.</summary>
/// <remarks>
/// A leader's message says how far it had committed when the message left. Once that is applied here, the moment the message
/// came is the answer, not the moment of applying: by then the leader may have gone on. Of what is not applied yet only the
/// oldest and the newest are kept: under steady load the oldest is reached soon, and the newest takes its place.
/// </remarks>
internal sealed class Freshness(TimeProvider time)
{
    private long _leaderCommit;         // the highest heard; commit indexes never fall, whoever leads
    private Word _oldest;
    private Word _newest;
    private long _knownAt;              // 0: never

    private readonly record struct Word(LogIndex Commit, long At);

    /// <summary>The highest commit index that a leader has named since the start.</summary>
    public LogIndex LeaderCommit => new(Volatile.Read(ref _leaderCommit));

    public TimeSpan? Age => Volatile.Read(ref _knownAt) is var at && at == 0 ? null : time.GetElapsedTime(at);

    /// <param name="commit">How far the leader had committed.</param>
    /// <param name="applied">How far this server has applied.</param>
    /// <param name="age">How long ago the leader's word came.</param>
    public void OnLeaderCommit(LogIndex commit, LogIndex applied, TimeSpan age)
    {
        LogIndex before = LeaderCommit;
        if (commit < before && age > TimeSpan.Zero)
            return;             // it went on since

        LogIndex known = LogIndex.Max(before, commit);      // an old message that comes late says nothing new
        Volatile.Write(ref _leaderCommit, known.Value);
        var word = new Word(known, time.GetTimestamp() - (long)(age.TotalSeconds * time.TimestampFrequency));
        if (known <= applied)
        {
            _oldest = _newest = default;
            Volatile.Write(ref _knownAt, Math.Max(_knownAt, word.At));
            return;
        }

        if (_oldest.At == 0)
            _oldest = word;
        else
            _newest = word;
    }

    public void OnApplied(LogIndex applied)
    {
        while (_oldest.At != 0 && _oldest.Commit <= applied)
        {
            Volatile.Write(ref _knownAt, _oldest.At);
            _oldest = _newest;
            _newest = default;
        }
    }
}
