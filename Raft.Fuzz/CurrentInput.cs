using System.IO.MemoryMappedFiles;

namespace Raft.Fuzz;

/// <summary>The target and input under way, in a file that is mapped: it outlives a process that an input ends, as no exception
/// can (a stack that overflows).</summary>
internal sealed class CurrentInput : IDisposable
{
    private const int NameBytesMax = 64;
    private const int FileBytes = 1 << 20;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    private CurrentInput(string path)
    {
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, mapName: null, FileBytes);
        _view = _file.CreateViewAccessor();
    }

    public static CurrentInput Open(string path, string target)
    {
        var current = new CurrentInput(path);
        byte[] name = new byte[NameBytesMax];
        System.Text.Encoding.UTF8.GetBytes(target).CopyTo(name, 0);
        current._view.WriteArray(0, name, 0, name.Length);
        current._view.Write(NameBytesMax, -1);
        return current;
    }

    public void Set(byte[] input)
    {
        int count = Math.Min(input.Length, FileBytes - NameBytesMax - sizeof(int));
        _view.Write(NameBytesMax, count);
        _view.WriteArray(NameBytesMax + sizeof(int), input, 0, count);
    }

    /// <summary>What a process left behind; null when none was under way.</summary>
    public static (string Target, byte[] Input)? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        using var current = new CurrentInput(path);
        byte[] name = new byte[NameBytesMax];
        current._view.ReadArray(0, name, 0, name.Length);
        int count = current._view.ReadInt32(NameBytesMax);
        if (count < 0)
            return null;
        byte[] input = new byte[count];
        current._view.ReadArray(NameBytesMax + sizeof(int), input, 0, count);
        return (System.Text.Encoding.UTF8.GetString(name).TrimEnd('\0'), input);
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}
