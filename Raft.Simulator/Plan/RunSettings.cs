namespace Raft.Simulator;

/// <summary>Which run: everything else is drawn from the seed.</summary>
internal sealed record RunSettings(int Seed)
{
    public const int OperationsDefault = 500;

    /// <summary>Operations of clients and faults, together.</summary>
    public int Operations { get; init; } = OperationsDefault;

    /// <summary>The number of voters at the beginning; null: drawn.</summary>
    public int? Voters { get; init; }

    /// <summary>Whether the disks are the real store's on simulated files, or a model of it; null: every tenth seed's are real.</summary>
    public bool? IsStorageReal { get; init; }

    /// <summary>Faults that stay away, by name.</summary>
    public IReadOnlySet<string> Without { get; init; } = new HashSet<string>();

    /// <summary>Events of the plan that are left out, by number.</summary>
    public IReadOnlySet<int> Dropped { get; init; } = new HashSet<int>();

    /// <summary>The fault that stays, in every run; null: drawn, and in some runs none does.</summary>
    public string? Permanent { get; init; }

    /// <summary>For tests of what a failure leads to: any acknowledged write of a client is a violation.</summary>
    public bool IsAllForbidden { get; init; }

    /// <summary>The run ends at this virtual time; null: when everything has come to rest.</summary>
    public TimeSpan? Until { get; init; }

    /// <summary>Gets all lines of the trace; null: nobody wants them, which is faster.</summary>
    public Action<string>? Trace { get; init; }
}
