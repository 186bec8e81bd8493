using Microsoft.Extensions.Configuration;
using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Api.Tests.Memory;

/// <summary>Limits that follow the memory and the descriptors of the machine.</summary>
public sealed class MemoryDefaultsTests
{
    private const long MiB = 1 << 20;

    /// <summary>A container of 256 MiB: the runtime leaves the heap three quarters.</summary>
    private const long Small = 192 * MiB;

    [Fact]
    public void A_large_machine_has_the_constants_and_a_state_of_nearly_half_its_memory()
    {
        RaftOptions options = Read(24L << 30).Raft;

        Assert.Equal((16 * MiB, 256 * MiB, 8 * MiB), (options.Limits.MaxUncommittedBytes, options.Limits.MaxTotalBytes, options.Limits.MaxCacheBytes));
        Assert.Equal((256 * MiB, 100_000), (options.Journal.MaxBytes, options.Idempotency.MaxKeys));
        Assert.InRange(options.Limits.MaxStateBytes, 8L << 30, 9L << 30);
        Assert.Equal(StorageSettings.Default, StorageSettings.For(24L << 30));
    }

    [Fact]
    public void In_a_small_container_all_of_it_fits_twice_the_state_included()
    {
        NodeSettings settings = Read(Small);
        LimitsOptions limits = settings.Raft.Limits;
        StorageSettings storage = StorageSettings.For(Small);

        Assert.InRange(limits.MaxStateBytes, 33 * MiB, 34 * MiB);
        long pipeline = limits.MaxTotalBytes + limits.MaxCacheBytes + storage.LagBytesMax + (3L * storage.DatabaseLogBytes) + (3L * storage.TransactionBytes);
        Assert.InRange((2 * limits.MaxStateBytes) + pipeline, 0, Small - (40 * MiB));
        Assert.True(settings.Raft.Journal.MaxBytes <= limits.MaxStateBytes / 2);
        Assert.Empty(settings.Warnings);
    }

    [Fact]
    public void Many_groups_share_what_one_would_have()
    {
        RaftOptions options = Read(1L << 30, [.. Enumerable.Range(0, 100).Select(n => ($"Raft:Groups:{n}:Id", $"g{n}"))]).Raft;

        Assert.True(100 * options.Limits.MaxCacheBytes <= (1L << 30) / 48);
        Assert.True(100 * options.Journal.MaxBytes <= options.Limits.MaxStateBytes);
        Assert.True(100L * options.Idempotency.MaxKeys * 400 <= options.Limits.MaxStateBytes);
    }

    [Fact]
    public void What_is_set_wins_and_what_does_not_fit_is_said()
    {
        NodeSettings settings = Read(Small, ("Raft:Limits:MaxTotalBytes", "268435456"), ("Raft:Journal:MaxBytes", "268435456"), ("Raft:Limits:MaxCacheBytes", "8388608"));

        Assert.Equal((256 * MiB, 256 * MiB, 8 * MiB), (settings.Raft.Limits.MaxTotalBytes, settings.Raft.Journal.MaxBytes, settings.Raft.Limits.MaxCacheBytes));
        Assert.Equal(2, settings.Warnings.Count);
        Assert.Contains(settings.Warnings, text => text.StartsWith("Raft:Limits:MaxTotalBytes = 268435456 is more than a quarter of the 201326592 bytes", StringComparison.Ordinal));
        Assert.Contains(settings.Warnings, text => text.StartsWith("Raft:Journal:MaxBytes = 268435456 in each of 1 groups is more than Raft:Limits:MaxStateBytes", StringComparison.Ordinal));
    }

    [Fact]
    public void A_program_around_the_node_sets_as_a_configuration_does()
    {
        NodeSettings settings = NodeSettings.Read(Configuration(), options => options.Limits.MaxCacheBytes = 77, Small, descriptors: 20_000);

        Assert.Equal(77, settings.Raft.Limits.MaxCacheBytes);
    }

