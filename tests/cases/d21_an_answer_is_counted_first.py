"""D21: what an answer takes is counted before it is made, also where a short request asks for much;
and where there is no memory for one, its connection ends and nothing else."""

import resource
import struct
import time

from harness import Broker, check, wait_for
from harness.hostile import (MIB, RESIDENT_BYTES_MAX, honest_beside, open_socket,
                             send_all_there_is_room_for)
from harness.wire import Connection, batch, compact, text, varint

PRODUCE, CREATE_TOPICS, DESCRIBE_CONFIGS, DESCRIBE_PRODUCERS = 0, 19, 32, 61
LIST_CONFIG_RESOURCES = 74
UNKNOWN_TOPIC_OR_PARTITION = 3
SMALL = ["--override", f"queued.max.request.bytes={16 * MIB}"]


def frame(key, version, body, flexible=False):
    request = struct.pack(">hhi", key, version, 7) + text("x") + (b"\0" if flexible else b"") + body
    return struct.pack(">i", len(request)) + request


def create_topics(names, validate_only=True):
    """The body of a CreateTopics of version 7."""
    return (varint(len(names) + 1) +
            b"".join(compact(name) + struct.pack(">ih", 1, 1) + b"\1\1\0" for name in names) +
            struct.pack(">i?", 60_000, validate_only) + b"\0")


def is_refused(connection, key, version, body, flexible=False):
    """The connection is closed."""
    try:
        connection.call(key, version, body, flexible)
        check(False, "it was answered")
    except OSError:
        pass


# As many as one request may name; more of them close the connection (d03).
NAMES_MAX = 9_900


def thousands_of_names_are_not_described_each(at):
    """1 MB that asked for 31 settings a topic: 304 MiB, and 2.6 s of the loop."""
    names = [f"n{number:06}" for number in range(NAMES_MAX)]
    with Broker(at, shows=True) as broker, Connection(broker.address) as connection:
        with honest_beside(broker, per_second=200):
            answer = connection.call(CREATE_TOPICS, 7, create_topics(names), flexible=True)
        check(len(answer) < MIB, f"{len(answer)} bytes")
        few = connection.call(CREATE_TOPICS, 7, create_topics(names[:10]), flexible=True)
        check(b"retention.ms" in few and b"retention.ms" not in answer, "who is described")
        # Name, id, no error, no message, and that the number of partitions is not told.
        first = compact(names[0]) + bytes(16) + b"\0\0\0" + struct.pack(">ih", -1, -1)
        check(first in answer, f"{answer[:60]}")


def values_that_clients_have_set_are_counted_where_they_are_told(at):
    """11 KB that asked for 100 KB of each topic: 654 MiB."""
    value = ("0:1," * 8191)[:32_760]
    keys = ("follower.replication.throttled.replicas", "leader.replication.throttled.replicas")
    configs = struct.pack(">i", 2) + b"".join(text(key) + text(value) for key in keys)
    ask = lambda count: (struct.pack(">i", count) + b"".join(
        b"\2" + text(f"t{number}") + struct.pack(">i", -1) for number in range(count)) + b"\1")
    long = ["--override", "topic.config.value.max.bytes=65536"]
    with Broker(at, *SMALL, *long, shows=True) as broker, Connection(broker.address) as connection:
        for begin in range(0, 100, 5):
            connection.call(CREATE_TOPICS, 2, struct.pack(">i", 5) + b"".join(
                text(f"t{number}") + struct.pack(">ihi", 1, 1, 0) + configs
                for number in range(begin, begin + 5)) + struct.pack(">i?", 60_000, False))
        answer = connection.call(DESCRIBE_CONFIGS, 1, ask(10))
        check(answer.count(value.encode()) == 40, "in force, and where it is from")
        is_refused(connection, DESCRIBE_CONFIGS, 1, ask(100))
        check(broker.memory_bytes("VmHWM") < 100 * MIB, "memory")


