using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class ChunkedQueueTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_picture_holds_what_was_there_whatever_is_added_and_removed_meanwhile(int seed)
    {
        var random = new Random(seed);
        var queue = new ChunkedQueue<string>(first: random.Next(1, 5000));
        Queue<string> model = new();
        long added = 0;
        for (int round = 0; round < 20; round++)
        {
            Change(random.Next(3000));
            string[] moment = [.. model];
            ChunkedQueue<string>.Picture picture = queue.TakePicture();
            Assert.Equal(moment.Length, picture.Next - picture.First);
            int abandonedAt = random.Next(4) == 0 ? random.Next(moment.Length + 1) : moment.Length;
            for (int i = 0; i < abandonedAt; i++)
            {
                if (random.Next(20) == 0)
                    Change(random.Next(300));
                Assert.Equal(moment[i], picture.At(picture.First + i));
            }

            queue.Close(picture);
            Assert.Equal(model.Count, queue.Count);
            string[] kept = [.. model];
            for (int i = 0; i < kept.Length; i++)
                Assert.Equal(kept[i], queue.At(queue.First + i));
        }

        void Change(int count)
        {
            bool mostlyAdds = random.Next(2) == 0;
            while (count-- > 0)
            {
                if (random.Next(10) < (mostlyAdds ? 8 : 2))
                {
                    string item = $"item {added++}";
                    queue.Add(item);
                    model.Enqueue(item);
                }
                else if (model.TryDequeue(out string? removed))
                {
                    Assert.Equal(removed, queue.At(queue.First));
                    queue.RemoveFirst();
                }
            }
        }
    }

    [Fact]
    public void What_is_not_there_is_not_given()
    {
        var queue = new ChunkedQueue<string>(first: 7);
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.RemoveFirst());
        queue.Add("seven");
        queue.Add("eight");
        queue.RemoveFirst();
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.At(7));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.At(9));
        Assert.Equal("eight", queue.At(8));
    }

    [Fact]
    public void One_picture_at_a_time()
    {
        var queue = new ChunkedQueue<int>(first: 1);
        ChunkedQueue<int>.Picture picture = queue.TakePicture();
        Assert.Throws<InvalidOperationException>(() => queue.TakePicture());
        queue.Close(picture);
        queue.Close(queue.TakePicture());
    }
}
