using Raft.Engine.Errors;

namespace Raft.Host.Storage;

/// <summary>
/// LiteDB's data file: a checkpoint is written whole or not at all. Write collects pages; <see cref="WriteCollected"/> writes them first into one
/// of two copy files, then a header that makes the copy count, then in place. Every page carries a checksum in its
/// bytes 14-17, which LiteDB leaves at 0xFFFFFFFF in what a checkpoint writes; that it is the page of the last checkpoint, and not of one
/// before, is known by <see cref="PageHashes"/>.
/// </summary>
/// <remarks>LiteDB must see no failing write: it hangs after one. So it only collects, and where the disk has no room the pages
/// stay collected, are read from there, and are written later. Until then the write-ahead log holds what is in them.</remarks>
internal sealed class CheckpointStream : Stream
{
    public const int PageBytes = 8192;

    private readonly IStorageFile _data;
    private readonly CheckpointCopies? _copies;      // null: a file that is not in force yet
    private readonly Action<long, long> _onWritten;
    private readonly SortedDictionary<long, byte[]> _collected = [];
    private readonly Stack<byte[]> _pool = new();
    private readonly byte[] _piece;
    private long _dataLength;
    private long _collectedEnd;
    private long _reservedEnd;
    private long _position;

    private CheckpointStream(IStorageFile data, CheckpointCopies? copies, int pieceBytes, Action<long, long> onWritten)
    {
        _piece = GC.AllocateUninitializedArray<byte>(pieceBytes);
        _data = data;
        _copies = copies;
        _onWritten = onWritten;
        _dataLength = data.Length;
    }

    /// <summary>Step 1 of opening: every page is read, and must be that of the last checkpoint, or be replaced by it; only then is a
    /// checkpoint that was cut off written again. Harmless to repeat.</summary>
    /// <param name="data">The data file.</param>
    /// <param name="copies">Its copy files, loaded.</param>
    /// <param name="pieceBytes">What is read or written, and synced, at once.</param>
    /// <param name="onWritten">Hears of bytes written into the copy, and in place.</param>
    /// <param name="repeated">How many pages were written again.</param>
    /// <exception cref="CorruptStorageException">The data file is not that of the last checkpoint; nothing was written.</exception>
    public static CheckpointStream Open(IStorageFile data, CheckpointCopies copies, int pieceBytes, Action<long, long> onWritten, out int repeated)
    {
        var stream = new CheckpointStream(data, copies, pieceBytes, onWritten) { WalPosition = copies.Position };
        SortedDictionary<long, byte[]>? pages = copies.IsEmpty ? null : copies.TryReadBody();
        try
        {
            stream.ReadAll(copies.Pages, pages);
            if (copies.FindOther(stream.Hashes) is { } page)
                throw Damage.In(data.Path, (long)page * PageBytes, $"from here on are pages that checkpoint {copies.Number} did not leave so: they are older, or of another place");
        }
        catch (CorruptStorageException) when (pages is null && !copies.IsEmpty)
        {
            throw copies.DamagedBody();
        }

        // The page cache may show what the disk lacks, and one of the two headers may be gone: they are written again in any case.
        if (pages is null && !copies.IsEmpty)
            copies.WriteEmpty();                    // its pages are in place, so nobody needs that body
        else
            copies.WriteHeader();
        if (pages is not null)
            stream.WriteInPlace(pages);
        repeated = pages?.Count ?? 0;
        return stream;
    }

    /// <summary>As <see cref="Open"/> for database format 1, which did not say what a checkpoint left unchanged: each page must fit its
    /// checksum, and from now on it must be that very page.</summary>
    public static CheckpointStream Upgrade(
        IStorageFile data, CheckpointCopies copies, (long Number, SortedDictionary<long, byte[]>? Pages) last, int pieceBytes, Action<long, long> onWritten)
    {
        var stream = new CheckpointStream(data, copies, pieceBytes, onWritten) { WalPosition = -1 };
        if (last.Pages is { } pages)
            stream.WriteInPlace(pages);
        stream.ReadAll((int)(data.Length / PageBytes), over: null);
        copies.Begin(last.Number + 1, stream.Hashes);
        return stream;
    }

    /// <summary>A new data file that nobody relies on yet, so it needs no copies: when it is cut off it is deleted.</summary>
    public static CheckpointStream Aside(IStorageFile data, int pieceBytes, Action<long, long> onWritten) => new(data, null, pieceBytes, onWritten);

    /// <summary>What each page of the file must be.</summary>
    public PageHashes Hashes { get; } = new();

    /// <summary>The WAL sequence that the next Flush puts into the file. Set before it.</summary>
    public long WalPosition { get; set; }

    /// <summary>The number of the last checkpoint.</summary>
    public long Number => _copies?.Number ?? 0;

    /// <summary>Any thread.</summary>
    public long FileBytes => Volatile.Read(ref _dataLength);

