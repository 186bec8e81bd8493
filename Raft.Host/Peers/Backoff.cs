namespace Raft.Host.Peers;

/// <summary>How long to wait before another attempt: growing, and jittered so that not all come at once.</summary>
internal static class Backoff
{
    public static TimeSpan After(int failures, PeerSettings settings)
    {
        double ceiling = Math.Min(
            settings.MaxBackoff.TotalMilliseconds, settings.MinBackoff.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 10)));
        return TimeSpan.FromMilliseconds(ceiling * (0.5 + (Random.Shared.NextDouble() / 2)));
    }
}
