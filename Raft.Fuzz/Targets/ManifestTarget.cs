using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;

namespace Raft.Fuzz.Targets;

/// <summary>The manifest, and the file that says what a node was before: read as they were written, or refused.</summary>
internal sealed class ManifestTarget : FuzzTarget
{
    private static readonly Manifest _manifest = new(PeerSamples.From.Node, PeerSamples.From.Storage, new ClusterUid(5), Salt: 99, DataId: 1, SegmentBytes: 16_384);
    private static readonly Former _former = new(new ClusterUid(5), PeerSamples.From.Node, [PeerSamples.From.Storage, PeerSamples.To.Storage]);

    public override string Name => "manifest";

    public override IReadOnlyList<byte[]> Dictionary { get; } =
        [Utf8("null"), Utf8("\"\""), Utf8("{"), Utf8("}"), Utf8("[null]"), Utf8("\\ud800"), Utf8("-1"), Utf8("1e99"), Utf8("\"nodeId\":"), Utf8(" "), Utf8("\n"), Utf8(",\"a\":1")];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (Action<IStorageFiles> write in (Action<IStorageFiles>[])[files => _manifest.Write(files, "d"), files => _former.Write(files, "d")])
        {
            var file = new OneFile("any", []);
            write(file);
            yield return file.Content;
        }
    }

    public override string Run(byte[] input)
    {
        string first = Outcome(() => Holds(Manifest.Read(new OneFile(Manifest.FileName, input), "d") == _manifest, "no changed manifest is taken"));
        string second = Outcome(() =>
        {
            Former? former = Former.Read(new OneFile(Former.FileName, input), "d");
            Holds(former is not null && former.NodeId == _former.NodeId && former.ClusterUid == _former.ClusterUid && former.StorageIds.SequenceEqual(_former.StorageIds), "no changed file of the past is taken");
        });
        return first == Accepted || second == Accepted ? Accepted : $"{first}; {second}";
    }

    private static string Outcome(Action read)
    {
        try
        {
            read();
            return Accepted;
        }
        catch (Exception refusal) when (refusal is CorruptStorageException or DataDirectoryException)
        {
            return refusal.Message;
        }
    }
}
