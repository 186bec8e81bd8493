using System.Globalization;
using System.Text;

namespace Raft.Chaos.Machine;

/// <summary>A bridge, and behind it a network namespace for each node: every node has an address of its own, and what is cut
/// off between nodes does not cut off the clients.</summary>
/// <remarks>Rules stand in the node's own namespace and hold what comes in from other nodes. They go with it.</remarks>
internal sealed class Network(RunPlace place)
{
    private const int ClientHost = 254;

    public string AddressOf(int node) => string.Create(CultureInfo.InvariantCulture, $"10.77.{place.Number}.{node}");

    public async Task CreateAsync()
    {
        string bridge = RunPlace.BridgeOf(place.Number);
        await Shell.RunAsync("ip", "link", "add", bridge, "type", "bridge");
        await Shell.RunAsync("ip", "address", "add", AddressOf(ClientHost) + "/24", "dev", bridge);
        await Shell.RunAsync("ip", "link", "set", bridge, "up");
    }

    /// <summary>Makes the namespace of a node, which is number 1, 2, 3 ...</summary>
    public async Task AddAsync(string name, int node)
    {
        // The outer end of the cable has the bridge's name with the node's behind it, and goes with the namespace.
        string cable = string.Create(CultureInfo.InvariantCulture, $"{RunPlace.BridgeOf(place.Number)}.{node}");
        await Shell.RunAsync("ip", "netns", "add", name);
        await Shell.RunAsync("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name);
        await Shell.RunAsync("ip", "link", "set", cable, "master", RunPlace.BridgeOf(place.Number), "up");
        await Shell.RunAsync("ip", "-n", name, "address", "add", AddressOf(node) + "/24", "dev", "eth0");
        await Shell.RunAsync("ip", "-n", name, "link", "set", "lo", "up");
        await Shell.RunAsync("ip", "-n", name, "link", "set", "eth0", "up");
    }

    /// <summary>What stands before a program that is to run in a namespace. It stays the same process.</summary>
    public static string[] Inside(string name) => ["nsenter", $"--net=/run/netns/{name}", "--"];

    /// <summary>Sets all rules for what comes in at a node; none lets everything in.</summary>
    public static Task SetRulesAsync(string name, IEnumerable<string> rules)
    {
        var text = new StringBuilder("*filter\n:INPUT ACCEPT [0:0]\n");
        foreach (string rule in rules)
            text.Append("-A INPUT ").Append(rule).Append('\n');
        string[] inside = Inside(name);
        return Shell.RunWithInputAsync(text.Append("COMMIT\n").ToString(), inside[0], [.. inside[1..], "iptables-restore"]);
    }
}
