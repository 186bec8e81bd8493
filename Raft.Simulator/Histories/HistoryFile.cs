using System.Text.Json;
using System.Text.Json.Serialization;

namespace Raft.Simulator.Histories;

/// <summary>Histories as JSON lines, one event each, as they were recorded: <c>{"kind":"Invoked","id":0,"time":5,"client":"c1",
/// "operation":{"kind":"put","key":"a","value":"1"}}</c>.</summary>
public static class HistoryFile
{
    private static readonly JsonSerializerOptions _json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter() },
    };

    public static void Save(History history, TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(history);
        ArgumentNullException.ThrowIfNull(writer);
        foreach (HistoryEvent one in history.Events)
            writer.Write($"{JsonSerializer.Serialize(one, _json)}\n");
    }

    /// <summary>Reads a history that one recorder wrote; its last line may be cut off, as a killed one leaves it.</summary>
    /// <exception cref="InvalidDataException">A line is no event that can follow those before it; the message has its number.</exception>
    public static History Load(TextReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var history = new History();
        int number = 1;
        for (string? line = reader.ReadLine(); line is not null; number++)
        {
            string? next = reader.ReadLine();
            try
            {
                Replay(history, JsonSerializer.Deserialize<HistoryEvent>(line, _json)!);
            }
            catch (JsonException) when (next is null)
            {
                break;
            }
            catch (Exception error) when (error is JsonException or ArgumentException or InvalidOperationException)
            {
                throw new InvalidDataException($"Line {number} of the history: {error.Message}", error);
            }

            line = next;
        }

        return history;
    }

    private static void Replay(History history, HistoryEvent one)
    {
        switch (one.Kind)
        {
            case EventKind.Invoked when one is { Client: { } client, Operation: { } operation }:
                int id = history.Invoke(client, operation, one.Time);
                if (id != one.Id)
                    throw new ArgumentException($"Operation {id} has the id {one.Id}.");
                break;
            case EventKind.Completed when one.Outcome is { } outcome:
                history.Complete(one.Id, outcome, one.Time);
                break;
            case EventKind.Unknown:
                history.Unknown(one.Id, one.Time);
                break;
            case EventKind.NeverHappened:
                history.NeverHappened(one.Id, one.Time);
                break;
            default:
                throw new ArgumentException($"A {one.Kind} event lacks what belongs to it.");
        }
    }
}
