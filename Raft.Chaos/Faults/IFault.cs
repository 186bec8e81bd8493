namespace Raft.Chaos.Faults;

/// <summary>Something bad that is done to a cluster and taken back.</summary>
internal interface IFault
{
    /// <summary>Does it. False when there was nobody to do it to: then it does not count.</summary>
    Task<bool> BeginAsync();

    /// <summary>What was done, to whom; known once it has begun.</summary>
    string Describe();

    /// <summary>Takes it back. Called whatever became of the beginning.</summary>
    Task EndAsync();
}
