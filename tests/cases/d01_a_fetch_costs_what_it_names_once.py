"""D1: fetches that name one partition many times, and many fetches that wait: the work for others'
appends does not grow with them."""

import struct
import time

from harness import Broker, check, wait_for
from harness.honest import Honest
from harness.kafka_admin import create_topic
from harness.wire import Connection, batch, text

FETCH = 1
RECORD = batch([b"x" * 100])
WORST_MS = 500  # 5.8 s, and minutes, were; on a machine with other work a turn may take long


def fetch(partitions, min_bytes=1 << 30, wait_ms=30_000, topic="honest"):
    """The body of a Fetch of version 4."""
    named = b"".join(struct.pack(">iqi", partition, 0, 1 << 20) for partition in partitions)
    return (struct.pack(">iiiibi", -1, wait_ms, min_bytes, 1 << 30, 0, 1) + text(topic) +
            struct.pack(">i", len(partitions)) + named)


def others_do_not_notice(broker, ask):
    """`ask` sends what is hostile; appends go on behind it."""
    with Honest(broker.address) as alone:
        time.sleep(1)
    with Honest(broker.address) as beside:
        ask()
        time.sleep(2)
    print(f"    alone: {alone.said()}\n    beside it: {beside.said()}")
    check(beside.longest_ms < WORST_MS and beside.closed_count == 0, beside.said())


def one_partition_100000_times(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        others_do_not_notice(broker, lambda: connection.send(FETCH, 4, fetch([0] * 100_000)))
        begun = time.monotonic()
        broker.stop()
        check(time.monotonic() - begun < 5, "it does not stop")


def an_answer_names_it_once(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "honest")
        answer = connection.call(FETCH, 4, fetch([0] * 10_000, wait_ms=10))
        check(len(answer) < 100, f"an answer of {len(answer)} bytes")


def one_partition_that_2000_connections_wait_for(at):
    with Broker(at) as broker:
        connections = [Connection(broker.address) for _ in range(2000)]
        body = fetch([0])

        def ask():
            for connection in connections:
                connection.send(FETCH, 4, body)
        others_do_not_notice(broker, ask)
        for connection in connections:
            connection.socket.close()


def all_of_5000_partitions_that_50_connections_wait_for(at):
    """And then each of the partitions gets a record: 250,000 looks, not 1,250,000,000."""
    with Broker(at) as broker, Connection(broker.address) as writer:
        create_topic(broker.address, "wide", partitions=5000)
        connections = [Connection(broker.address) for _ in range(50)]
        body = fetch(range(5000), topic="wide")

        def ask():
            for connection in connections:
                connection.send(FETCH, 4, body)
            for begin in range(0, 5000, 100):
                each = b"".join(struct.pack(">ii", partition, len(RECORD)) + RECORD
                                for partition in range(begin, begin + 100))
                writer.call(0, 7, text(None) + struct.pack(">hii", -1, 30_000, 1) +
                            text("wide") + struct.pack(">i", 100) + each)
        others_do_not_notice(broker, ask)
        for connection in connections:
            connection.socket.close()


def a_fetch_is_answered_when_it_has_its_bytes_and_not_before(at):
    """Over several partitions, each of which grows a little at a time."""
    with Broker(at) as broker, Connection(broker.address) as reader:
        create_topic(broker.address, "wide", partitions=7)
        with Connection(broker.address) as writer:
            reader.socket.settimeout(0.3)
            reader.send(FETCH, 4, fetch(range(7), min_bytes=50 * len(RECORD), topic="wide"))
            for number in range(50):
                writer.call(0, 7, text(None) + struct.pack(">hii", -1, 30_000, 1) + text("wide") +
                            struct.pack(">iii", 1, number * number % 7, len(RECORD)) + RECORD)
                if number == 48:
                    try:
                        reader.receive()
                        check(False, "answered without its bytes")
                    except TimeoutError:
                        pass
            reader.socket.settimeout(20)
            wait_for(lambda: len(reader.receive()) > 50 * len(RECORD), "all of them")