def refusals_of_produce_have_a_sentence_for_the_first(at):
    """3.2 MB of partitions that do not exist: an answer of 147 MB."""
    def unknown_partitions(count):
        return (text(None) + struct.pack(">hii", -1, 30_000, 1) + text("n" * 249) +
                struct.pack(">i", count) +
                b"".join(struct.pack(">ii", number, -1) for number in range(count)))
    with Broker(at, shows=True) as broker, Connection(broker.address) as connection:
        answer = connection.call(PRODUCE, 8, unknown_partitions(NAMES_MAX))
        check(len(answer) < MIB, f"{len(answer)} bytes")
        check(2 <= answer.count(b"it does not exist") < 50, f"{answer.count(b'it does not exist')}")
        error, = struct.unpack(">h", answer[8 + 2 + 249 + 4:][:2])
        check(error == UNKNOWN_TOPIC_OR_PARTITION, f"error {error}")
        check(broker.memory_bytes("VmHWM") < RESIDENT_BYTES_MAX, "memory")
        is_refused(connection, PRODUCE, 8, unknown_partitions(400_000))
        check(broker.memory_bytes("VmHWM") < RESIDENT_BYTES_MAX, "memory")


def producers_are_counted_where_they_are_described(at):
    """807 bytes that asked for a million of them: 543 MiB."""
    partitions, ids = 1000, 60
    with Broker(at, *SMALL, shows=True) as broker, Connection(broker.address) as connection:
        connection.create_topic("t", partitions)
        ask = lambda count: (varint(2) + compact("t") + varint(count + 1) +
                             struct.pack(f">{count}i", *range(count)) + b"\0\0")
        for _ in range(ids):
            answer = connection.call(22, 1, text(None) + struct.pack(">i", 1000))
            producer = struct.unpack(">qh", answer[6:16])
            written = batch([b"v"], producer=producer, sequence=0)
            body = text(None) + struct.pack(">hii", -1, 30_000, 1) + text("t")
            connection.call(PRODUCE, 7, body + struct.pack(">i", partitions) + b"".join(
                struct.pack(">ii", number, len(written)) + written
                for number in range(partitions)))
        check(broker.metric('onceflow_broker_state{state="producer_states"}') == partitions * ids,
              "the gauge")
        answer = connection.call(DESCRIBE_PRODUCERS, 0, ask(100), flexible=True)
        check(len(answer) > 100 * ids * 36, "all of them")
        is_refused(connection, DESCRIBE_PRODUCERS, 0, ask(partitions), flexible=True)
        wait_for(lambda: "the answer to one DescribeProducers would take" in broker.said(),
                 broker.said)
        check("raise queued.max.request.bytes" in broker.said(), "which setting it was")


def long_answers_to_short_questions_come_in_turn(at):
    """25 bytes ask for the names of all topics, again and again, and nobody reads: others waited
    for 16 s."""
    topics = 4000
    with Broker(at, shows=True) as broker, Connection(broker.address) as connection:
        for begin in range(0, topics, 500):
            connection.call(CREATE_TOPICS, 2, struct.pack(">i", 500) + b"".join(
                text(f"{number:0240}") + struct.pack(">ihii", 1, 1, 0, 0)
                for number in range(begin, begin + 500)) + struct.pack(">i?", 60_000, False))
        check(len(connection.call(LIST_CONFIG_RESOURCES, 1, b"\1\0", flexible=True)) >
              topics * 240, "one of them")
        with honest_beside(broker, per_second=200):
            sockets = [open_socket(broker.address, 4096) for _ in range(200)]
            for each in sockets:
                send_all_there_is_room_for(
                    each, frame(LIST_CONFIG_RESOURCES, 1, b"\1\0", flexible=True) * 5)
            time.sleep(4)
        for each in sockets:
            each.close()


def without_memory_for_an_answer_the_connection_ends_and_nothing_else(at):
    """Each time with a little more than before, so that it runs out at one place after the other:
    in what is read, decoded, built and written. validate_only changes nothing."""
    names = [f"n{number:06}" for number in range(NAMES_MAX)]
    with Broker(at, shows=True) as broker:
        closed = 0
        for more in range(1, 26):
            with Connection(broker.address) as connection:
                size = broker.memory_bytes("VmSize")
                resource.prlimit(broker.process.pid, resource.RLIMIT_AS,
                                 (size + more * MIB, resource.RLIM_INFINITY))
                try:
                    connection.call(CREATE_TOPICS, 7, create_topics(names), flexible=True)
                except OSError:
                    closed += 1
                resource.prlimit(broker.process.pid, resource.RLIMIT_AS,
                                 (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            check(broker.is_alive(), f"with {more} MiB more it ended: {broker.said()[-300:]}")
        check(closed > 0, "there was always memory")
        print(f"    {closed} of 25 were closed for it")
        with Connection(broker.address) as connection:
            connection.create_topic("t", 1)
            check(connection.produce("t", 0, batch([b"v"])) == 0, "it does not go on")