    /// <summary>How often Flush has come; a checkpoint must bring exactly one.</summary>
    public int Flushes { get; private set; }

    /// <summary>Pages of the last Flush.</summary>
    public int FlushedPages { get; private set; }

    /// <summary>Set when a write, read or sync failed. LiteDB may swallow exceptions, so its caller looks here.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Pages wait for <see cref="WriteCollected"/>.</summary>
    public bool HasCollected => _collected.Count > 0;

    public override bool CanRead => true;
    public override bool CanSeek => true;
    public override bool CanWrite => true;

    public override long Length => Math.Max(_dataLength, _collectedEnd);

    public override long Position
    {
        get => _position;
        set => _position = value;
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        Guard(_position % PageBytes == 0 && count % PageBytes == 0, "read", "not whole pages");
        int done = 0;
        while (done < count && _position < Length)
        {
            ReadPage(_position / PageBytes, buffer.AsSpan(offset + done, PageBytes));
            done += PageBytes;
            _position += PageBytes;
        }

        return done;
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        Guard(_position % PageBytes == 0 && count % PageBytes == 0, "write", "not whole pages");
        for (int done = 0; done < count; done += PageBytes, _position += PageBytes)
        {
            ReadOnlySpan<byte> page = buffer.AsSpan(offset + done, PageBytes);
            Guard(!PageHashes.HasChecksum(page), "write", "no room for the checksum");
            long number = _position / PageBytes;
            if (!_collected.TryGetValue(number, out byte[]? kept))
                _collected.Add(number, kept = _pool.TryPop(out byte[]? free) ? free : GC.AllocateUninitializedArray<byte>(PageBytes));
            page.CopyTo(kept);
            _collectedEnd = Math.Max(_collectedEnd, (number + 1) * PageBytes);
        }
    }

    /// <summary>LiteDB has written all pages of a checkpoint.</summary>
    public override void Flush() => Flushes++;

    /// <summary>The checkpoint: copy, header, in place; each durable before the next begins.</summary>
    /// <exception cref="StorageFailedException">Without <see cref="Failure"/>: there was no room for it. Nothing that counts was
    /// changed, and it may be called again.</exception>
    public void WriteCollected()
    {
        FlushedPages = _collected.Count;
        if (_collected.Count == 0)
            return;

        long checkpoint = Number;
        try
        {
            FillGap();
            ReserveRoom();
            foreach ((long number, byte[] page) in _collected)
            {
                ulong hash = PageHashes.Of(number, page);
                PageHashes.WriteChecksum(hash, page);
                Hashes[number] = hash;
            }

            if (_copies is not null)
                _onWritten(_copies.Write(_collected, Hashes, WalPosition), 0);
            WriteInPlace(_collected);
        }
        catch (StorageFailedException error) when (error is { IsOutOfSpace: true, Operation: "fallocate" or "pwrite" } && _copies is not null && Number == checkpoint)
        {
            throw;      // the header of this checkpoint was not touched, and no page in place
        }
        catch (Exception error)
        {
            Failure ??= error;
            throw;
        }

        foreach (byte[] page in _collected.Values)
            _pool.Push(page);
        _collected.Clear();
    }

