"""D3: batches that unpack to much are looked into beside the loop: others are served as ever, and
what one connection sends keeps its order."""

import contextlib
import gzip
import struct
import threading
import time

from harness import Broker, check
from harness.honest import Honest
from harness.kafka_admin import create_topic
from harness.wire import Connection, crc32c, text, zigzag

MIB = 1 << 20
PRODUCE, DELETE_TOPICS = 0, 20
GZIP, ZSTD = 1, 4
WORST_MS = 500  # 6.5 s were


def records_of(count, value_bytes):
    """A batch's records: `count` of them, of zeros."""
    out = bytearray()
    for index in range(count):
        record = (b"\0\0" + zigzag(index) + zigzag(-1) + zigzag(value_bytes) +
                  bytes(value_bytes) + b"\0")
        out += zigzag(len(record)) + record
    return bytes(out)


def batch_of(payload, count, codec):
    after_crc = struct.pack(">hiqqqhii", codec, count - 1, 0, 0, -1, -1, -1, count) + payload
    return struct.pack(">qiibI", 0, 9 + len(after_crc), -1, 2, crc32c(after_crc)) + after_crc


def zeros_in_zstd(size_bytes):
    """One record of so many zeros in some 4 KB: a frame of blocks that repeat one byte."""
    value = size_bytes
    inner = b"\0\0" + zigzag(0) + zigzag(-1) + zigzag(value)
    head = zigzag(len(inner) + value + 1) + inner
    blocks = [struct.pack("<I", len(head) << 3)[:3] + head]
    left = value + 1  # and no headers, which is a zero as well
    while left > 0:
        run = min(left, 128 * 1024)
        left -= run
        blocks.append(struct.pack("<I", (run << 3) | 2 | (left == 0))[:3] + b"\0")
    return struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3) + b"".join(blocks)


def produce_body(batches, topic="t", first_partition=0):
    parts = b"".join(struct.pack(">ii", first_partition + index, len(each)) + each
                     for index, each in enumerate(batches))
    return (text(None) + struct.pack(">hii", -1, 30_000, 1) + text(topic) +
            struct.pack(">i", len(batches)) + parts)


def errors_of(answer, topic="t"):
    count, = struct.unpack(">i", answer[6 + len(topic):10 + len(topic)])
    return [struct.unpack(">h", answer[14 + len(topic) + 30 * index:][:2])[0]
            for index in range(count)]


def others_are_served(at, batches, name):
    with Broker(at) as broker:
        create_topic(broker.address, "t", partitions=len(batches))
        with Honest(broker.address) as alone:
            time.sleep(1)
        with Connection(broker.address) as hostile, Honest(broker.address) as beside:
            begun = time.monotonic()
            answer = hostile.call(PRODUCE, 7, produce_body(batches))
            took = time.monotonic() - begun
            time.sleep(0.2)
        print(f"    {name}: answered after {took:.2f} s\n    alone: {alone.said()}\n"
              f"    beside it: {beside.said()}")
        check(errors_of(answer)[0] == 0, errors_of(answer)[:3])
        check(beside.longest_ms < WORST_MS and beside.closed_count == 0, beside.said())
        check(broker.memory_bytes("VmHWM") < 500 * MIB, "memory")


def two_hundred_batches_of_4_kb_that_unpack_to_127_mib_each(at):
    others_are_served(at, [batch_of(zeros_in_zstd(127 * MIB), 1, ZSTD)] * 200, "zstd, 200 batches")


def many_small_records_in_gzip(at):
    payload = gzip.compress(records_of(200_000, 100), 1)
    others_are_served(at, [batch_of(payload, 200_000, GZIP)] * 4, "gzip, 800,000 records")


def a_connection_keeps_its_order(at):
    """Long, short, long, short on one connection, without waiting: offsets in the order of
    sending."""
    with Broker(at) as broker, Connection(broker.address) as connection:
        create_topic(broker.address, "t")
        long = batch_of(gzip.compress(records_of(50_000, 100), 1), 50_000, GZIP)
        short = batch_of(records_of(1, 10), 1, 0)
        for each in (long, short, long, short):
            connection.send(PRODUCE, 7, produce_body([each]))
        offsets = [struct.unpack(">q", connection.receive()[17:25])[0] for _ in range(4)]
        check(offsets == [0, 50_000, 50_001, 100_001], offsets)


def a_client_that_has_gone_appends_nothing(at):
    """KAFKA-17754: what it sent and nobody has answered does not take effect late."""
    with Broker(at) as broker, Connection(broker.address) as other:
        create_topic(broker.address, "t")
        create_topic(broker.address, "busy", partitions=8)
        unpacks = batch_of(zeros_in_zstd(127 * MIB), 1, ZSTD)
        blockers = [Connection(broker.address) for _ in range(8)]
        for number, each in enumerate(blockers):
            each.send(PRODUCE, 7, produce_body([unpacks], "busy", number))
        with Connection(broker.address) as gone:
            gone.send(PRODUCE, 7, produce_body([unpacks]))
            time.sleep(0.05)
        for each in blockers:
            check(errors_of(each.receive(), "busy") == [0], "the others are answered")
            each.socket.close()
        time.sleep(0.5)
        check(other.high_watermark("t") == 0, "it was appended after all")


