using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// After B4 and B9: elections, partitions, divergent logs.
public sealed class LeaderChangeTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void After_the_leaders_death_another_leads_within_a_second(int seed) => Cluster.Run(3, seed, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.AddAsync("before");
        TimeSpan death = cluster.World.Time.Now;

        leader.Crash();
        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after");

        Assert.True(cluster.World.Time.Now - death < TimeSpan.FromSeconds(1.5), $"it took {cluster.World.Time.Now - death}");
        await leader.StartAsync();
        await cluster.ConvergesToAsync("before", "after");
    });

    [Fact]
    public void What_a_majority_acknowledged_survives_the_isolation_of_the_leader() => Cluster.Run(3, seed: 7, async cluster =>
    {
        (Member oldLeader, _) = await cluster.RolesAsync();
        await oldLeader.AddAsync("kept");

        cluster.Network.Isolate(oldLeader.Id);
        Task doomed = oldLeader.AddAsync("doomed");
        Member newLeader = await cluster.LeaderAsync(otherThan: oldLeader);
        await newLeader.AddAsync("after");
        cluster.Network.Heal();

        await Expect.FailsAsync<DroppedEntryException>(doomed);
        await cluster.ConvergesToAsync("kept", "after");
    });

    [Fact]
    public void A_leader_without_quorum_steps_down_and_acknowledges_nothing() => Cluster.Run(3, seed: 8, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Isolate(followers[0].Id);
        cluster.Network.Isolate(followers[1].Id);

        Task call = leader.AddAsync("alone");
        await cluster.World.UntilAsync(() => leader.Server.Role != Role.Leader, "the leader steps down");

        Assert.False(call.IsCompleted);         // nobody can know yet
        cluster.Network.Heal();
        Member next = await cluster.LeaderAsync();
        await next.AddAsync("after");
        await cluster.EventuallyAsync(member => member.Applied.Contains("after"));
    });

    [Fact]
    public void A_dead_learner_does_not_unseat_the_leader() => Cluster.Run(1, seed: 9, learners: 2, scenario: async cluster =>
    {
        (Member leader, Member[] learners) = await cluster.RolesAsync();
        Term term = leader.Server.CurrentTerm;
        foreach (Member learner in learners)
            learner.Crash();

        await cluster.PassAsync(5);

        Assert.True(leader.IsLeader);
        Assert.Equal(term, leader.Server.CurrentTerm);
        await leader.AddAsync("one");
    });

    [Fact]
    public void A_member_that_was_cut_off_does_not_disturb_the_term_when_it_comes_back() => Cluster.Run(3, seed: 10, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Term term = leader.Server.CurrentTerm;

        cluster.Network.Isolate(followers[0].Id);
        await cluster.PassAsync(10);
        cluster.Network.Heal();
        await cluster.EventuallyAsync(member => member.Server.CurrentLeader == leader.Id);

        Assert.Equal(term, leader.Server.CurrentTerm);      // pre-vote: it never got a higher one
    });

    [Fact]
    public void A_one_way_cut_ends_with_one_leader_and_few_terms() => Cluster.Run(3, seed: 12, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Term term = leader.Server.CurrentTerm;
        cluster.Network.Cut(leader.Id, followers[0].Id);
        cluster.Network.Cut(leader.Id, followers[1].Id);

        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after", WaitFor.Committed);

        Assert.True(next.Server.CurrentTerm.Value <= term.Value + 3);
        cluster.Network.Heal();
        await cluster.ConvergesToAsync("after");
    });

    [Theory]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    public void Leadership_that_goes_round_loses_nothing(int seed) => Cluster.Run(5, seed, async cluster =>
    {
        List<string> expected = [];
        Member? last = null;
        for (int n = 0; n < 8; n++)
        {
            Member leader = await cluster.LeaderAsync(otherThan: last);
            expected.Add($"c{n}");
            await leader.AddAsync($"c{n}");
            if (last is not null)
                cluster.Network.Heal();
            cluster.Network.Isolate(leader.Id);
            last = leader;
        }

        cluster.Network.Heal();
        await cluster.ConvergesToAsync([.. expected]);
    });

    [Fact]
    public void At_most_one_leader_a_term_and_logs_that_agree_whatever_happens() => Cluster.Run(5, seed: 34, async cluster =>
    {
        Dictionary<Term, ServerId> leaders = [];
        int written = 0;
        for (int step = 0; step < 40; step++)
        {
            Member victim = cluster.Members[cluster.World.Random.Next(5)];
            switch (cluster.World.Random.Next(4))
            {
                case 0 when victim.IsUp && cluster.Members.Count(member => member.IsUp) > 3:
                    victim.Crash();
                    break;
                case 1 when !victim.IsUp:
                    await victim.StartAsync();
                    break;
                case 2:
                    cluster.Network.Heal();
                    cluster.Network.Isolate(victim.Id);
                    break;
                default:
                    cluster.Network.Heal();
                    break;
            }

            foreach (Member member in cluster.Members.Where(member => member.IsUp))
                _ = member.AddAsync($"c{written++}");
            await cluster.PassAsync(0.3);
            foreach (Member member in cluster.Members.Where(member => member.IsUp && member.IsLeader))
            {
                leaders.TryAdd(member.Server.CurrentTerm, member.Id);
                Assert.Equal(leaders[member.Server.CurrentTerm], member.Id);
            }
        }

        cluster.Network.Heal();
        foreach (Member member in cluster.Members.Where(member => !member.IsUp))
            await member.StartAsync();
        Member end = await cluster.LeaderAsync();
        await end.AddAsync("end");
        await cluster.EventuallyAsync(member => member.Applied.Contains("end"));
        await cluster.EventuallyAsync(member => member.Applied.SequenceEqual(end.Applied));
        Assert.Equal(end.Applied.Count, end.Applied.Distinct().Count());
    });

    /// <summary>Logs as (index, term) tails after the configuration entry; the first is the one that should win.</summary>
    public static TheoryData<string, string, string, string> DivergentLogs => new()
    {
        // what n1, n2 and n3 hold behind index 1: the terms of the entries, and what all end up with
        { "", "", "", "" },
        { "2 2 2", "2 2 2", "2 2 2", "2.1 2.2 2.3" },
        { "2 2 2", "2", "", "" },
        { "3 3", "2 2 2 2", "2 2 2 2", "" },
        { "2 2 4", "2 2 3 3 3", "2 2 3 3", "" },
        { "4", "2 2 2 2 2 2", "3 3 3", "" },
        { "2 3 3 5", "2 2 2 2 4 4", "2 3", "" },
        { "2 2 5 5 5", "3 3 3 4 4 4 4", "2 2 4", "" },
    };

    [Theory]
    [MemberData(nameof(DivergentLogs))]
    public void Divergent_logs_become_one(string first, string second, string third, string exact) => Cluster.Run(
        3, seed: 41, isStarted: false,
        scenario: async cluster =>
        {
            string[] logs = [first, second, third];
            for (int i = 0; i < 3; i++)
                Store(cluster.Members[i], logs[i]);
            foreach (Member member in cluster.Members)
                await member.StartAsync();

            Member leader = await cluster.LeaderAsync();
            await leader.AddAsync("end");

            await cluster.EventuallyAsync(member => member.Applied.Count > 0 && member.Applied[^1] == "end");
            await cluster.EventuallyAsync(member => member.Applied.SequenceEqual(leader.Applied));
            await cluster.EventuallyAsync(member => member.Disk.Entries.Select(entry => entry.Id).SequenceEqual(leader.Disk.Entries.Select(entry => entry.Id)));
            if (exact.Length > 0)
                Assert.Equal([.. exact.Split(' '), "end"], leader.Applied);

            // What a majority held before must be there: it may have been acknowledged. Not so what a server of a later term
            // lacks: whoever led that term knew that it was not.
            string[][] tails = [.. logs.Select(Names)];
            int lastTerm = tails.Where(tail => tail.Length > 0).Select(tail => TermOf(tail[^1])).DefaultIfEmpty().Max();
            foreach (string name in tails.SelectMany(tail => tail).Distinct())
            {
                bool isLastTermOnMajority = tails.Count(tail => tail.Contains(name)) >= 2 && tails.Count(tail => tail.Length > 0 && tail[^1] == name) >= 2;
                if (isLastTermOnMajority && TermOf(name) == lastTerm)
                    Assert.Contains(name, leader.Applied);
            }
        });

    private static int TermOf(string name) => int.Parse(name.Split('.')[0]);

    private static string[] Names(string tail)
    {
        string[] terms = tail.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return [.. terms.Select((term, n) => $"{term}.{n + 1}")];
    }

    private static void Store(Member member, string tail)
    {
        string[] terms = tail.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (terms.Length == 0)
            return;

        string[] names = Names(tail);
        member.Disk.Store(new PersistRequest(
            new TermAndVote(new Term(long.Parse(terms[^1])), null), null,
            [.. terms.Select((term, n) => new Entry(
                new LogIndex(n + 2), new Term(long.Parse(term)), EntryKind.Command, 0, System.Text.Encoding.UTF8.GetBytes(names[n])))]));
    }
}
