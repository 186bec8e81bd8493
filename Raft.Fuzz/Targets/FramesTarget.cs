using System.Buffers;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>A stream of frames: cut at other places it is the same frames or the same refusal, and each frame is read by its kind.</summary>
internal sealed class FramesTarget : FuzzTarget
{
    private const int FrameBytesMax = 1 << 20;

    public override string Name => "frames";

    // A frame that claims a megabyte gets one, once, before its bytes are there.
    public override long AllocatedBytes => 8 << 20;

    public override IEnumerable<byte[]> Seeds()
    {
        using var writer = new FrameWriter();
        foreach (byte[] payload in PeerSamples.Messages().Take(3))
        {
            var address = new FrameAddress("default"u8.ToArray(), 1, 2);
            writer.Begin((FrameKind)payload[0], address);
            writer.Bytes(payload.AsSpan(1));
            writer.End();
        }

        byte[] all = writer.Written.ToArray();
        return [all, [.. all, .. all[..7]], [10, 0, 0, 0, 22, 0, 1, 0, 0, 0, 2, 0, 0, 0]];
    }

    public override string Run(byte[] input)
    {
        (List<byte[]> whole, string refusal) = Read(input, pieces: 1, isRenting: false);
        foreach (bool isRenting in (ReadOnlySpan<bool>)[false, true])
        {
            (List<byte[]> cut, string other) = Read(input, pieces: 1 + (input.Length % 7), isRenting);
            Holds(refusal == other && whole.Count == cut.Count && whole.Zip(cut).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second)), "frames do not depend on how they come");
        }

        return refusal;
    }

    private static (List<byte[]> Frames, string Refusal) Read(byte[] input, int pieces, bool isRenting)
    {
        var reader = new FrameReader(FrameBytesMax, isRenting);
        List<byte[]> frames = [];
        byte[] rest = [];
        try
        {
            int size = (input.Length / pieces) + 1;
            for (int at = 0; at < input.Length; at += size)
            {
                // What is less than a length stays with the caller, as in a pipe.
                rest = [.. rest, .. input[at..Math.Min(input.Length, at + size)]];
                var buffer = new ReadOnlySequence<byte>(rest);
                while (reader.TryRead(ref buffer, out Frame frame))
                {
                    _ = frame.Group.Length + frame.Payload.Length;
                    frames.Add(frame.Bytes.ToArray());
                    frame.Return();
                }

                rest = buffer.ToArray();
            }

            return (frames, Accepted);
        }
        catch (BadFrameException bad)
        {
            return (frames, bad.Message);
        }
        finally
        {
            reader.Abandon();
        }
    }
}