    public override long Seek(long offset, SeekOrigin origin) => _position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => Length + offset,
    };

    // LiteDB 5.0.20 never makes its data file smaller; longer it gets by its pages.
    public override void SetLength(long value) => Guard(value >= Length, "ftruncate", "the file must not get smaller");

    /// <summary>Not here: LiteDB disposes its streams after errors too. The owner closes the files.</summary>
    protected override void Dispose(bool disposing) => base.Dispose(disposing: false);

    /// <summary>Once the header of the copy counts, the pages in place must find room; so it is taken before.</summary>
    private void ReserveRoom()
    {
        if (_collectedEnd <= _reservedEnd || _collectedEnd <= _dataLength)
            return;
        _data.Reserve(0, _collectedEnd);
        _reservedEnd = _collectedEnd;
    }

    /// <summary>Every page of the file, but those that are about to be written over.</summary>
    private void ReadAll(int pages, SortedDictionary<long, byte[]>? over)
    {
        if (_dataLength > (long)pages * PageBytes)
            throw Damage.In(_data.Path, (long)pages * PageBytes, "the file is longer than the last checkpoint left it");

        for (int page = 0; page < pages;)
        {
            int wanted = (int)Math.Min(_piece.Length, (long)(pages - page) * PageBytes);
            int count = _data.ReadAround((long)page * PageBytes, _piece.AsSpan(0, wanted), out StorageFailedException? failure);
            for (int at = 0; at < wanted; at += PageBytes, page++)
            {
                if (over is not null && over.TryGetValue(page, out byte[]? newer))
                {
                    Hashes[page] = PageHashes.Of(page, newer);
                    continue;
                }

                if (at + PageBytes > count)
                    throw Damage.In(_data.Path, (long)page * PageBytes, "the file ends within a page, or before it");
                ReadOnlySpan<byte> bytes = _piece.AsSpan(at, PageBytes);
                ulong hash = PageHashes.Of(page, bytes);
                if (!PageHashes.Fits(hash, bytes))
                    throw Damage.In(_data.Path, (long)page * PageBytes, failure is null ? ChecksumDoesNotFit : $"{ChecksumDoesNotFit} ({failure.Message})");
                Hashes[page] = hash;
            }
        }
    }

    private const string ChecksumDoesNotFit = "the checksum of a page does not fit";

    /// <summary>LiteDB takes new pages in a row. If it ever left one out, that page would have no checksum, and could not be told from a lost one.</summary>
    private void FillGap()
    {
        long end = _collectedEnd / PageBytes;
        for (long number = Hashes.Count; number < end; number++)
        {
            if (!_collected.ContainsKey(number))
                _collected.Add(number, new byte[PageBytes]);
        }
    }

    private void ReadPage(long number, Span<byte> into)
    {
        try
        {
            if (_collected.TryGetValue(number, out byte[]? kept))
            {
                kept.CopyTo(into);
                PageHashes.RemoveChecksum(into);        // an attempt at its checkpoint may have left one
                return;
            }

            long offset = number * PageBytes;
            int count = _data.Read(offset, into);
            if (count != PageBytes)
                throw Damage.In(_data.Path, offset, "the file ends within a page");
            ulong hash = PageHashes.Of(number, into);
            if (!PageHashes.Fits(hash, into))
                throw Damage.In(_data.Path, offset, ChecksumDoesNotFit);
            if (number >= Hashes.Count || hash != Hashes[number])
                throw Damage.In(_data.Path, offset, "a page is whole, but it is not the one that was last written there");
            PageHashes.RemoveChecksum(into);
        }
        catch (Exception error)
        {
            Failure ??= error;
            throw;
        }
    }

    private void WriteInPlace(SortedDictionary<long, byte[]> pages)
    {
        int filled = 0;
        long start = -1, sinceSync = 0, written = 0;
        foreach ((long number, byte[] page) in pages)
        {
            if (filled > 0 && (start + filled != number * PageBytes || filled == _piece.Length))
                WritePiece();
            if (filled == 0)
                start = number * PageBytes;
            page.CopyTo(_piece, filled);
            filled += PageBytes;
        }

        WritePiece();
        _data.Sync();
        _dataLength = Math.Max(_dataLength, start + PageBytes);
        _dataLength = Math.Max(_dataLength, _data.Length);
        _onWritten(0, written);

        void WritePiece()
        {
            _data.Write(start, _piece.AsSpan(0, filled));
            written += filled;
            sinceSync += filled;
            filled = 0;
            if (sinceSync >= _piece.Length)            // one long sync would hold up the log's
            {
                _data.Sync();
                sinceSync = 0;
            }
        }
    }

    private void Guard(bool isTrue, string operation, string why)
    {
        if (isTrue)
            return;
        Failure ??= new StorageFailedException(operation, _data.Path, _position, 0, new InvalidOperationException($"LiteDB: {why}"));
        throw Failure;
    }
}

/// <summary>LiteDB's log: memory only. The write-ahead log is what survives.</summary>
/// <remarks>Once it is not small it takes all its room at once: growing by doubling would leave as much again, in outgrown
/// arrays and in room never used.</remarks>
/// <param name="fullBytes">What it grows to: the bound for a checkpoint and one transaction above it.</param>
internal sealed class DatabaseLogStream(int fullBytes) : MemoryStream
{
    private const int SmallBytes = 1 << 20;
    private const int ConfirmedAt = 18;
    private readonly int _thread = Environment.CurrentManagedThreadId;

    /// <summary>Whether the last page written confirms its transaction: then all of it was written, inline.</summary>
    public bool EndsConfirmed => Length > 0 && GetBuffer()[Length - CheckpointStream.PageBytes + ConfirmedAt] == 1;

    /// <summary>Set when another thread wrote: LiteDB's queue must stay on the database thread.</summary>
    public bool WasWrittenElsewhere { get; private set; }

    public override void Write(byte[] buffer, int offset, int count)
    {
        WasWrittenElsewhere |= Environment.CurrentManagedThreadId != _thread;
        long needed = Position + count;
        if (needed > Capacity && needed > SmallBytes && needed <= fullBytes)
            Capacity = fullBytes;
        base.Write(buffer, offset, count);
    }

    protected override void Dispose(bool disposing) => base.Dispose(disposing: false);
}

/// <summary>The words of damage, so that each names the way back.</summary>
internal static class Damage
{
    public const string Remedy =
        "The node stays out of the cluster. Move the data directory aside (its 'current') and start again: the node comes back as a new member and gets its data from the others; or restore this disk's own latest state.";

    public static CorruptStorageException In(string file, long offset, string detail) => new(file, offset, detail, Remedy);
}
