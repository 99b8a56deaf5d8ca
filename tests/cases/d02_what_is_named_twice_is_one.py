"""D2: a topic that is named many times in one request is described once."""

import struct

from harness import Broker, check
from harness.kafka_admin import create_topic
from harness.wire import Connection, batch, text

MIB = 1 << 20
METADATA, CREATE_TOPICS, PRODUCE, OFFSET_COMMIT = 3, 19, 0, 8
INVALID_REQUEST = 42


def a_topic_of_20000_partitions_2000_times(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "wide", partitions=20_000)
        once = connection.call(METADATA, 1, struct.pack(">i", 1) + text("wide"))
        before = broker.memory_bytes("VmHWM")
        many = connection.call(METADATA, 1, struct.pack(">i", 2000) + text("wide") * 2000)
        check(many == once, f"an answer of {len(many)} bytes instead of {len(once)}")
        more = broker.memory_bytes("VmHWM") - before
        check(more < 32 * MIB, f"{more // MIB} MiB were taken for it")


def names_between_others_are_found_too(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "a")
        create_topic(broker.address, "b")
        once = connection.call(METADATA, 1, struct.pack(">i", 2) + text("a") + text("b"))
        many = connection.call(METADATA, 1, struct.pack(">i", 1000) +
                               (text("a") + text("b")) * 500)
        check(many == once, f"an answer of {len(many)} bytes instead of {len(once)}")


def a_topic_that_is_created_twice_is_refused_and_the_others_are_there(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        def topic(name):
            return text(name) + struct.pack(">ihii", 1, 1, 0, 0)
        answer = connection.call(CREATE_TOPICS, 2, struct.pack(">i", 3) + topic("twice") +
                                 topic("once") + topic("twice") + struct.pack(">ib", 1000, 0))
        check(answer.count(b"\0\x05twice") == 1, answer)
        at_error = answer.index(b"\0\x05twice") + 7
        check(struct.unpack(">h", answer[at_error:at_error + 2])[0] == INVALID_REQUEST, answer)
        at_error = answer.index(b"\0\x04once") + 6
        check(struct.unpack(">h", answer[at_error:at_error + 2])[0] == 0, answer)


def a_partition_that_is_written_twice_in_one_request_is_written_by_neither(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "t", partitions=2)
        records = batch([b"v"])
        one = struct.pack(">i", len(records)) + records
        parts = b"".join(struct.pack(">i", partition) + one for partition in (0, 1, 0))
        answer = connection.call(PRODUCE, 7, text(None) + struct.pack(">hii", -1, 1000, 1) +
                                 text("t") + struct.pack(">i", 3) + parts)
        count, = struct.unpack(">i", answer[7:11])
        check(count == 2, f"{count} answers")
        errors = [struct.unpack(">ih", answer[at_:at_ + 6]) for at_ in (11, 11 + 30)]
        check(errors == [(0, INVALID_REQUEST), (1, 0)], errors)
        check(connection.high_watermark("t") == 0, "a record of one of the two was taken")


def an_offset_that_is_given_twice_is_not_committed(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "t")
        offsets = b"".join(struct.pack(">iq", 0, offset) + text("") for offset in (1, 2))
        answer = connection.call(OFFSET_COMMIT, 2, text("g") + struct.pack(">i", -1) + text("") +
                                 struct.pack(">qi", -1, 1) + text("t") + struct.pack(">i", 2) +
                                 offsets)
        check(struct.unpack(">h", answer[-2:])[0] == INVALID_REQUEST, answer)
