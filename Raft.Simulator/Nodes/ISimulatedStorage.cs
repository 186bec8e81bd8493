using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>The disk of one node, which outlives its processes: what all its groups store, and what goes wrong with it.</summary>
internal interface ISimulatedStorage
{
    StorageId Id { get; }

    /// <summary>The groups whose first configuration, or anything else, is on it.</summary>
    IReadOnlyList<GroupId> Groups { get; }

    /// <summary>A process starts; how often one has, this time included.</summary>
    Task<long> OpenAsync();

    /// <summary>Once per start and group.</summary>
    IRaftStorage Group(GroupId group);

    /// <summary>Writes a first configuration: index 1, term 1. Nothing when the group is there.</summary>
    Task CreateGroupAsync(GroupId group, Configuration first);

    /// <summary>The process is gone, and what was not synced with it, or not, as the power cut will have it.</summary>
    void Crash(Random random);

    /// <summary>How long a sync takes from now on.</summary>
    TimeSpan SyncTimeMax { get; set; }

    /// <summary>And at least; zero: a fifth of <see cref="SyncTimeMax"/>.</summary>
    TimeSpan SyncTimeMin { get; set; }

    /// <summary>Syncs take for ever until this is false again.</summary>
    bool IsHung { get; set; }

    /// <summary>What is behind the write-ahead log stands still: the real store's database.</summary>
    bool IsLagging { get; set; }

    /// <summary>Every write fails from now on, as does what is under way; a restart finds a disk that works.</summary>
    void Fail();

    /// <summary>It does, since.</summary>
    bool IsFailing { get; }

    /// <summary>Bits flip in what is stored: the next start must notice.</summary>
    void Damage(Random random);

    /// <summary>What it holds will not be read again, or the next start has to show whether it can be: such a disk confirms nothing.</summary>
    bool IsDamaged { get; }

    /// <summary>Something that was synced is not what was written, from now on: the next start must notice, or be unharmed by it.
    /// Only while it is closed. Null: nothing on it could be changed so.</summary>
    string? InjectFault(Random random) => null;

    /// <summary>A start has read it and found nothing wrong: from now on it must not be called damaged.</summary>
    void FoundIntact()
    {
    }

    /// <summary>A copy as of now, to be put back later; null when there is no way to make one.</summary>
    ISimulatedStorage? Copy();

    /// <summary>The power goes in the middle of a write: in the last of so many further calls.</summary>
    void CutPowerAfter(int calls);

    /// <summary>Called in the middle of a file call, when the process ends by it: the power went, or the disk failed. Nothing of it
    /// may run any more; <see cref="HasEnded"/> comes soon.</summary>
    Action? Ending { get; set; }

    /// <summary>Called, with what happened, when the process has ended by its disk or with the power.</summary>
    Action<string>? HasEnded { get; set; }

    /// <summary>Where a state machine reads a snapshot.</summary>
    Task<StoreState> RunAsideAsync(Func<Task<StoreState>> work, CancellationToken cancellation);

    /// <summary>Of one sync.</summary>
    static TimeSpan SyncTime(ISimulatedStorage storage, Random random)
    {
        double drawn = random.NextDouble();
        return storage.SyncTimeMin == TimeSpan.Zero
            ? storage.SyncTimeMax * (0.2 + (0.8 * drawn))
            : storage.SyncTimeMin + ((storage.SyncTimeMax - storage.SyncTimeMin) * drawn);
    }

    /// <summary>Grows with everything that becomes durable: what a peer remembers of it tells an old copy.</summary>
    long Sequence { get; }
}
