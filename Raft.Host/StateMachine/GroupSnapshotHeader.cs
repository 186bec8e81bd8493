using System.Buffers.Binary;
using System.Text;
using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>The host's part of a group's snapshot, before the bytes of the inner state machine. Little endian:</summary>
/// <remarks><code>
/// name      "rhgroup" version:1
/// section   1:1 length:4
///           appliedIndex:8 checkedThrough:8
///           records:4 {index:8 time:8 hash:16 hashVersion:4}*
///           groups:4 {index:8 name:1+n configuration:4+n}*
///           [version 2]  timeOffset:8
/// rest      what the inner state machine wrote
/// </code>
/// Version 2 is written only where time was corrected, so a release that does not know it reads all others.</remarks>
/// <param name="AppliedIndex">The last command, whether the inner state machine's or the host's.</param>
/// <param name="CheckedThrough">The highest index that a check of the state hash spoke of.</param>
/// <param name="TimeOffsetMs">By how much the stamps are ahead of the clocks; 0: no correction.</param>
internal sealed record GroupSnapshotHeader(
    LogIndex AppliedIndex, LogIndex CheckedThrough, IReadOnlyList<HashRecord> Records, IReadOnlyList<CreatedGroup> CreatedGroups, long TimeOffsetMs = 0)
{
    private const byte Section = 1;

    private static readonly ReadOnlyMemory<byte> _name = "rhgroup\u0001"u8.ToArray();
    private static readonly ReadOnlyMemory<byte> _nameWithOffset = "rhgroup\u0002"u8.ToArray();

    public async Task WriteAsync(Stream target, CancellationToken cancellation)
    {
        byte[] bytes = Encode();
        var writer = new SectionWriter(target, cancellation);
        await writer.WriteNameAsync(TimeOffsetMs == 0 ? _name : _nameWithOffset);
        bytes.CopyTo(writer.Take(Section, bytes.Length));
        await writer.FlushAsync();
    }

    /// <summary>Reads so far and no further.</summary>
    /// <exception cref="InvalidDataException">The content is no snapshot of a group, or cut off.</exception>
    public static async Task<GroupSnapshotHeader> ReadAsync(Stream content, CancellationToken cancellation)
    {
        var reader = new SectionReader(content, cancellation);
        byte version = await reader.ReadNameAsync(_nameWithOffset, "a group", oldest: 1);
        (byte kind, ReadOnlyMemory<byte> payload) = await reader.ReadAsync();
        return kind == Section ? Decode(payload.Span, hasOffset: version > 1) : throw new InvalidDataException($"The snapshot of a group begins with section {kind}.");
    }

    private byte[] Encode()
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        Span<byte> hash = stackalloc byte[16];
        writer.Write(AppliedIndex.Value);
        writer.Write(CheckedThrough.Value);
        writer.Write(Records.Count);
        foreach (HashRecord record in Records)
        {
            writer.Write(record.Index.Value);
            writer.Write(record.TimeMs);
            BinaryPrimitives.WriteUInt128LittleEndian(hash, record.Hash);
            writer.Write(hash);
            writer.Write(record.Version);
        }

        writer.Write(CreatedGroups.Count);
        foreach (CreatedGroup group in CreatedGroups)
        {
            writer.Write(group.Index.Value);
            byte[] name = Encoding.UTF8.GetBytes(group.Id.Value);
            writer.Write(checked((byte)name.Length));
            writer.Write(name);
            byte[] configuration = group.First.Encode();
            writer.Write(configuration.Length);
            writer.Write(configuration);
        }

        if (TimeOffsetMs != 0)
            writer.Write(TimeOffsetMs);
        writer.Flush();
        return bytes.ToArray();
    }

    private static GroupSnapshotHeader Decode(ReadOnlySpan<byte> payload, bool hasOffset)
    {
        var reader = new ItemReader(payload);
        var applied = new LogIndex(reader.Int64());
        var checkedThrough = new LogIndex(reader.Int64());
        int count = reader.Int32();
        if (count is < 0 or > HashRecords.Kept)
            throw new InvalidDataException($"The snapshot claims {count} state hashes.");

        List<HashRecord> records = [];
        for (int i = 0; i < count; i++)
            records.Add(new HashRecord(new LogIndex(reader.Int64()), reader.Int64(), reader.UInt128(), reader.Int32()));

        List<CreatedGroup> groups = [];
        for (int left = reader.Int32(); left > 0; left--)
        {
            var index = new LogIndex(reader.Int64());
            var id = new GroupId(StrictUtf8.Read(reader.Sized8()));
            groups.Add(new CreatedGroup(id, Configuration.Decode(reader.Sized32()), index));
        }

        long offset = hasOffset ? reader.Int64() : 0;
        return reader.IsAtEnd && offset >= 0
            ? new GroupSnapshotHeader(applied, checkedThrough, records, groups, offset)
            : throw new InvalidDataException("The host's part of the snapshot is too long, or its time offset negative.");
    }
}
