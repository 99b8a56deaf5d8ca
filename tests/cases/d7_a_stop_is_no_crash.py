"""D7: a worker that ends in order hands its partitions over at once; one that is killed does within
its session; --stay keeps its place; the times are the pipeline file's."""

import time

from harness import Broker, Worker, check, onceflow, produce, wait_for

PIPELINE = """name: p
source: { kafka: { topics: [orders], session.timeout.ms: %d } }
sinks: [ { kafka: { topic: out } } ]
"""
QUICK = ["--override", "group.initial.rebalance.delay.ms=0", "--override", "num.partitions=4",
         "--override", "group.min.session.timeout.ms=1000"]
SLACK = 4  # of a machine that has other things to do


def partitions_of(worker):
    return {each["partition"] for each in worker.stage()["positions"]}


def moved(worker, seconds):
    """How long until this worker has all four partitions and works."""
    started = time.monotonic()
    wait_for(lambda: worker.stage()["state"] == "running" and len(partitions_of(worker)) == 4,
             lambda: f"hand-over: {worker.stage()}", seconds)
    return time.monotonic() - started


def shared(at, broker, session_ms):
    produce(broker.address, "orders", ["a"])
    first = Worker(at, PIPELINE % session_ms, servers=broker.address)
    second = Worker(at, None, servers=broker.address, worker="2")
    wait_for(lambda: first.is_running() and second.is_running() and
             len(partitions_of(first)) == len(partitions_of(second)) == 2,
             lambda: f"a share each: {first.stage()} {second.stage()}")
    return first, second


def an_orderly_stop_hands_over_within_two_seconds(at):
    with Broker(at, *QUICK) as broker:
        first, second = shared(at, broker, 30_000)
        with first, second:
            check(first.stop() == 0, first.said())
            took = moved(second, 20)
            check(took <= 2 + SLACK, f"{took:.1f} s")
            print(f"    orderly: {took:.2f} s")


def a_kill_hands_over_within_the_session_and_two_seconds(at):
    with Broker(at, *QUICK) as broker:
        first, second = shared(at, broker, 6_000)
        with first, second:
            first.kill()
            took = moved(second, 40)
            check(took <= 6 + 2 + SLACK, f"{took:.1f} s")
            print(f"    kill -9: {took:.2f} s with a session of 6 s")


def a_worker_that_stays_has_its_partitions_again_and_nobody_else_does(at):
    with Broker(at, *QUICK) as broker:
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


def times_that_do_not_go_together_are_refused_before_the_start(at):
    (at / "p.yaml").write_text(PIPELINE.replace("session.timeout.ms: %d",
                                                "session.timeout.ms: 6000, "
                                                "heartbeat.interval.ms: 3000"))
    said = onceflow("validate", "p.yaml", at=at, code=2)
    check("write `heartbeat.interval.ms: 2000`" in said, said)
    text = (at / "p.yaml").read_text().replace("3000", "2000")
    (at / "p.yaml").write_text(text)
    onceflow("validate", "p.yaml", at=at)
