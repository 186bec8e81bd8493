using Microsoft.Extensions.Logging;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>A snapshot that the leader sends us, chunk by chunk, until it is in force and loaded. Rule 6. Only on the shard.</summary>
/// <remarks>
/// One content at a time, one chunk at a time. A change of term closes what is open; storage keeps the bytes, and the same
/// content goes on from there. Every chunk is answered, and its bytes are not touched after that.
/// </remarks>
internal sealed class SnapshotReception(RaftServer server, IRaftStorage storage, ServerMetrics metrics, ILogger logger)
{
    private const int AnswersMax = 16;

    private readonly List<(RemoteChunk Chunk, LogIndex? Match)> _answers = [];  // due when durable and loaded
    private RemoteChunk? _next;                 // waits for its turn
    private Content? _content;                  // open now
    private SnapshotDescriptor? _installing;    // in force with the next batch, and not loaded yet
    private bool _isRunning;
    private bool _isStopped;

    private Term Term => server.Protocol.CurrentTerm;

    public void Receive(RemoteChunk chunk)
    {
        SnapshotChunk said = chunk.Chunk;
        switch (server.Protocol.JudgeSnapshot(chunk.From, said.SenderStart, said.Term, said.CommitIndex, said.Snapshot))
        {
            case SnapshotVerdict.NotNeeded:
                AnswerLater(chunk, match: null);
                break;
            case SnapshotVerdict.Wanted when _installing is null:
                Process(chunk);
                break;
            default:
                Refuse(chunk);
                break;
        }

        server.SchedulePoll();
    }

    /// <summary>Something became durable, or was applied: some answers may be due.</summary>
    public void Review()
    {
        if (_installing is { } installing && server.LoadedIndex >= installing.Index)
            _installing = null;
        if (_answers.Count == 0 || _installing is not null)
            return;

        for (int i = _answers.Count - 1; i >= 0; i--)
        {
            (RemoteChunk chunk, LogIndex? match) = _answers[i];
            LogIndex durable = server.Protocol.DurableIndex;
            if (durable < chunk.Chunk.Snapshot.Index || !server.Protocol.IsTermDurable)
                continue;       // the answer is of this term, and says what is on the disk: both must be. Rule 1

            // Whoever leads our term has all that is committed. A leader of another term may not. PhD 3.6.3
            _answers.RemoveAt(i);
            if (Term != chunk.Chunk.Term)
                Refuse(chunk);
            else
                Answer(chunk, SnapshotStatus.Installed, matchIndex: match ?? LogIndex.Min(durable, server.Protocol.CommitIndex));
        }
    }

    /// <summary>What a leader of an earlier term began to send ends here; so does what the log has brought meanwhile.</summary>
    public void CloseOutdated()
    {
        if (_content is not { } content || content.Abort.IsCancellationRequested)
            return;
        if (content.Term == Term && content.Snapshot.Index > server.Protocol.CommitIndex)
            return;

        server.Quietly(content.Abort.Cancel);
        Run();
    }

    public void Stop()
    {
        _isStopped = true;
        foreach ((RemoteChunk chunk, LogIndex? _) in _answers)
            Refuse(chunk);
        _answers.Clear();
        if (_next is { } next)
            Refuse(next);
        _next = null;
        if (_content is { } content)
        {
            server.Quietly(content.Abort.Cancel);
            Run();
        }
    }

    private void Process(RemoteChunk chunk)
    {
        // A sender has one chunk outstanding at a time: either it has given the other one up, or this one comes late.
        if (_next is { } other && _content is { } content && content.IsOf(other))
            Answer(other, SnapshotStatus.Continue, content.NextOffset);
        else if (_next is { } unwanted)
            Refuse(unwanted);
        _next = chunk;
        Run();
    }

    private void Run()
    {
        if (_isRunning)
            return;

        _isRunning = true;
        server.StopOnFailure(RunAsync());
    }

    private async Task RunAsync()
    {
        while (true)
        {
            if (_content is { Abort.IsCancellationRequested: true })
            {
                await CloseAsync();
            }
            else if (_next is { } chunk)
            {
                _next = null;
                try
                {
                    await ProcessAsync(chunk);
                }
                finally
                {
                    if (!chunk.IsAnsweredLater)
                        Refuse(chunk);      // unless it was answered
                }
            }
            else
            {
                break;
            }
        }

        _isRunning = false;
    }

