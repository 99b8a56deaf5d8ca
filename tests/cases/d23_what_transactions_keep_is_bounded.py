"""D23: partitions, groups and doubts of transactions, and the producers that partitions remember,
have bounds; and what ends by itself at one moment ends in turns."""

import struct
import time

from harness import Broker, check, wait_for
from harness.hostile import RESIDENT_BYTES_MAX, honest_beside
from harness.wire import Connection, batch, compact, text, varint

PRODUCE, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, TXN_OFFSET_COMMIT = 0, 22, 24, 25, 28
UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT, COORDINATOR_NOT_AVAILABLE = 3, 7, 15
INVALID_GROUP_ID, POLICY_VIOLATION, TRANSACTION_ABORTABLE = 24, 44, 120


def add_partitions(connection, name, producer, count):
    """The error of an AddPartitionsToTxn of version 2, of the last of them."""
    answer = connection.call(ADD_PARTITIONS, 2, text(name) + struct.pack(">qhi", *producer, 1) +
                             text("t") + struct.pack(f">i{count}i", count, *range(count)))
    return struct.unpack(">h", answer[-2:])[0]


def state(broker, name):
    return broker.metric('onceflow_broker_state{state="%s"}' % name)


def transactions_of_many_partitions_have_a_bound(at):
    """6 MiB for each id with 100,000 of them, and ids were allowed 100,000."""
    with Broker(at, "--override", "transactions.max.bytes=2000000", shows=True) as broker, \
            Connection(broker.address) as connection:
        connection.create_topic("t", 20_000)
        producers = [connection.init_producer(f"x{number}", 600_000) for number in range(3)]
        check(add_partitions(connection, "x0", producers[0], 20_000) == POLICY_VIOLATION, "one")
        check(state(broker, "transactions_bytes") == 0, "it is kept all the same")
        check(add_partitions(connection, "x0", producers[0], 16_000) == 0, "within the bound")
        check(add_partitions(connection, "x1", producers[1], 15_000) == 0, "another")
        check(add_partitions(connection, "x2", producers[2], 1_000) == COORDINATOR_NOT_AVAILABLE,
              "all together")
        check(state(broker, "transactions_bytes") == 31_000 * 64, "the gauge")
        check(connection.end_transaction_v5("x0", producers[0])[0] == 0, "the end of one")
        check(add_partitions(connection, "x2", producers[2], 1_000) == 0, "there is room again")


def transactions_that_time_out_together_end_in_turns(at):
    """The log stood for minutes, and kept 256 bytes for each partition that none had written to."""
    with Broker(at, shows=True) as broker, Connection(broker.address) as connection:
        connection.create_topic("t", 16_000)
        ends_at = time.time() + 12
        for number in range(10):
            producer = connection.init_producer(f"x{number}", int((ends_at - time.time()) * 1000))
            check(add_partitions(connection, f"x{number}", producer, 16_000) == 0, f"{number}")
        check(time.time() < ends_at - 1, "this machine is too slow for what is asked here")
        with honest_beside(broker, per_second=200):
            wait_for(lambda: state(broker, "transactions_bytes") == 0, "their end", 40)
        check(state(broker, "producer_states") <= 200_000, "producer.states.max.count")
        # Markers are there all the same.
        check(connection.high_watermark("t") == 10, f"{connection.high_watermark('t')}")


def offsets_of_topics_that_cannot_be_are_not_remembered(at):
    """32 MB a transactional id, in memory and in the journal, of names of 32,000 bytes."""
    def commit(name, producer, topics, group="g"):
        return connection.call(
            TXN_OFFSET_COMMIT, 5, compact(name) + compact(group) +
            struct.pack(">qhi", *producer, -1) + compact("") + compact(None) +
            varint(len(topics) + 1) + b"".join(
                compact(topic) + varint(2) + struct.pack(">iqi", 0, 1, -1) + compact(None) +
                b"\0\0" for topic in topics) + b"\0", flexible=True)
    with Broker(at, shows=True) as broker, Connection(broker.address) as connection:
        producer = connection.init_producer("x", 600_000)
        before = broker.metric("onceflow_journal_bytes")
        answer = commit("x", producer, [f"{number:05}".ljust(32_000, "n") for number in range(100)])
        check(struct.pack(">ih", 0, UNKNOWN_TOPIC_OR_PARTITION) in answer, "as Kafka answers")
        check(state(broker, "transactions_bytes") < 1000, "more than the group is kept")
        check(broker.metric("onceflow_journal_bytes") - before < 10_000, "journalled")
        check(connection.end_transaction_v5("x", producer)[0] == TRANSACTION_ABORTABLE, "a commit")
        error, producer = connection.end_transaction_v5("x", producer, commit=False)
        check(error == 0, "the abort")

        commit("x", producer, [f"{number:0249}" for number in range(100)])
        check(100 * 250 < state(broker, "transactions_bytes") < 100 * 500, "names that can be")
        check(connection.end_transaction_v5("x", producer)[0] == TRANSACTION_ABORTABLE, "a commit")
        error, producer = connection.end_transaction_v5("x", producer, commit=False)
        check(error == 0 and state(broker, "transactions_bytes") == 0, "they are forgotten")

        answer = connection.call(ADD_OFFSETS, 1, text("x") + struct.pack(">qh", *producer) +
                                 text("g" * 256))
        check(struct.unpack(">h", answer[-2:])[0] == INVALID_GROUP_ID, "a group of a long id")
        check(state(broker, "transactions_bytes") == 0, "its id is kept")


def producers_have_a_bound_and_those_that_are_there_go_on(at):
    """A million of them for a day: 313 MiB."""
    def produce(producer, sequence=0):
        written = batch([b"v"], producer=producer, sequence=sequence)
        answer = connection.call(PRODUCE, 8, text(None) + struct.pack(">hii", -1, 30_000, 1) +
                                 text("t") + struct.pack(">iii", 1, 0, len(written)) + written)
        return struct.unpack(">h", answer[4 + 3 + 4 + 4:][:2])[0], answer

    with Broker(at, "--override", "producer.states.max.count=100", shows=True) as broker, \
            Connection(broker.address) as connection:
        connection.create_topic("t", 1)
        producers = []
        for number in range(101):
            answer = connection.call(INIT_PRODUCER_ID, 1, text(None) + struct.pack(">i", 1000))
            producers.append(struct.unpack(">qh", answer[6:16]))
            error, answer = produce(producers[-1])
            check(error == (0 if number < 100 else REQUEST_TIMED_OUT), f"{number}: error {error}")
        check(b"as many producers as it may" in answer, f"{answer}")
        check("producer.states.max.count is 100" in broker.said(), "who is refused is not said")
        check(state(broker, "producer_states") == 100, "the gauge")
        check(produce(producers[0], 1)[0] == 0, "one that is there may not go on")
        check(produce((-1, -1), -1)[0] == 0, "one without an id is refused")
        check(produce(producers[100])[0] == REQUEST_TIMED_OUT, "it is refused for now")
        check(connection.high_watermark("t") == 102, "what was refused is there")
        connection.delete_topic("t")
        check(state(broker, "producer_states") == 0, "they went with their topic")
        check(broker.memory_bytes("VmHWM") < RESIDENT_BYTES_MAX, "memory")
