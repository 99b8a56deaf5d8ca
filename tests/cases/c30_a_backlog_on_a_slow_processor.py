"""C30, C32: a backlog and little of a core: it gets on, and probes are answered."""

import time

from harness import Broker, Worker, check, kcat, wait_for
from harness.slow import held_to

RECORDS = 400_000
STEPS = "".join(f"""
  - {{ id: s{step}, where: "$.n + {step} >= 0 and $.s like 'o%'" }}""" for step in range(4))
PIPELINE = f"""
name: p
source: {{ kafka: {{ topics: [orders], group.id: p }} }}
steps:{STEPS}
sinks:
"""
TO_TOPIC = "  - kafka: { topic: out }\n"
TO_SQLITE = """  - sqlite: { file: out.db, table: t, mode: append,
              columns: { n: { value: $.n, type: integer } } }
"""


def feed(broker):
    """Small records that compress well: a fetch holds hundreds of thousands of them."""
    lines = "".join(f'{{"n":{n % 10},"s":"ok"}}\n' for n in range(RECORDS))
    kcat(broker.address, "-P", "-t", "orders", "-p", "0", "-z", "zstd", "-X", "linger.ms=500",
         "-X", "batch.num.messages=200000", "-X", "batch.size=20000000", given=lines.encode(),
         seconds=120)


def gets_on(at, broker, sinks):
    with Worker(at, PIPELINE + sinks, servers=broker.address) as worker, held_to(worker, 0.3):
        wait_for(lambda: worker.stage()["totals"]["commits"] >= 5, worker.said, seconds=30)
        stage = worker.stage()["totals"]
        check(stage["records_out"] < RECORDS, "one commit took all of it")
        check(stage["aborts"] == 0, f"it began anew: {stage}")
        slowest = max(answer_seconds(worker) for _ in range(10))
        check(slowest < 1, f"/status took {slowest:.2f} s, and a probe gives up after 1 s")


def answer_seconds(worker):
    started = time.monotonic()
    check(worker.get("/status", seconds=10), "no /status")
    return time.monotonic() - started


def a_topic_stage_gets_on_with_a_third_of_a_core(at):
    with Broker(at) as broker:
        feed(broker)
        gets_on(at, broker, TO_TOPIC)


def a_sink_stage_gets_on_with_a_third_of_a_core(at):
    with Broker(at) as broker:
        feed(broker)
        gets_on(at, broker, TO_SQLITE)


def the_state_of_a_stage_is_restored_in_slices(at):
    """An aggregate over as many keys as records: what a commit writes, and what a restart reads,
    is long too."""
    lines = "".join(f'{{"n":{n}}}\n' for n in range(150_000))
    pipeline = """
name: p
source: { kafka: { topics: [orders], group.id: p } }
steps:
  - { id: per-n, key: $.n, aggregate: { c: count(*) } }
sinks:
  - kafka: { topic: out }
"""
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "orders", "-p", "0", "-z", "zstd", given=lines.encode())
        with Worker(at, pipeline, servers=broker.address) as worker:
            seconds = []
            def all_keys():
                seconds.append(answer_seconds(worker))
                return worker.status()["stages"][1]["state_keys"] == 150_000
            wait_for(all_keys, worker.said)
            worker.stop()
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(all_keys, worker.said)
        seconds.sort()
        check(seconds[len(seconds) // 2] < 0.1 and seconds[-1] < 1, f"/status took {seconds[-5:]}")
