"""C11: the transaction time-out follows the commit interval, or the start is refused."""

from harness import Worker, audit, check, cluster, consume, produce, wait_for

PIPELINE = """
name: slow
commit.interval.ms: 11000
source: {{ kafka: {{ topics: [orders], group.id: slow }} }}
steps:
{steps}
sinks:
  - kafka: {{ topic: copies }}
"""
COPY = "  - { id: all, where: \"$.n >= 0\" }"
COUNT = "  - { id: per-n, key: $.n, aggregate: { count: count(*) } }"


def an_interval_above_ten_seconds_commits(at):
    with Worker(at, PIPELINE.format(steps=COPY)) as worker:
        produce(worker.address, "orders", [{"n": n} for n in range(5)])
        wait_for(lambda: worker.stage()["totals"]["commits"] > 0, worker.said, seconds=40)
        check(len(consume(worker.address, "copies")) == 5, worker.said())
        check(worker.stage()["totals"]["aborts"] == 0, f"aborted: {worker.stage()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def an_interval_that_the_cluster_does_not_allow_is_refused_with_the_line_to_change(at):
    with cluster(at, "--override", "transaction.max.timeout.ms=15000") as broker:
        produce(broker.address, "orders", [{"n": 1}])
        with Worker(at, PIPELINE.format(steps=COUNT), servers=broker.address,
                    wait=False) as worker:
            check(worker.wait(30) != 0, "it runs")
            for word in ["commit.interval.ms", "transaction.max.timeout.ms", "20000 ms"]:
                check(word in worker.said(), f"no {word}: {worker.said()}")
        # The fix that the message gives.
        shorter = PIPELINE.format(steps=COUNT).replace("11000", "200")
        with Worker(at, shorter, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "copies")) == 1, worker.said)
