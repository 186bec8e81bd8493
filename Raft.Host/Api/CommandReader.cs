using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Body -> command, within its limit.</summary>
/// <remarks>The body is read once, straight behind the command's header: the array is the entry from then on. A body without
/// a declared length is gathered in a pooled buffer first.</remarks>
internal static class CommandReader
{
    /// <summary>A command under construction: the header of it is written when the body is known.</summary>
    internal readonly record struct Body(byte[] Bytes, int Offset)
    {
        public ReadOnlySpan<byte> Payload => Bytes.AsSpan(Offset);
    }

    /// <summary>Reads the whole body; room for the header is left before it.</summary>
    /// <exception cref="ProblemException">413: over the limit, told before the rest is read.</exception>
    public static async ValueTask<Body> ReadAsync(HttpContext context, int headerBytes, int limit, CancellationToken cancellation)
    {
        HttpRequest request = context.Request;
        if (request.ContentLength > limit)
            throw new ProblemException(Problems.TooLarge(limit));

        // The server's own limit must not be below the configured one.
        if (limit > 30_000_000 && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = limit + 1L;

        if (request.ContentLength is { } length)
        {
            byte[] bytes = new byte[headerBytes + (int)length];
            int at = headerBytes;
            while (at < bytes.Length)
            {
                ReadResult read = await ReadSomeAsync(request.BodyReader, cancellation);
                ReadOnlySequence<byte> buffer = read.Buffer;
                if (buffer.IsEmpty && read.IsCompleted)
                    throw new BadHttpRequestException("The body ended before its Content-Length.");
                buffer.CopyTo(bytes.AsSpan(at));
                at += (int)buffer.Length;
                request.BodyReader.AdvanceTo(buffer.End);
            }

            return new Body(bytes, headerBytes);
        }

        return await ReadChunkedAsync(request.BodyReader, headerBytes, limit, cancellation);
    }

    private static async Task<Body> ReadChunkedAsync(PipeReader reader, int headerBytes, int limit, CancellationToken cancellation)
    {
        byte[] pooled = ArrayPool<byte>.Shared.Rent(4096);
        int at = 0;
        try
        {
            while (true)
            {
                ReadResult read = await ReadSomeAsync(reader, cancellation);
                ReadOnlySequence<byte> buffer = read.Buffer;
                if (at + buffer.Length > limit)
                {
                    reader.AdvanceTo(buffer.End);
                    throw new ProblemException(Problems.TooLarge(limit));
                }

                int needed = at + (int)buffer.Length;
                if (needed > pooled.Length)
                {
                    byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, pooled.Length * 2));
                    pooled.AsSpan(0, at).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(pooled);
                    pooled = larger;
                }

                buffer.CopyTo(pooled.AsSpan(at));
                at = needed;
                reader.AdvanceTo(buffer.End);
                if (!read.IsCompleted)
                    continue;

                byte[] bytes = new byte[headerBytes + at];
                pooled.AsSpan(0, at).CopyTo(bytes.AsSpan(headerBytes));
                return new Body(bytes, headerBytes);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(pooled);
        }
    }

    /// <summary>One read; hot path: mostly all is there.</summary>
    /// <remarks>A read that its token ends stays open in Kestrel, which then cannot drain the body and logs an error of its own. A
    /// cancelled pending read is a finished one.</remarks>
    private static ValueTask<ReadResult> ReadSomeAsync(PipeReader reader, CancellationToken cancellation)
    {
        ValueTask<ReadResult> reading = reader.ReadAsync(CancellationToken.None);
        return reading.IsCompleted ? reading : WaitAsync(reading, reader, cancellation);

        static async ValueTask<ReadResult> WaitAsync(ValueTask<ReadResult> reading, PipeReader reader, CancellationToken cancellation)
        {
            ReadResult read;
            await using (cancellation.UnsafeRegister(static state => ((PipeReader)state!).CancelPendingRead(), reader))
                read = await reading;
            if (!read.IsCanceled)
                return read;

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            throw new OperationCanceledException(cancellation);
        }
    }

    /// <summary>What makes two requests the same: method, resource, preconditions, content type and body.</summary>
    public static byte[] Sha256Of(
        string method, string group, string resource, ReadOnlySpan<byte> key, in Precondition precondition, string? contentType, ReadOnlySpan<byte> body)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AppendText(sha, method);
        AppendText(sha, group);
        AppendText(sha, resource);
        AppendSized(sha, key);
        AppendNumber(sha, (long)precondition.Kind);
        AppendNumber(sha, precondition.Revisions.Length);
        foreach (long revision in precondition.Revisions)
            AppendNumber(sha, revision);
        AppendText(sha, contentType ?? "");
        AppendSized(sha, body);
        return sha.GetHashAndReset();

        static void AppendText(IncrementalHash sha, string text) => AppendSized(sha, Encoding.UTF8.GetBytes(text));

        static void AppendSized(IncrementalHash sha, ReadOnlySpan<byte> bytes)
        {
            AppendNumber(sha, bytes.Length);
            sha.AppendData(bytes);
        }

        static void AppendNumber(IncrementalHash sha, long number)
        {
            Span<byte> bytes = stackalloc byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
            sha.AppendData(bytes);
        }
    }
}
