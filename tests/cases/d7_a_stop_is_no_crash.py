"""D7: a worker that ends in order hands its partitions over at once; one that is killed does within
its session; --stay keeps its place; the times are the pipeline file's."""

import contextlib
import signal
import threading
import time

from harness import Worker, check, cluster, kcat, onceflow, wait_for
from harness.kafka_admin import create_topic
from harness.rdkafka import Producer

PIPELINE = """name: p
source: { kafka: { topics: [orders], session.timeout.ms: %d } }
sinks: [ { kafka: { topic: out } } ]
"""
QUICK = ["--override", "group.initial.rebalance.delay.ms=0", "--override",
         "group.min.session.timeout.ms=1000"]
SLACK = 4  # of a machine that has other things to do


def partitions_of(worker):
    return {each["partition"] for each in worker.stage()["positions"]}


@contextlib.contextmanager
def load(broker):
    """A record for each partition every 20 ms; results carry the time when they were written."""
    create_topic(broker.address, "orders", 4)
    create_topic(broker.address, "out", 4, message_timestamp_type="LogAppendTime")
    ends = threading.Event()
    producer = Producer(broker.port, "orders")

    def feed():
        while not ends.wait(0.02):
            for partition in range(4):
                producer.produce([b"a"], partition)
    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
        producer.flush()


def longest_stall(broker, since):
    """In which no result of some partition was written, in seconds, from this time on."""
    times = {partition: [] for partition in range(4)}
    for line in kcat(broker.address, "-C", "-t", "out", "-e", "-q", "-X",
                     "isolation.level=read_committed", "-f", "%p %T\n").splitlines():
        partition, milliseconds = map(int, line.split())
        if milliseconds >= since * 1e3:
            times[partition].append(milliseconds / 1e3)
    return max(later - earlier for each in times.values()
               for earlier, later in zip(sorted(each), sorted(each)[1:]))


def shared(at, broker, session_ms, count=2):
    workers = [Worker(at, PIPELINE % session_ms, servers=broker.address, worker=str(number + 1))
               for number in range(count)]
    settled(workers)
    return workers


def settled(workers):
    """All of them work, on four partitions together."""
    def is_settled():
        return (all(each.is_running() for each in workers) and
                sum(len(partitions_of(each)) for each in workers) == 4)
    wait_for(is_settled, lambda: f"a share each: {[each.stage() for each in workers]}")


def orderly_comings_and_goings_stop_no_partition_for_two_seconds(at):
    with cluster(at, *QUICK) as broker:
        with load(broker), contextlib.ExitStack() as stack:
            workers = [stack.enter_context(each) for each in shared(at, broker, 30_000)]
            began = time.time()
            third = stack.enter_context(Worker(at, None, servers=broker.address, worker="3"))
            settled([*workers, third])
            time.sleep(1)
            check(workers[0].stop() == 0, workers[0].said())
            settled([workers[1], third])
            time.sleep(1)
            check(workers[1].stop() == 0, workers[1].said())
            settled([third])
            time.sleep(1)
        took = longest_stall(broker, began)
        print(f"    orderly, one comes and two go: {took:.2f} s")
        check(took <= 2 + SLACK, f"{took:.1f} s")


def a_kill_stops_no_partition_for_longer_than_the_session_and_two_seconds(at):
    with cluster(at, *QUICK) as broker:
        with load(broker), contextlib.ExitStack() as stack:
            first, second = (stack.enter_context(each) for each in shared(at, broker, 6_000))
            began = time.time()
            time.sleep(1)
            first.kill()
            wait_for(lambda: len(partitions_of(second)) == 4, lambda: str(second.stage()))
            settled([second])
            time.sleep(1)
        took = longest_stall(broker, began)
        print(f"    kill -9: {took:.2f} s with a session of 6 s")
        check(took <= 6 + 2 + SLACK, f"{took:.1f} s")


def a_worker_that_stays_has_its_partitions_again_and_nobody_else_does(at):
    with cluster(at, *QUICK) as broker:
        create_topic(broker.address, "orders", 4)
        first, second = shared(at, broker, 30_000)
        first.kill()
        first.__exit__()
        with second:
            with Worker(at, None, "--stay", servers=broker.address) as staying:
                wait_for(lambda: staying.is_running() and len(partitions_of(staying)) == 2,
                         lambda: f"its two again: {staying.stage()}")
                before = second.said().count('event="rebalance"')
                check(staying.stop() == 0, staying.said())
            with Worker(at, None, servers=broker.address) as back:
                wait_for(lambda: back.is_running() and len(partitions_of(back)) == 2,
                         lambda: f"its two again: {back.stage()}")
            check(second.said().count('event="rebalance"') == before, second.said())


def two_signals_at_once_are_one(at):
    """timeout(1) signals its child, and then the group that it is in."""
    with cluster(at, *QUICK) as broker:
        create_topic(broker.address, "orders", 4)
        first, second = shared(at, broker, 30_000)
        with second:
            with first:
                first.signal(signal.SIGTERM)
                first.signal(signal.SIGTERM)
                check(first.wait(10) == 0, first.said())
                check("ended at once" not in first.said(), first.said())
            settled([second])


def times_that_do_not_go_together_are_refused_before_the_start(at):
    (at / "p.yaml").write_text(PIPELINE.replace("session.timeout.ms: %d",
                                                "session.timeout.ms: 6000, "
                                                "heartbeat.interval.ms: 3000"))
    said = onceflow("validate", "p.yaml", at=at, code=2)
    check("write `heartbeat.interval.ms: 2000`" in said, said)
    text = (at / "p.yaml").read_text().replace("3000", "2000")
    (at / "p.yaml").write_text(text)
    onceflow("validate", "p.yaml", at=at)
