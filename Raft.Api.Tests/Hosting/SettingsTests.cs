using Microsoft.Extensions.Configuration;
using Raft.Api.Tests.Support;
using Raft.Host.Settings;

namespace Raft.Api.Tests.Hosting;

public sealed class SettingsTests
{
    [Fact]
    public void The_shipped_file_says_what_the_defaults_say()
    {
        IConfiguration shipped = new ConfigurationBuilder().AddJsonFile(Path.Combine(AppContext.BaseDirectory, "appsettings.json")).Build();

        NodeSettings settings = NodeSettings.Read(shipped);
        NodeSettings defaults = Read();

        Assert.True(settings.Raft.Bootstrap);
        defaults.Raft.Bootstrap = true;
        Assert.Equivalent(defaults.Raft, settings.Raft, strict: true);
        Assert.Equal(defaults.Endpoints, settings.Endpoints);
    }

    [Fact]
    public void All_faults_are_told_together_each_with_key_value_and_what_is_allowed()
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read(
            ("Raft:NodId", "n2"),
            ("Raft:TickMs", "fast"),
            ("Raft:Bootstrap", "maybe"),
            ("Raft:ElectionTicks", "2"),
            ("Raft:Limits:MaxCommandBytes", "0")));

        Assert.Contains(refusal.Faults, fault => fault.StartsWith("Raft:NodId is no known key; allowed in Raft: AdvertisedApiUrl, AdvertisedPeerUrl, Bootstrap, Clock, ClusterId", StringComparison.Ordinal));
        Assert.Contains("Raft:TickMs is 'fast'; allowed: a whole number up to 2147483647.", refusal.Faults);
        Assert.Contains("Raft:Bootstrap is 'maybe'; allowed: true or false.", refusal.Faults);
        Assert.Contains("Raft:ElectionTicks is 2; allowed: 3 to 1000.", refusal.Faults);
        Assert.Contains("Raft:Limits:MaxCommandBytes is 0; allowed: 1024 to 8388608.", refusal.Faults);
    }

    [Theory]
    [InlineData("Raft:Limits", "12", "Raft:Limits is '12'; allowed: an object with")]
    [InlineData("Raft:Members", "n1,n2", "Raft:Members is 'n1,n2'; allowed: a list.")]
    [InlineData("Raft:Members:first:Id", "n1", "Raft:Members:first is no position of a list")]
    [InlineData("Raft:NodeId:Name", "n1", "Raft:NodeId holds an object or a list; allowed: text.")]
    [InlineData("Raft:Limits:MaxCacheBytes", "1e9", "Raft:Limits:MaxCacheBytes is '1e9'; allowed: a whole number.")]
    [InlineData("Raft:TickMs", "99999999999", "Raft:TickMs is '99999999999'; allowed: a whole number")]
    [InlineData("Raft:Rejoin", "1", "Raft:Rejoin is '1'; allowed: auto or off.")]
    [InlineData("Raft:NodeId", "no spaces", "Raft:NodeId is 'no spaces'; allowed: 1 to 63 letters")]
    [InlineData("Raft:NodeId", "..", "Raft:NodeId is '..'; allowed: 1 to 63 letters")]
    [InlineData("Raft:DataDirectory", "da\0ta", "Raft:DataDirectory is 'da\0ta'; allowed: a path.")]
    [InlineData("Raft:Groups:0:Id", "a/b", "Raft:Groups:0:Id is 'a/b'; allowed: 1 to 63 letters")]
    [InlineData("Raft:Groups:0:Id", "", "Raft:Groups:0:Id is ''; allowed: 1 to 63 letters")]
    [InlineData("Raft:Groups:0:Id", "..", "Raft:Groups:0:Id is '..'; allowed: 1 to 63 letters")]
    [InlineData("Raft:Join", "http://10.0.0.1:8081", "Raft:Join is 'http://10.0.0.1:8081'; allowed: a list.")]
    [InlineData("Raft:Join:0", "10.0.0.1:8081", "Raft:Join:0 is '10.0.0.1:8081'; allowed: http(s)://host:port without a path, and not of every address (0.0.0.0, [::]).")]
    [InlineData("Raft:Join:0", "http://[::]:8081", "Raft:Join:0 is 'http://[::]:8081'; allowed: http(s)://host:port without a path, and not")]
    [InlineData("Raft:AdvertisedPeerUrl", "http://0.0.0.0:8081", "Raft:AdvertisedPeerUrl is 'http://0.0.0.0:8081'; allowed")]
    [InlineData("Raft:AdvertisedApiUrl", "node:8080", "Raft:AdvertisedApiUrl is 'node:8080'; allowed")]
    [InlineData("Raft:Members:0:PeerUrl", "http://[::ffff:0.0.0.0]:8081", "Raft:Members:0:PeerUrl is 'http://[::ffff:0.0.0.0]:8081'; allowed")]
    [InlineData("Raft:Join:0:Url", "http://10.0.0.1:8081", "Raft:Join:0 holds an object or a list; allowed: text.")]
    [InlineData("Raft:Limits:SnapshotFloorBytes", "2000000000", "Raft:Limits:SnapshotFloorBytes is 2000000000; allowed: 0 to MaxLogDiskBytes = 1073741824.")]
    [InlineData("Raft:Limits:SnapshotTrailingBytes", "600000000", "Raft:Limits:SnapshotTrailingBytes is 600000000; allowed: 0 to half of MaxLogDiskBytes = 536870912.")]
    [InlineData("Raft:Limits:SnapshotChunkBytes", "100", "Raft:Limits:SnapshotChunkBytes is 100; allowed: 4096 to 4194304.")]
    [InlineData("Raft:Limits:SnapshotSendBytesPerSecond", "5000", "Raft:Limits:SnapshotSendBytesPerSecond is 5000; allowed: 0 (unlimited), or SnapshotChunkBytes = 524288 or more.")]
    [InlineData("Kestrel:Endpoints:Api:Url", "http://0.0.0.0:8080", "Kestrel:Endpoints:Api:Url is 'http://0.0.0.0:8080', which is reachable from other machines without TLS")]
    [InlineData("Kestrel:Endpoints:Peer:Url", "http://*:8081", "Kestrel:Endpoints:Peer:Url is 'http://*:8081', which is reachable")]
    [InlineData("Kestrel:Endpoints:Peer:Url", "http://127.0.0.1:8080", "Kestrel:Endpoints:Peer:Url is 'http://127.0.0.1:8080'; allowed: another port")]
    [InlineData("Kestrel:Endpoints:Peer:Url", "8081", "Kestrel:Endpoints:Peer:Url is '8081'; allowed: http(s)://host:port")]
    [InlineData("Kestrel:Endpoints:Admin:Url", "http://127.0.0.1:9", "Kestrel:Endpoints:Admin is no known endpoint; allowed: Api and Peer.")]
    [InlineData("Kestrel:Endpoints:Api:Uri", "http://127.0.0.1:9", "Kestrel:Endpoints:Api:Uri is no known key; allowed in Kestrel:Endpoints:Api: Certificate, ClientCertificateMode, Protocols, Sni, SslProtocols, Url.")]
    [InlineData("Kestrel:Endpoint:Api:Url", "http://127.0.0.1:9", "Kestrel:Endpoint is no known key; allowed in Kestrel: Certificates, EndpointDefaults, Endpoints, Limits.")]
    public void A_value_that_cannot_be_used_is_refused(string key, string value, string fault)
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read((key, value)));

        Assert.Contains(refusal.Faults, told => told.StartsWith(fault, StringComparison.Ordinal));
    }

    [Fact]
    public void A_section_that_is_misspelt_in_a_file_is_refused_with_the_files_name()
    {
        using var directory = new TempDirectory();
        File.WriteAllText(directory["mine.json"], """{ "Rafft": { "NodeId": "n2" }, "raft": { "NodeId": "n3" }, "Logging": {} }""");
        IConfigurationRoot configuration = new ConfigurationBuilder().AddJsonFile(directory["mine.json"]).AddEnvironmentVariables().Build();

        SettingsException refusal = Assert.Throws<SettingsException>(() => Host.Hosting.NodeProcess.RefuseUnknownSections(configuration));

        Assert.Equal([$"Rafft in {directory["mine.json"]} is no known section; allowed: Raft, Kestrel, Logging, AllowedHosts."], refusal.Faults);
    }

    [Fact]
    public void Endpoints_beyond_loopback_are_allowed_on_purpose()
    {
        NodeSettings settings = Read(("Kestrel:Endpoints:Api:Url", "http://0.0.0.0:8080"), ("Raft:Security:AllowInsecure", "true"));

        Assert.Equal(8080, settings.Endpoints.Api.Port);
    }

    [Fact]
    public void A_member_that_is_listed_twice_is_refused()
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read([
            .. Member(0, "n1", "http://127.0.0.1:1001"), .. Member(1, "n1", "http://127.0.0.1:1002"), .. Member(2, "n2", "http://127.0.0.1:1001/")]));

        Assert.Contains("Raft:Members:1:Id is 'n1'; allowed: each node once; Members:0 has the same.", refusal.Faults);
        Assert.Contains("Raft:Members:2:PeerUrl is 'http://127.0.0.1:1001/'; allowed: each address once; Members:0 has the same.", refusal.Faults);
    }

    [Fact]
    public void A_node_that_Members_does_not_list_is_refused()
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read([("Raft:NodeId", "n9"), .. Member(0, "n1", "http://127.0.0.1:1001")]));

        Assert.Equal(["Raft:NodeId is 'n9'; allowed: one of Members: n1."], refusal.Faults);
    }

    [Fact]
    public void Groups_are_read_in_their_order_and_one_that_is_listed_twice_is_refused()
    {
        Assert.Equal(["a", "b.2"], Read(("Raft:Groups:0:Id", "a"), ("Raft:Groups:1:Id", "b.2")).Raft.Groups.Select(group => group.Id));
        Assert.Equal(["default"], Read().Raft.Groups.Select(group => group.Id));

        SettingsException refusal = Assert.Throws<SettingsException>(() => Read(
            ("Raft:Groups:0:Id", "a"), ("Raft:Groups:1:Id", "b"), ("Raft:Groups:2:Id", "a")));

        Assert.Equal(["Raft:Groups:2:Id is 'a'; allowed: each group once; Groups:0 has the same."], refusal.Faults);
    }

    [Fact]
    public void A_node_that_joins_need_not_be_listed_among_those_that_formed()
    {
        NodeSettings settings = Read([("Raft:NodeId", "n9"), ("Raft:Join:0", "http://127.0.0.1:1001"), .. Member(0, "n1", "http://127.0.0.1:1001")]);

        Assert.Equal(["http://127.0.0.1:1001"], settings.Raft.Join);
    }

    [Fact]
    public void Members_are_read_in_the_order_of_their_positions()
    {
        NodeSettings settings = Read([.. Enumerable.Range(0, 12).SelectMany(i => Member(i, $"n{i + 1}", $"http://127.0.0.1:{1001 + i}"))]);

        Assert.Equal(Enumerable.Range(1, 12).Select(i => $"n{i}"), settings.Raft.Members.Select(member => member.Id));
    }

    [Theory]
    [InlineData("--foo")]
    [InlineData("--dev-clutser", "3")]
    [InlineData("--dev-cluster", "none")]
    [InlineData("--dev-cluster")]
    [InlineData("--Raft:NodeId")]
    [InlineData("--config", "/no/such/file.json")]
    [InlineData("stray")]
    public void An_argument_that_is_not_known_is_refused(params string[] arguments) =>
        Assert.Throws<CommandLineException>(() => CommandLine.Parse(arguments));

    [Fact]
    public void Settings_and_switches_of_the_command_line_are_told_apart()
    {
        CommandLine commands = CommandLine.Parse(["--dev-cluster", "3", "--Raft:TickMs=20", "--Raft:ElectionTicks", "7", "--base-port", "9000"]);

        Assert.Equal(3, commands.DevClusterSize);
        Assert.Equal(9000, commands.BasePort);
        Assert.Equal(["--Raft:TickMs=20", "--Raft:ElectionTicks=7"], commands.Settings);
    }

    private static (string, string)[] Member(int position, string id, string peerUrl) =>
        [($"Raft:Members:{position}:Id", id), ($"Raft:Members:{position}:PeerUrl", peerUrl)];

    private static NodeSettings Read(params (string Key, string Value)[] settings) =>
        NodeSettings.Read(new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)))
            .Build());
}
