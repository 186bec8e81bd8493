using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Raft.Host.Api;

namespace Raft.Fuzz.Targets;

/// <summary>Bodies of writes, with and without a length, in pieces. First byte: whether there is a length; second: by how much it
/// is wrong; third: the size of the pieces; the rest: the body.</summary>
internal sealed class BodiesTarget : FuzzTarget
{
    private const int Limit = 256;
    private const int HeaderBytes = 20;

    public override string Name => "bodies";

    public override IEnumerable<byte[]> Seeds() => [[0, 0, 9, .. Utf8("the body of a write")], [1, 0, 3, .. Utf8("the body of a write")], [1, 200, 3, 1, 2], [0, 0, 1, .. new byte[300]]];

    public override string Run(byte[] input)
    {
        if (input.Length < 3)
            return "too short";
        byte[] body = input[3..];
        bool hasLength = input[0] % 2 == 1;
        long length = Math.Max(0, body.Length + (sbyte)input[1]);
        if (hasLength && length < body.Length)
            body = body[..(int)length];     // no server hands on more
        var context = new DefaultHttpContext();
        context.Features.Set<IRequestBodyPipeFeature>(new PipeFeature(PipeReader.Create(new PiecesStream(body, 1 + input[2]))));
        context.Request.ContentLength = hasLength ? length : null;
        try
        {
            CommandReader.Body read = CommandReader.ReadAsync(context, HeaderBytes, Limit, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            Holds(read.Offset == HeaderBytes && read.Payload.SequenceEqual(body), "the body is read as it was sent");
            return Accepted;
        }
        catch (ProblemException problem)
        {
            Holds(problem.Problem.Status == 413 && (hasLength ? length : body.Length) > Limit, "only what is over the limit is too large");
            return "too large";
        }
        catch (BadHttpRequestException)
        {
            Holds(hasLength && length > body.Length, "only what ends before its length is cut off");
            return "cut off";
        }
    }

    private sealed class PipeFeature(PipeReader reader) : IRequestBodyPipeFeature
    {
        public PipeReader Reader => reader;
    }

    /// <summary>Gives a few bytes at a time.</summary>
    private sealed class PiecesStream(byte[] bytes, int piece) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, piece));

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, piece)]);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));
    }
}