    private async Task ProcessAsync(RemoteChunk chunk)
    {
        SnapshotDescriptor snapshot = chunk.Chunk.Snapshot;
        if (_content is { } other && !other.IsOf(chunk))
            await CloseAsync();
        if (_isStopped || Term != chunk.Chunk.Term)
            return;

        Content content = _content ??= new Content(chunk);
        try
        {
            CancellationToken abort = content.Abort.Token;
            if (content.Receiver is null)
            {
                content.Receiver = await storage.ReceiveSnapshotAsync(snapshot, abort);
                content.NextOffset = content.Receiver.NextOffset;
                logger.ReceivesSnapshot(server.GroupId, chunk.From, snapshot.Index, snapshot.SizeBytes, content.Receiver.NextOffset);
            }

            ReadOnlyMemory<byte> bytes = chunk.Chunk.Bytes;
            long missing = snapshot.SizeBytes - content.NextOffset;
            if (bytes.Length > 0 && chunk.Chunk.Offset == content.NextOffset && bytes.Length <= missing)
            {
                await content.Receiver.WriteAsync(bytes, abort);
                content.NextOffset = content.Receiver.NextOffset;
                metrics.OnSnapshotBytesReceived(bytes.Length);
            }

            if (content.NextOffset < snapshot.SizeBytes)
            {
                Answer(chunk, SnapshotStatus.Continue, nextOffset: content.NextOffset);
                return;
            }

            SnapshotFile file = await content.Receiver.CompleteAsync(abort);
            await CloseAsync();
            Install(chunk, snapshot with { SnapshotId = file.SnapshotId });
        }
        catch (OperationCanceledException)
        {
            // Refused: it was aborted, or storage has given it up, since a snapshot of our own covers as much.
            await CloseAsync();
        }
        catch (RaftException error) when (error is OutOfSpaceException or OverloadedException)
        {
            // Refused: the leader asks again. Storage has said what is the matter.
            await CloseAsync();
        }
        catch (InvalidDataException error)
        {
            logger.SnapshotIsWrong(server.GroupId, chunk.From, snapshot.Index, error.Message);
            await CloseAsync();
        }
    }

    private void Install(RemoteChunk chunk, SnapshotDescriptor snapshot)
    {
        if (_isStopped || !server.Protocol.InstallSnapshot(chunk.From, chunk.Chunk.Term, snapshot))
            return;

        _installing = snapshot;
        metrics.OnSnapshotInstalled();
        logger.InstallsSnapshot(server.GroupId, chunk.From, snapshot.Index, snapshot.Term);
        AnswerLater(chunk, snapshot.Index);
        server.SchedulePoll();
    }

    private async Task CloseAsync()
    {
        if (_content is not { } content)
            return;

        _content = null;
        if (content.Receiver is not null)
            await content.Receiver.DisposeAsync();
        content.Abort.Dispose();
    }

    private void AnswerLater(RemoteChunk chunk, LogIndex? match)
    {
        // Whoever asks again and again has long given up the first.
        if (_answers.Count == AnswersMax)
        {
            Refuse(_answers[0].Chunk);
            _answers.RemoveAt(0);
        }

        chunk.IsAnsweredLater = true;
        _answers.Add((chunk, match));
        Review();
    }

    private void Answer(RemoteChunk chunk, SnapshotStatus status, long nextOffset = 0, LogIndex matchIndex = default) =>
        chunk.TrySetResult(new SnapshotReply(Term, status, nextOffset, matchIndex));

    private void Refuse(RemoteChunk chunk) => Answer(chunk, SnapshotStatus.Refused);

    /// <summary>What is being received, from whom, and in which term.</summary>
    private sealed class Content(RemoteChunk first)
    {
        public Term Term { get; } = first.Chunk.Term;
        public SnapshotDescriptor Snapshot { get; } = first.Chunk.Snapshot;
        public CancellationTokenSource Abort { get; } = new();
        public ISnapshotReceiver? Receiver { get; set; }

        /// <summary>Bytes that are there; a chunk that is being written does not count yet.</summary>
        public long NextOffset { get; set; }

        public bool IsOf(RemoteChunk chunk)
        {
            SnapshotDescriptor other = chunk.Chunk.Snapshot;
            return Term == chunk.Chunk.Term && (Snapshot.Index, Snapshot.Term, Snapshot.SizeBytes, Snapshot.Hash) == (other.Index, other.Term, other.SizeBytes, other.Hash);
        }
    }
}

/// <summary>A chunk that a leader sent us.</summary>
internal sealed class RemoteChunk(RaftServer server, ServerId from, SnapshotChunk chunk)
    : TaskCompletionSource<SnapshotReply>(TaskCreationOptions.RunContinuationsAsynchronously), ICall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }

    public void Begin() => server.Begin(this);

    public void Break(Exception error) => Refuse();

    public void Overloaded(string detail) => Refuse();

    public void Stop(string reason) => Refuse();

    public void Refuse() => TrySetResult(new SnapshotReply(server.CurrentTerm, SnapshotStatus.Refused, NextOffset: 0, LogIndex.Zero));

    public ServerId From { get; } = from;
    public SnapshotChunk Chunk { get; } = chunk;

    /// <summary>Its answer waits for the disk, or for the state machine.</summary>
    public bool IsAnsweredLater { get; set; }
}