@contextlib.contextmanager
def nobody_waits(broker):
    with Honest(broker.address) as beside:
        yield
        time.sleep(0.5)
    print(f"    beside it: {beside.said()}")
    check(beside.longest_ms < WORST_MS and beside.closed_count == 0, beside.said())


def names(count, rest=b""):
    return struct.pack(">i", count) + b"".join(text("%08x" % number) + rest
                                               for number in range(count))


def a_request_that_names_a_great_many_things(at):
    """Refused by one rule for all: 10,000, and twice what the log holds."""
    many = {
        "Metadata": (3, 4, names(100_000) + b"\0"),
        "ListOffsets": (2, 2, struct.pack(">ib", -1, 0) +
                        names(100_000, struct.pack(">iiq", 1, 0, -1))),
        "Fetch": (1, 4, struct.pack(">iiiib", -1, 0, 0, 1 << 20, 0) +
                  names(100_000, struct.pack(">iiqi", 1, 0, 0, 1000))),
        "DescribeGroups": (15, 1, names(150_000)),
        "AlterConfigs": (33, 0, struct.pack(">ib", 1, 2) + text("t") +
                         names(150_000, text("1")) + b"\0"),
        "JoinGroup": (11, 2, text("g") + struct.pack(">ii", 10_000, 1_000) + text("") +
                      text("consumer") + names(60_000, struct.pack(">i", 0))),
    }
    with Broker(at) as broker:
        with Connection(broker.address) as connection:
            connection.create_topic("t", 1)
        for name, (key, version, body) in many.items():
            with nobody_waits(broker), Connection(broker.address) as connection:
                connection.send(key, version, body)
                check(connection.socket.recv(1) == b"", f"{name}: it is answered")
        check("a request Metadata of /127.0.0.1 names 100000 things" in broker.said(),
              broker.said())
        with Connection(broker.address) as connection:
            check(connection.call(3, 4, names(9_000) + b"\0"), "9,000 are answered")


def ten_thousand_settings_that_nobody_knows(at):
    with Broker(at) as broker, nobody_waits(broker), Connection(broker.address) as connection:
        connection.create_topic("t", 1)
        answer = connection.call(33, 0, struct.pack(">ib", 1, 2) + text("t") +
                                 names(9_000, text("1")) + b"\0")
        check(struct.unpack(">h", answer[8:10])[0] == 40, answer[:60])


def a_topic_of_99000_partitions_is_deleted(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        connection.socket.settimeout(60)
        connection.create_topic("wide", 99_000)
        with nobody_waits(broker):
            connection.delete_topic("wide")


class Probe:
    """Small requests one after the other; `longest` is that of the one that waited longest."""

    def __init__(self, address):
        self.connection = Connection(address)
        self.longest, self.ends = 0, False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.ends:
            began = time.monotonic()
            self.connection.call(18, 0, b"")
            self.longest = max(self.longest, time.monotonic() - began)

    def end(self):
        self.ends = True
        self.thread.join()
        self.connection.socket.close()
        return self.longest


def share_of_the_longest_turn(broker, key, version, body):
    """How long another waited for the loop, of the time that the answer took: the least of some,
    for what else runs on the machine is in both."""
    shares = []
    for _ in range(5):
        with Connection(broker.address) as connection:
            connection.socket.settimeout(60)
            probe = Probe(broker.address)
            time.sleep(0.05)
            began = time.monotonic()
            connection.call(key, version, body)
            took = time.monotonic() - began
            shares.append(probe.end() / took)
    return min(shares)


def a_request_that_names_all_partitions_has_many_turns(at):
    """One turn of the loop was all the time that each of these took."""
    wide, many = 40_000, 2_000
    with Broker(at) as broker, Connection(broker.address) as connection:
        connection.socket.settimeout(60)
        connection.create_topic("wide", wide)
        connection.call(19, 2, struct.pack(">i", many) + b"".join(
            text("%08x" % number) + struct.pack(">ihii", 1, 1, 0, 0) for number in range(many)) +
            struct.pack(">i?", 60_000, False))

        def each(rest):
            return (struct.pack(">i", 1) + text("wide") + struct.pack(">i", wide) +
                    b"".join(struct.pack(">i", number) + rest for number in range(wide)))
        asked = {
            "ListOffsets": (2, 2, struct.pack(">ib", -1, 0) + each(struct.pack(">q", -1))),
            "OffsetCommit": (8, 2, text("g") + struct.pack(">i", -1) + text("") +
                             struct.pack(">q", -1) + each(struct.pack(">qh", 7, -1))),
            "OffsetFetch": (9, 5, text("g") + each(b"")),
            "DeleteRecords": (21, 1, each(struct.pack(">q", 0)) + struct.pack(">i", 1000)),
            "DescribeConfigs": (32, 1, names_of_resources(many)),
        }
        for name, request in asked.items():
            share = share_of_the_longest_turn(broker, *request)
            print(f"    {name}: {100 * share:.0f} % of it in one turn")
            check(share < 0.6, f"{name}: {100 * share:.0f} % of the time in one turn")


def names_of_resources(count):
    return (struct.pack(">i", count) + b"".join(
        b"\2" + text("%08x" % number) + struct.pack(">i", -1) for number in range(count)) + b"\1")
