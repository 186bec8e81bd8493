using System.Net;
using System.Net.Sockets;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Faults;

[Collection(ProcessCollection.Name)]
public sealed class BadSettingsTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("Raft__TikMs", "50", "TikMs", "TickMs")]
    [InlineData("Raft__TickMs", "fast", "Raft:TickMs", "fast")]
    [InlineData("Raft__TickMs", "-1", "Raft:TickMs", "-1")]
    [InlineData("Raft__ElectionTicks", "2", "Raft:ElectionTicks", "3")]
    [InlineData("Raft__NodeId", "n 1", "Raft:NodeId", "n 1")]
    [InlineData("Raft__Limits__MaxCommandBytes", "1000000000000", "Raft:Limits:MaxCommandBytes", "1000000000000")]
    [InlineData("Raft__Limits__MaxComandBytes", "1", "MaxComandBytes", "MaxCommandBytes")]
    [InlineData("Raft__Bootstrap", "perhaps", "Raft:Bootstrap", "perhaps")]
    [InlineData("Raft__Members__0__Port", "1", "Port", "PeerUrl")]
    [InlineData("Kestrel__Endpoints__Api__Url", "nonsense", "Kestrel:Endpoints:Api:Url", "nonsense")]
    [InlineData("Kestrel__Endpoints__Api__Url", "http://0.0.0.0:0", "Kestrel:Endpoints:Api:Url", "AllowInsecure")]
    public async Task A_setting_that_cannot_be_ends_the_start_with_key_value_and_what_is_allowed(string variable, string value, string expected, string also)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node => node.Settings[variable] = value);
        cluster[0].Start();
        Assert.NotEqual(0, await cluster[0].ExitAsync());
        Assert.Contains(expected, cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains(also, cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains("allowed", cluster[0].Output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("   at ", cluster[0].Output, StringComparison.Ordinal); // a sentence, not a stack trace
        Assert.False(Directory.Exists(cluster[0].DataDirectory), "A refused start must leave nothing behind.");
    }

    [Fact]
    public async Task Several_faults_are_reported_together()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node =>
        {
            node.Settings["Raft__TickMs"] = "0";
            node.Settings["Raft__Shards"] = "-7";
        });
        cluster[0].Start();
        Assert.NotEqual(0, await cluster[0].ExitAsync());
        Assert.Contains("Raft:TickMs", cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains("Raft:Shards", cluster[0].Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\n  \"Raft\": {\n    \"TickMs\": 50,\n    \"NodeId\" \"n1\"\n  }\n}", "LineNumber: 3")]
    [InlineData("{ \"Raft\": { \"NodeId\": \"a\", \"NodeId\": \"b\" } }", "Raft:NodeId")]
    [InlineData("{ \"Rafft\": { \"NodeId\": \"a\" } }", "Rafft")]
    public async Task A_file_of_settings_that_cannot_be_read_ends_the_start_with_its_name_and_the_place(string json, string place)
    {
        using var directory = new TempDirectory();
        await File.WriteAllTextAsync(directory["mine.json"], json);
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output);
        cluster[0].Arguments.AddRange(["--config", directory["mine.json"]]);
        cluster[0].Start();
        Assert.Equal(2, await cluster[0].ExitAsync());
        Assert.Contains(directory["mine.json"], cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains(place, cluster[0].Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", cluster[0].Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_is_not_among_its_members_does_not_start()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output);
        cluster[0].Settings["Raft__NodeId"] = "stranger";
        cluster[0].Start();
        Assert.NotEqual(0, await cluster[0].ExitAsync());
        Assert.Contains("stranger", cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains("Members", cluster[0].Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_port_in_use_ends_the_start_with_its_address(bool api)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node => node.Settings["Raft__Bootstrap"] = "true");
        NodeProcess node = cluster[0];
        int port = api ? node.ApiPort : node.PeerPort;
        using var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        node.Start();
        Assert.NotEqual(0, await node.ExitAsync());
        Assert.Contains($":{port}", node.Output, StringComparison.Ordinal);
        Assert.Contains("in use", node.Output, StringComparison.OrdinalIgnoreCase);
    }
}
