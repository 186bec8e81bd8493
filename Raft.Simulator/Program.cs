using System.Diagnostics;
using Raft.Simulator;

if (Arguments.Parse(args, out string fault) is not { } arguments)
{
    Console.Error.WriteLine(fault);
    Console.Error.WriteLine(Arguments.Usage);
    return 2;
}

return arguments.IsSingle ? SingleRun.Go(arguments) : ManyRuns.Go(arguments);
