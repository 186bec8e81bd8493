using Raft.Chaos;
using Raft.Chaos.Scenarios;

// Root without a login has no /usr/sbin in its path.
Environment.SetEnvironmentVariable("PATH", $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin");
try
{
    if (args is [] or ["--help" or "-h" or "help"])
        return Help();
    return await ScenarioRun.RunAsync(Arguments.Parse(args));
}
catch (ArgumentException error)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}

static int Help()
{
    Console.WriteLine("""
        dotnet run -c Release --project Raft.Chaos -- SCENARIO [options]

          mix            all faults, several at a time       [--minutes 20]
          kill-all       SIGKILL of all nodes at once        [--times 100]
          power-cuts     of one, most or all nodes           [--times 30] [--file-system ext4|xfs]
          failing-syncs  fdatasync fails with EIO, ENOSPC    [--times 10]
          full-disk      no room for a node                  [--times 10]
          slow-disk      syncs that take up to 2 s longer    [--times 10]
          clocks         wall clocks jump by hours           [--minutes 6]
          clock-leaps    the leader's leaps and returns      [--times 12]
          failing-reads  starts on a disk that is unreadable [--times 10]
          filled-disk    another program fills the disk      [--times 10]
          small-memory   256 MiB, values of 1 MiB            [--times 12]
          descriptors    more idle connections than files    [--times 10]
          new-addresses  of one or all nodes                 [--times 10]
          removed-restarts  on the old disk                  [--times 10]

        Must fail, or the checks see nothing:

          lying-disks    power cuts where syncs are not done [--times 5]
          stale-reads    partitions, and reads of any node   [--times 3]

        All take [--seed S] [--nodes N] [--rate REQUESTS-A-SECOND].

        As root, on Linux. Everything happens in network namespaces and file systems that the run makes and removes; what a killed
        run leaves is removed by the next one. Exit code 0: all held; 1: something did not, and the directory with the evidence is
        named; 2: the run is not possible here, or the command line is wrong.
        """);
    return 0;
}