    [Fact]
    public void A_state_that_the_memory_cannot_hold_is_refused_and_one_that_it_holds_once_is_warned_of()
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read(Small, ("Raft:Limits:MaxStateBytes", "1000000000")));
        Assert.StartsWith("Raft:Limits:MaxStateBytes is 1000000000; allowed: up to the 201326592 bytes", Assert.Single(refusal.Faults), StringComparison.Ordinal);

        NodeSettings settings = Read(Small, ("Raft:Limits:MaxStateBytes", "100000000"));
        Assert.Equal(100_000_000, settings.Raft.Limits.MaxStateBytes);
        Assert.Contains("holds the old state and the new one", Assert.Single(settings.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Too_little_memory_to_run_well_is_said() =>
        Assert.Contains("at least", Assert.Single(Read(48 * MiB).Warnings), StringComparison.Ordinal);

    [Fact]
    public void Clients_get_the_descriptors_that_storage_threads_and_peers_leave()
    {
        ConnectionLimits connections = Read(24L << 30, descriptors: 1024).Connections;

        Assert.Equal((64, 1024 - 64 - ConnectionLimits.Reserved), (connections.Peers, connections.Clients));
        Assert.Equal(1024, Read(24L << 30, descriptors: 1 << 20).Connections.Peers);
        Assert.Equal(768, Read(Small, descriptors: 1 << 20).Connections.Clients);
    }

    [Fact]
    public void Limits_that_the_descriptors_do_not_allow_are_refused()
    {
        SettingsException few = Assert.Throws<SettingsException>(() => Read(Small, descriptors: 256));
        Assert.Contains("The limit of open files (ulimit -n) is 256; allowed: 432 or more", Assert.Single(few.Faults), StringComparison.Ordinal);

        SettingsException many = Assert.Throws<SettingsException>(() => Read(Small, 1024, ("Kestrel:Limits:MaxConcurrentConnections", "5000")));
        Assert.Contains("Kestrel:Limits:MaxConcurrentConnections is 5000; allowed: 1 to 576", Assert.Single(many.Faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Limits_of_Kestrel_are_read_and_those_that_are_not_ours_to_offer_are_refused()
    {
        KestrelLimits limits = Read(Small, ("Kestrel:Limits:MaxConcurrentConnections", "100"), ("Kestrel:Limits:KeepAliveTimeout", "00:01:00")).Limits;
        Assert.Equal((100, TimeSpan.FromMinutes(1)), (limits.MaxConcurrentConnections, limits.KeepAliveTimeout));

        SettingsException refusal = Assert.Throws<SettingsException>(() => Read(
            Small, ("Kestrel:Limits:MaxRequestBodySize", "100"), ("Kestrel:Limits:KeepAliveTimeout", "long"), ("Kestrel:Limits:MaxRequestBufferSize", "1")));
        Assert.Contains(refusal.Faults, fault => fault.StartsWith("Kestrel:Limits:MaxRequestBodySize is no known key; allowed in Kestrel:Limits: KeepAliveTimeout, ", StringComparison.Ordinal));
        Assert.Contains("Kestrel:Limits:KeepAliveTimeout is 'long'; allowed: a time such as 00:02:10.", refusal.Faults);
        Assert.Contains("Kestrel:Limits:MaxRequestBufferSize is 1; allowed: 0 (the default), or 16384 to 67108864.", refusal.Faults);
    }

    private static NodeSettings Read(long memoryBytes, params (string Key, string Value)[] settings) => Read(memoryBytes, 20_000, settings);

    private static NodeSettings Read(long memoryBytes, long descriptors, params (string Key, string Value)[] settings) =>
        NodeSettings.Read(Configuration(settings), configure: null, memoryBytes, descriptors);

    private static IConfigurationRoot Configuration(params (string Key, string Value)[] settings) => new ConfigurationBuilder()
        .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)))
        .Build();
}
