using System.IO.Hashing;
using System.Runtime.InteropServices;
using Raft.Engine.Protocol;

namespace Raft.Engine.Shards;

/// <summary>The shards of a process. A group lives on one of them while the process runs; the count may differ at the next start.</summary>
public sealed class ShardSet : IAsyncDisposable
{
    private readonly Shard[] _shards;

    public ShardSet(int count, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _shards = new Shard[count];
        for (int i = 0; i < count; i++)
            _shards[i] = new Shard($"raft-shard-{i}", time);
    }

    public IReadOnlyList<Shard> All => _shards;

    public Shard Of(GroupId group) => _shards[IndexOf(group, _shards.Length)];

    /// <summary>Stable over processes and machines: XxHash64 of the id's UTF-16 bytes.</summary>
    public static int IndexOf(GroupId group, int count) =>
        (int)(XxHash64.HashToUInt64(MemoryMarshal.AsBytes(group.Value.AsSpan())) % (ulong)count);

    public async ValueTask DisposeAsync()
    {
        foreach (Shard shard in _shards)
            await shard.DisposeAsync();
    }
}
