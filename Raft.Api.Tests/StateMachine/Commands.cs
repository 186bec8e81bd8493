using System.Security.Cryptography;
using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

/// <summary>Commands of the store with good defaults, and a store that counts its own index.</summary>
internal static class Commands
{
    public static byte[] Of(
        CommandKind kind, string payload = "", string key = "", Precondition? precondition = null, string? idempotencyKey = null,
        int maxKeys = 1000, int minAgeSeconds = 600, long maxEntries = 1_000_000, long maxBytes = 1 << 28, string? contentType = null)
    {
        byte[] body = Encoding.UTF8.GetBytes(payload), keyBytes = Encoding.UTF8.GetBytes(key);
        Precondition condition = precondition ?? Precondition.None;
        IdempotencyInfo? info = idempotencyKey is null ? null
            : new IdempotencyInfo("anonymous", idempotencyKey, SHA256.HashData(Encoding.UTF8.GetBytes($"{kind} {key} {payload}")), maxKeys, minAgeSeconds);
        int header = StoreCommands.HeaderBytes(kind, condition, info, contentType, keyBytes);
        byte[] bytes = new byte[header + body.Length];
        Assert.Equal(header, StoreCommands.WriteHeader(bytes, kind, condition, info, maxEntries, maxBytes, contentType, keyBytes));
        body.CopyTo(bytes, header);
        return bytes;
    }
}

internal sealed class Driver
{
    private long _index;

    public Store Store { get; private init; } = new();
    public long TimeMs { get; set; } = 1_700_000_000_000;

    public StoreResult Apply(byte[] command)
    {
        IReadOnlyList<object?> results = Store.ApplyAsync([new CommittedCommand(new LogIndex(++_index), new Term(2), TimeMs, command)], CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return Assert.IsAssignableFrom<StoreResult>(Assert.Single(results));
    }

    public async Task<byte[]> PictureAsync()
    {
        using IStateSnapshot picture = Store.TakeSnapshot();
        var target = new MemoryStream();
        await picture.WriteAsync(target, CancellationToken.None);
        return target.ToArray();
    }

    /// <summary>Another store that has loaded a picture of this one, and goes on where it stands.</summary>
    public async Task<Driver> CopyAsync()
    {
        var copy = new Driver { TimeMs = TimeMs, _index = _index };
        await copy.Store.LoadSnapshotAsync(new MemoryStream(await PictureAsync()), CancellationToken.None);
        return copy;
    }
}
