"""C31: memory follows what is worked on: one batch is unpacked at a time."""

from harness import (Broker, Worker, check, cluster, consume, kcat, onceflow, produce, shared_kafka,
                     wait_for)

MIB = 1 << 20
PIPELINE = """
name: p
source: {{ kafka: {{ topics: [orders], group.id: p }} }}
steps:
  - {{ id: small, where: "{where}" }}
sinks:
  - kafka: {{ topic: out }}
"""


def feed_large(at, broker, count, size_bytes):
    """Each a batch of its own, of a few KB."""
    path = at / "large"
    path.write_bytes(b'{"n":1,"s":"' + b"x" * size_bytes + b'"}')
    kcat(broker.address, "-P", "-t", "orders", "-p", "0", "-z", "zstd", "-X",
         "message.max.bytes=200000000", "-X", "batch.num.messages=1", "-X",
         "queue.buffering.max.kbytes=2000000", *[str(path)] * count, seconds=120)


def batches_that_unpack_to_100_mib_are_worked_on_one_at_a_time(at):
    with cluster(at) as broker:
        feed_large(at, broker, 3 if shared_kafka() else 8, 100 * MIB)
        produce(broker.address, "orders", [{"n": 2}])
        with Worker(at, PIPELINE.format(where="length(value) < 1000"),
                    servers=broker.address) as worker:
            wait_for(lambda: consume(broker.address, "out") == ['{"n": 2}'], worker.said)
            most = worker.memory_bytes("VmHWM")
            check(most < 600 * MIB, f"{most // MIB} MiB were taken")
            worker.stop()
        if not shared_kafka():
            most = broker.memory_bytes("VmHWM")
            check(most < 600 * MIB, f"the log took {most // MIB} MiB")
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def the_turn_that_unpacks_it_is_shown_by_the_worker(at):
    """The broker unpacks it beside its loop."""
    with Broker(at, shows=True) as broker:
        feed_large(at, broker, 1, 100 * MIB)
        with Worker(at, PIPELINE.format(where="length(value) < 1000"),
                    servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["totals"]["records_in"] == 1, worker.said)
            shows_its_longest_turn(worker)


def shows_its_longest_turn(worker):
    """100 MiB cannot be unpacked and looked at within 10 ms."""
    name = 'onceflow_loop_stall_seconds{loop="worker"}'
    # A turn counts when it has ended, which may be after its answer is here.
    wait_for(lambda: worker.metric(name) > 0.01, "a turn of the worker above 10 ms")
    lately = worker.metric(name)
    ever = worker.metric('onceflow_loop_stall_max_seconds{loop="worker"}')
    print(f"    the worker's longest turn over 100 MiB: {ever * 1e3:.0f} ms")
    check(0.01 < lately <= ever, f"{lately} {ever}")
    shown = worker.status()["loop"]
    check(10 < shown["stall_ms"] <= shown["stall_max_ms"], shown)
