using Raft.Engine.Plugins;
using Raft.Host.Hosting;

namespace Raft.Host;

/// <summary>What an embedder may change of a node.</summary>
public sealed class RaftHostBuilder
{
    private readonly StateMachineFactory _stateMachines;

    internal RaftHostBuilder(IServiceCollection services, StateMachineFactory stateMachines)
    {
        Services = services;
        _stateMachines = stateMachines;
    }

    public IServiceCollection Services { get; }

    /// <summary>Every group has an instance of <typeparamref name="T"/> in place of the built-in store: POST /v1/entries hands its
    /// bytes to it and answers with its result.</summary>
    /// <typeparam name="T">Its constructor may ask for any service, and for the id of the group
    /// (<see cref="Engine.Protocol.GroupId"/>).</typeparam>
    public RaftHostBuilder UseStateMachine<T>()
        where T : class, IStateMachine
    {
        _stateMachines.Use<T>();
        return this;
    }
}
