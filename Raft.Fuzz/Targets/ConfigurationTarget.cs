using Raft.Engine.Protocol;

namespace Raft.Fuzz.Targets;

/// <summary>Configuration entries. What is read is written as it was.</summary>
internal sealed class ConfigurationTarget : FuzzTarget
{
    public override string Name => "configuration";

    public override IEnumerable<byte[]> Seeds() => [PeerSamples.Joint.Encode(), (PeerSamples.Joint with { Target = [] }).Encode(), Configuration.Empty.Encode()];

    public override string Run(byte[] input)
    {
        Configuration configuration;
        try
        {
            configuration = Configuration.Decode(input);
        }
        catch (InvalidDataException bad)
        {
            return bad.Message;
        }

        byte[] again = configuration.Encode();
        Configuration second = Configuration.Decode(again);
        Holds(second.Current.SequenceEqual(configuration.Current) && second.Previous.SequenceEqual(configuration.Previous)
            && second.Target.SequenceEqual(configuration.Target), "a configuration comes back from its own bytes");
        return Accepted;
    }
}
