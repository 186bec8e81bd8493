using System.Buffers.Binary;

namespace Raft.Fuzz;

/// <summary>Changes inputs a little, the way transmission and enemies do.</summary>
internal sealed class Mutator(Random random, IReadOnlyList<byte[]> dictionary)
{
    private const int BytesMax = 4096;

    private static readonly long[] _numbers =
    [
        0, 1, 2, 7, 8, 16, 63, 64, 127, 128, 255, 256, 1023, 1024, 4095, 4096, short.MaxValue, ushort.MaxValue, 65_536,
        int.MaxValue - 1, int.MaxValue, uint.MaxValue, long.MaxValue - 1, long.MaxValue, -1, -2, int.MinValue, long.MinValue,
    ];

    /// <summary>One to six changes of one input, perhaps with a piece of another.</summary>
    public byte[] Mutate(byte[] input, byte[] other)
    {
        List<byte> bytes = [.. input];
        for (int changes = 1 + random.Next(6); changes > 0; changes--)
            Change(bytes, other);
        return bytes.Count <= BytesMax ? [.. bytes] : [.. bytes[..BytesMax]];
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        int at = random.Next(bytes.Count + 1);
        switch (random.Next(12))
        {
            case 0 or 1 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 2 when at < bytes.Count:
                bytes[at] = (byte)random.Next(256);
                break;
            case 3 when at < bytes.Count:
                bytes[at] = (byte)(bytes[at] + random.Next(-8, 9));
                break;
            case 4:
                Overwrite(bytes, at, Number());
                break;
            case 5:
                bytes.InsertRange(at, Number());
                break;
            case 6:
                bytes.RemoveRange(at, random.Next(Math.Min(16, bytes.Count - at) + 1));
                break;
            case 7 when random.Next(4) == 0:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            case 8 when other.Length > 0:
                int from = random.Next(other.Length);
                byte[] piece = other[from..Math.Min(other.Length, from + 1 + random.Next(64))];
                if (random.Next(2) == 0)
                    bytes.InsertRange(at, piece);
                else
                    Overwrite(bytes, at, piece);
                break;
            case 9 when other.Length > 0:
                bytes.RemoveRange(at, bytes.Count - at);
                bytes.AddRange(other[Math.Min(at, other.Length)..]);
                break;
            case 10 when bytes.Count > 0:
                int start = random.Next(bytes.Count);
                bytes.InsertRange(at, bytes.GetRange(start, random.Next(Math.Min(64, bytes.Count - start)) + 1));
                break;
            default:
                byte[] word = dictionary.Count > 0 ? dictionary[random.Next(dictionary.Count)] : [(byte)random.Next(256)];
                if (random.Next(2) == 0)
                    bytes.InsertRange(at, word);
                else
                    Overwrite(bytes, at, word);
                break;
        }
    }

    /// <summary>A length or an index that is special, in any width and order.</summary>
    private byte[] Number()
    {
        long number = _numbers[random.Next(_numbers.Length)];
        byte[] bytes = new byte[8];
        if (random.Next(4) == 0)
            BinaryPrimitives.WriteInt64BigEndian(bytes, number);
        else
            BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        int width = 1 << random.Next(4);
        return random.Next(4) == 0 ? bytes[^width..] : bytes[..width];
    }

    private static void Overwrite(List<byte> bytes, int at, byte[] with)
    {
        for (int i = 0; i < with.Length && at + i < bytes.Count; i++)
            bytes[at + i] = with[i];
    }
}
