using System.Collections;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace Raft.Host.Settings;

/// <summary>Binds a section to an options object and collects every fault instead of guessing.</summary>
/// <remarks>The framework's binder passes over keys that it does not know and stops at the first value that it cannot read;
/// an operator wants a misspelt key refused, and all faults at once.</remarks>
public static class StrictBinder
{
    /// <summary>Fills <paramref name="target"/>; each fault names the key, the value and what is allowed.</summary>
    public static void Bind(IConfigurationSection section, object target, List<string> faults)
    {
        Type type = target.GetType();
        PropertyInfo[] properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance);
        if (!string.IsNullOrEmpty(section.Value))
        {
            faults.Add($"{section.Path} is '{section.Value}'; allowed: an object with {Names(properties)}.");
            return;
        }

        foreach (IConfigurationSection child in section.GetChildren())
        {
            PropertyInfo? property = Array.Find(properties, p => p.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase));
            if (property is null)
                faults.Add($"{child.Path} is no known key; allowed in {section.Path}: {Names(properties)}.");
            else
                BindProperty(child, target, property, faults);
        }
    }

    private static void BindProperty(IConfigurationSection section, object target, PropertyInfo property, List<string> faults)
    {
        object value = property.GetValue(target) ?? throw new InvalidOperationException($"{property.Name} has no default.");
        if (value is IList list)
        {
            BindList(section, list, property.PropertyType.GetGenericArguments()[0], faults);
        }
        else if (value is not string && !property.PropertyType.IsValueType)
        {
            Bind(section, value, faults);
        }
        else if (section.GetChildren().Any())
        {
            faults.Add($"{section.Path} holds an object or a list; allowed: {Allowed(property.PropertyType)}.");
        }
        else if (section.Value is { } text)
        {
            if (Read(text, property.PropertyType) is { } read)
                property.SetValue(target, read);
            else
                faults.Add($"{section.Path} is '{text}'; allowed: {Allowed(property.PropertyType)}.");
        }
        else
        {
            faults.Add($"{section.Path} is null; allowed: {Allowed(property.PropertyType)}.");
        }
    }

    private static void BindList(IConfigurationSection section, IList list, Type element, List<string> faults)
    {
        if (!string.IsNullOrEmpty(section.Value))
            faults.Add($"{section.Path} is '{section.Value}'; allowed: a list.");

        foreach (IConfigurationSection child in section.GetChildren().OrderBy(child => Position(child.Key)))
        {
            if (Position(child.Key) == int.MaxValue)
            {
                faults.Add($"{child.Path} is no position of a list; allowed: 0, 1, 2 ...");
                continue;
            }

            if (element == typeof(string))
            {
                if (child.Value is { } text && !child.GetChildren().Any())
                    list.Add(text);
                else
                    faults.Add($"{child.Path} holds an object or a list; allowed: text.");
                continue;
            }

            object item = Activator.CreateInstance(element)!; // an options class: it has a constructor without arguments
            Bind(child, item, faults);
            list.Add(item);
        }
    }

    private static int Position(string key) =>
        int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int position) ? position : int.MaxValue;

    private static object? Read(string text, Type type)
    {
        if (type == typeof(string))
            return text;
        if (type == typeof(bool))
            return bool.TryParse(text, out bool flag) ? flag : null;
        if (type == typeof(int))
            return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) ? number : null;
        if (type == typeof(long))
            return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;
        if (type == typeof(TimeSpan))
            return TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out TimeSpan time) && time >= TimeSpan.Zero ? time : null;
        if (type.IsEnum)
            return Enum.GetNames(type).FirstOrDefault(name => name.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } name ? Enum.Parse(type, name) : null;
        throw new NotSupportedException($"Options of type {type} are not known to the binder.");
    }

    private static string Allowed(Type type) => type switch
    {
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) => $"a whole number up to {int.MaxValue}",
        _ when type == typeof(long) => "a whole number",
        _ when type == typeof(TimeSpan) => "a time such as 00:02:10",
        _ when type.IsEnum => string.Join(" or ", Enum.GetNames(type).Select(name => name.ToLowerInvariant())),
        _ => "text",
    };

    private static string Names(PropertyInfo[] properties) =>
        string.Join(", ", properties.Select(property => property.Name).Order(StringComparer.Ordinal));
}
