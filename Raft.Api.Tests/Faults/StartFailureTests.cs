using System.Net.Sockets;
using System.Runtime.Versioning;
using Raft.Api.Tests.Support;
using Raft.Host;
using Raft.Host.Hosting;
using Raft.Host.Settings;
using Xunit.Abstractions;
using NodeProcess = Raft.Api.Tests.Support.NodeProcess;

namespace Raft.Api.Tests.Faults;

/// <summary>Every start that fails ends in a sentence with cause and remedy; nothing that is printed ends a node.</summary>
[Collection(ProcessCollection.Name)]
public sealed class StartFailureTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("file", "must be a directory")]
    [InlineData("file/below", "must be a directory")]
    [InlineData("dangling", "symbolic link that leads nowhere")]
    [InlineData("loop/below", "lead in a circle")]
    [InlineData("locked", "must be a file")]
    [InlineData("halfway", "must be a directory")]
    [InlineData("/proc/data", "Make it, or correct the path")]
    [InlineData("long", "choose a shorter one")]
    public async Task A_data_directory_that_cannot_be_used_is_named_with_the_remedy(string name, string remedy)
    {
        using var directory = new TempDirectory();
        await File.WriteAllTextAsync(directory["file"], "");
        File.CreateSymbolicLink(directory["dangling"], directory["nowhere"]);
        File.CreateSymbolicLink(directory["loop"], directory["loop"]);
        Directory.CreateDirectory(directory["locked/lock"]);
        Directory.CreateDirectory(directory["halfway"]);
        await File.WriteAllTextAsync(directory["halfway/current"], "");
        string path = Path.Combine(directory[""], name == "long" ? new string('x', 300) : name);
        await FailsAsync(node => node.Settings["Raft__DataDirectory"] = path, 1, path, remedy);
    }

    [Fact]
    public async Task A_directory_of_another_user_is_named_with_the_remedy()
    {
        if (!Environment.IsPrivilegedProcess)
            return;

        using var directory = new TempDirectory();
        await FailsAsync(
            node =>
            {
                node.Wrapper.AddRange(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
                node.Settings["Raft__DataDirectory"] = "/root/data-of-nobody";
            },
            1, "/root/data-of-nobody", "writable for the user");
    }

    [Theory]
    [InlineData("[1]", "Correct the file")]
    [InlineData("", "Correct the file")]
    [InlineData("{\"Logging\":{\"LogLevel\":{\"Default\":\"Loud\"}}}", "allowed: Trace")]
    public async Task A_file_of_settings_that_is_none_is_named(string content, string remedy)
    {
        using var directory = new TempDirectory();
        await File.WriteAllTextAsync(directory["mine.json"], content);
        await FailsAsync(node => node.Arguments.AddRange(["--config", directory["mine.json"]]), 2, content.Contains("Loud", StringComparison.Ordinal) ? "Logging:LogLevel:Default" : directory["mine.json"], remedy);
    }

    [Fact]
    public async Task A_directory_instead_of_a_file_of_settings_is_named()
    {
        using var directory = new TempDirectory();
        await FailsAsync(node => node.Arguments.AddRange(["--config", directory[""]]), 2, directory[""], "is a directory");
    }

    [SkippableFact]
    [UnsupportedOSPlatform("windows")]
    public async Task A_file_of_settings_that_may_not_be_read_is_named()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "It starts the node as another user: run the tests as root.");

        using var directory = new TempDirectory();
        File.SetUnixFileMode(directory[""], UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.OtherExecute | UnixFileMode.OtherRead);
        await File.WriteAllTextAsync(directory["mine.json"], "{}");
        File.SetUnixFileMode(directory["mine.json"], UnixFileMode.None);
        await FailsAsync(
            node =>
            {
                node.Wrapper.AddRange(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
                node.Arguments.AddRange(["--config", directory["mine.json"]]);
            },
            2, directory["mine.json"], "readable");
    }

    [Fact]
    public async Task A_working_directory_that_was_deleted_ends_the_start_with_a_sentence()
    {
        using var directory = new TempDirectory();
        await FailsAsync(
            node => node.Wrapper.AddRange(["sh", "-c", "mkdir \"$0\"; cd \"$0\"; rmdir \"$0\"; exec \"$@\"", directory["gone"]]), 2, "working directory", "Start it in another one");
    }

    [Theory]
    [InlineData("http://192.0.2.1:18080", "no network interface")]
    [InlineData("http://[fe80::1]:18080", "needs its interface")]
    [InlineData("http://[fe80::1%lo]:18080", "[fe80::1%lo]")]
    public async Task An_address_that_cannot_be_listened_at_is_told_as_it_was_written(string url, string text) => await FailsAsync(
        node =>
        {
            node.Settings["Kestrel__Endpoints__Peer__Url"] = url;
            node.Settings["Raft__Security__AllowInsecure"] = "true";
            node.Settings["Raft__Members__0__Id"] = node.Id;        // how others reach it is not the question here
            node.Settings["Raft__Members__0__PeerUrl"] = "http://127.0.0.1:18080";
        },
        1, "Kestrel:Endpoints:Peer:Url", text, "other process");

    [Theory]
    [InlineData(">&-")]
    [InlineData(">&- 2>&- <&-")]
    [InlineData(">/dev/full")]
    [InlineData(">/dev/full 2>/dev/full")]
    public async Task A_node_whose_output_goes_nowhere_serves(string redirection)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node =>
        {
            node.Settings["Raft__Bootstrap"] = "true";
            node.Wrapper.AddRange(["sh", "-c", $"exec \"$0\" \"$@\" {redirection}"]);
        });
        await cluster[0].StartAndWaitUntilReadyAsync();
        await cluster[0].AppendAsync("x");
        Assert.Equal(["x"], await Journal.ReadAllAsync(cluster[0]));
        foreach (int descriptor in (int[])[0, 1, 2])
            Assert.DoesNotContain(cluster[0].DataDirectory, File.ResolveLinkTarget($"/proc/{cluster[0].ProcessId}/fd/{descriptor}", returnFinalTarget: false)?.FullName ?? "", StringComparison.Ordinal);
        Assert.Equal(0, await cluster[0].StopAsync());
    }

    [Fact]
    public async Task A_node_whose_output_nobody_reads_serves_and_stops()
    {
        using var directory = new TempDirectory();
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node =>
        {
            node.Settings["Raft__Bootstrap"] = "true";
            node.Settings["Logging__LogLevel__Default"] = "Trace";      // far more than a pipe and the logger's queue hold
            node.Wrapper.AddRange(["sh", "-c", "mkfifo \"$0\"; exec 3<>\"$0\"; exec \"$@\" >\"$0\" 2>&1", directory["pipe"]]);
        });
        await cluster[0].StartAndWaitUntilReadyAsync();
        for (int n = 0; n < 300; n++)
            await cluster[0].AppendAsync($"{n}");
        Assert.Equal(300, (await Journal.ReadAllAsync(cluster[0])).Count);
        Assert.Equal(0, await cluster[0].StopAsync());
    }

    [Fact]
    public async Task Bad_settings_end_with_their_code_though_nobody_can_read_why() => Assert.Equal(2, await ExitAsync(node =>
    {
        node.Settings["Raft__TickMs"] = "fast";
        node.Wrapper.AddRange(["sh", "-c", "exec \"$0\" \"$@\" >/dev/full 2>&-"]);
    }));

    [Theory]
    [InlineData(SocketError.AccessDenied, "1024")]
    [InlineData(SocketError.AddressAlreadyInUse, "in use")]
    [InlineData(SocketError.AddressFamilyNotSupported, "IPv4")]
    [InlineData(SocketError.TooManyOpenSockets, "ulimit")]
    public void What_a_socket_says_has_a_cause_and_a_remedy(SocketError code, string text)
    {
        var settings = new EndpointOptions(new Uri("http://10.0.0.1:80"), new Uri("http://10.0.0.1:81"));
        string sentence = ListenException.Of(new SocketException((int)code), settings).Message;
        Assert.Contains(text, sentence, StringComparison.Ordinal);
        Assert.Contains(EndpointOptions.ApiKey, sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(5, "SMART")]
    [InlineData(13, "user of this process")]
    [InlineData(17, "must be a directory")]
    [InlineData(24, "open files")]
    [InlineData(28, "Make room")]
    [InlineData(30, "read-only")]
    [InlineData(36, "too long")]
    [InlineData(40, "circle")]
    public void What_the_system_says_has_a_remedy(int errno, string remedy) => Assert.Contains(remedy, SystemErrors.RemedyOf(errno), StringComparison.Ordinal);

    [Fact]
    public void Whatever_is_thrown_becomes_one_sentence()
    {
        StartFailure failure = StartFailure.Of(new InvalidOperationException("Something\nstrange."));
        Assert.Equal("The node cannot start: Something strange. If it is not clear what to do, report it with this line.", failure.Sentence);
        Assert.Equal(FatalExit.Failure, failure.ExitCode);
    }

    [Fact]
    public void A_path_that_may_not_be_used_is_named()
    {
        StartFailure failure = StartFailure.Of(new UnauthorizedAccessException("Access to the path '/data' is denied.", new IOException("Permission denied")));
        Assert.Equal("The node cannot start: Access to the path '/data' is denied. Make it readable for the user of this process.", failure.Sentence);
    }

    [Theory]
    [InlineData("http://[fe80::1%eth0]:8080", "http://[fe80::1%eth0]:8080")]
    [InlineData("http://[::1]:8080", "http://[::1]:8080")]
    [InlineData("http://Host:80/", "http://host")]
    public void The_scope_of_an_address_is_kept(string url, string expected)
    {
        Assert.Equal(expected, BoundEndpoints.UrlOf(bound: null, new Uri(url)));
        Assert.Equal(expected, FirstConfiguration.Normal(url));
    }

    private async Task FailsAsync(Action<NodeProcess> configure, int code, string what, string remedy, string? not = null)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, configure);
        cluster[0].Start();
        Assert.Equal(code, await cluster[0].ExitAsync());
        Assert.Contains(what, cluster[0].Output, StringComparison.Ordinal);
        Assert.Contains(remedy, cluster[0].Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", cluster[0].Output, StringComparison.Ordinal);
        Assert.DoesNotContain("SMART", cluster[0].Output, StringComparison.Ordinal);
        if (not is not null)
            Assert.DoesNotContain(not, cluster[0].Output, StringComparison.Ordinal);
    }

    private async Task<int> ExitAsync(Action<NodeProcess> configure)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, configure);
        cluster[0].Start();
        return await cluster[0].ExitAsync();
    }
}
