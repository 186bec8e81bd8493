using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>The contract of the network, on real sockets.</summary>
public sealed class PeerRpcTests : RpcContract
{
    protected override async ValueTask<RpcNetwork> CreateNetworkAsync(int servers)
    {
        var network = new Network();
        for (int n = 0; n < servers; n++)
            await network.AddAsync(n);

        await network.ConnectAsync();
        return network;
    }

    private sealed class Network : RpcNetwork
    {
        private readonly List<PeerNode> _nodes = [];
        private readonly List<Member> _members = [];

        public override IReadOnlyList<Member> Members => _members;

        public async Task AddAsync(int n)
        {
            NodeIdentity identity = PeerNode.IdentityOf($"n{n}", (uint)(100 + n), start: StartCountOf(n), nonce: (ulong)n);
            PeerNode node = await PeerNode.StartAsync(identity);
            _nodes.Add(node);
            _members.Add(node.MemberOf(identity));
        }

        /// <summary>A group of its own holds the connections, so that no test meets one that is not up yet.</summary>
        public async Task ConnectAsync()
        {
            foreach (PeerNode node in _nodes)
                node.Transport.Group(new GroupId("all")).ConfigurationChanged(Configuration.Of(_members));

            foreach (PeerNode node in _nodes)
                await Eventually.HoldsAsync(() => node.Transport.Peers.All(peer => peer.IsConnected), "all connections", node.Explain);
        }

        public override IRaftRpc Rpc(int server, GroupId group) => _nodes[server].Transport.Group(group);

        public override long StartCountOf(int server) => 7 + server;

        public override ValueTask KillAsync(int server) => _nodes[server].DisposeAsync();

        public override async ValueTask DisposeAsync()
        {
            foreach (PeerNode node in _nodes)
                await node.DisposeAsync();
        }
    }
}
