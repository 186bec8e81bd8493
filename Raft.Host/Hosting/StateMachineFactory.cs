using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>Makes each group's state machine: the built-in store, or the embedder's own.</summary>
internal sealed class StateMachineFactory
{
    private Func<IServiceProvider, GroupId, IStateMachine> _make = static (services, _) => ActivatorUtilities.CreateInstance<Store>(services);

    /// <summary>A constructor may ask for any service, and for the id of the group.</summary>
    public void Use<T>()
        where T : class, IStateMachine
    {
        bool asksForGroup = Array.Exists(typeof(T).GetConstructors(), constructor =>
            Array.Exists(constructor.GetParameters(), parameter => parameter.ParameterType == typeof(GroupId)));
        _make = asksForGroup
            ? static (services, group) => ActivatorUtilities.CreateInstance<T>(services, group)
            : static (services, _) => ActivatorUtilities.CreateInstance<T>(services);
    }

    public IStateMachine Make(IServiceProvider services, GroupId group) => _make(services, group);
}
