// A cluster of three in one process, with a network, disks and a state machine of its own. It tells what happens, and ends by itself.
using System.Diagnostics;
using System.Text;
using Embedded;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
var network = new InProcessNetwork();
Member[] members = [.. Enumerable.Range(1, 3).Select(n =>
    new Member(new NodeId($"n{n}"), new StorageId((UInt128)n), MemberKind.Voter, PeerUrl: "", ApiUrl: ""))];
Configuration first = Configuration.Of(members);
Node[] nodes = [.. members.Select(member => new Node(network, member))];
foreach (Node node in nodes)
{
    await node.FormAsync(first);
    await node.StartAsync();
}

ServerId firstLeader = await nodes[0].Server.WaitForLeaderAsync(patience.Token);
Console.WriteLine($"{firstLeader.Node} leads.");

// Any member takes a write; the result is that of the state machine of the one that was asked.
Node leader = nodes.Single(node => node.Id == firstLeader);
Node follower = nodes.First(node => node != leader);
AddedEntry hello = await AddAsync(follower, "hello");
Console.WriteLine($"{follower.Id.Node} took 'hello': entry {hello.Index}, word number {hello.Result}.");

var clock = Stopwatch.StartNew();
await leader.KillAsync();
Console.WriteLine($"{leader.Id.Node} was killed.");
AddedEntry world = await AddAsync(follower, "world");
Console.WriteLine($"{follower.Id.Node} took 'world': entry {world.Index} of term {world.Term}, word number {world.Result}, {clock.ElapsedMilliseconds} ms after the kill.");
Console.WriteLine($"{(await follower.Server.WaitForLeaderAsync(patience.Token)).Node} leads.");

// The log goes once a snapshot holds it, so whoever was away is sent the snapshot.
for (int n = 1; n <= 1_000; n++)
    await AddAsync(follower, $"word {n}");
foreach (Node node in nodes.Where(node => node.IsUp))
{
    SnapshotDescriptor? snapshot = await node.Server.TriggerSnapshotAsync(patience.Token);
    Console.WriteLine($"{node.Id.Node} took a snapshot of index {snapshot?.Index}: {snapshot?.SizeBytes} bytes; its log begins at {node.Server.Status.FirstIndex}.");
}

await leader.StartAsync();
Console.WriteLine($"{leader.Id.Node} is back.");

// Linearizable, on any member: after the barrier it has applied all that was acknowledged before the call.
LogIndex applied = await leader.Server.ReadBarrierAsync(patience.Token);
Console.WriteLine($"{leader.Id.Node} has applied index {applied} and knows {leader.Machine.Words.Count} words; the second is '{leader.Machine.Words[1]}'.");

bool isEqual = true;
foreach (Node node in nodes)
{
    await node.Server.ReadBarrierAsync(patience.Token);
    isEqual &= node.Machine.Words.SequenceEqual(nodes[0].Machine.Words);
}

Console.WriteLine(isEqual ? "All three hold the same words." : "The members differ!");
foreach (Node node in nodes)
    await node.DisposeAsync();
return isEqual ? 0 : 1;

Task<AddedEntry> AddAsync(Node node, string word) => node.Server.AddEntryAsync(Encoding.UTF8.GetBytes(word), WaitFor.Applied, patience.Token);
