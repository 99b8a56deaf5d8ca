#!/usr/bin/env python3
"""Hostile clients. An attack needs no rights, only a connection.

    bench/hostile.py ATTACK ADDRESS [TOPIC STATUS_ADDRESS]

Prepares what the attack needs (a topic with many partitions, groups), prints `ready`, and attacks
until it is ended. bench/run starts it beside an honest producer and consumer.
"""

import pathlib
import resource
import selectors
import socket
import struct
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

from harness.wire import crc32c, text, zigzag  # noqa: E402

MIB = 1 << 20
PRODUCE, FETCH, METADATA, OFFSET_COMMIT, JOIN_GROUP, CREATE_TOPICS = 0, 1, 3, 8, 11, 19


# ------------------------------------------------------------------------------------------- frames

def frame(key, version, body):
    header = struct.pack(">hhi", key, version, 7) + text("hostile")
    return struct.pack(">i", len(header) + len(body)) + header + body


def fetch(topic, partitions, max_wait_ms=30_000, min_bytes=1 << 30, max_bytes=50 * MIB, offset=0):
    entries = b"".join(struct.pack(">iqi", partition, offset, max_bytes)
                       for partition in partitions)
    return frame(FETCH, 4, struct.pack(">iiiib", -1, max_wait_ms, min_bytes, max_bytes, 0) +
                 struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(partitions)) + entries)


def metadata(topics):
    return frame(METADATA, 1, struct.pack(">i", len(topics)) + b"".join(map(text, topics)))


def create(topic, partitions):
    return frame(CREATE_TOPICS, 2, struct.pack(">i", 1) + text(topic) +
                 struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">i?", 30_000, False))


def produce(topic, batches):
    """`batches`: (partition, bytes of one batch) each."""
    return frame(PRODUCE, 3, text(None) + struct.pack(">hi", -1, 10_000) + struct.pack(">i", 1) +
                 text(topic) + struct.pack(">i", len(batches)) +
                 b"".join(struct.pack(">ii", partition, len(batch)) + batch
                          for partition, batch in batches))


def record_batch(records, attributes, count=1):
    after_crc = struct.pack(">hiqqqhii", attributes, count - 1, 0, 0, -1, -1, -1, count) + records
    return struct.pack(">qiiBI", 0, 9 + len(after_crc), -1, 2, crc32c(after_crc)) + after_crc


def plain_batch(value_bytes):
    value = bytes(value_bytes)
    record = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
    return record_batch(zigzag(len(record)) + record, 0)


def bomb(unpacked_bytes):
    """A batch of some 4 KiB with one record of zeros: zstd in blocks of one repeated byte each."""
    value_bytes = unpacked_bytes - 32
    head = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(value_bytes)
    record_bytes = len(head) + value_bytes + 1
    head = zigzag(record_bytes) + head
    left = value_bytes + 1
    blocks = struct.pack("<I", len(head) << 3)[:3] + head
    while left:
        size = min(left, 128 * 1024)
        left -= size
        blocks += struct.pack("<I", size << 3 | 1 << 1 | (0 if left else 1))[:3] + b"\0"
    # Frame header: no content size, a window of 128 MiB.
    return record_batch(b"\x28\xb5\x2f\xfd\x00" + bytes([17 << 3]) + blocks, 4)


# ---------------------------------------------------------------------------------------- the crowd

def connect(address, receive_bytes=None):
    host, port = address.rsplit(":", 1)
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(20)
    connection.connect((host, int(port)))
    connection.settimeout(None)
    return connection


def call(address, request):
    with connect(address) as connection:
        connection.sendall(request)
        size, = struct.unpack(">i", exactly(connection, 4))
        return exactly(connection, size)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def senders(address, make, count, pause=0.2, receive_bytes=None):
    """`count` clients that connect, do what `make(connection)` does, and stay; those that are
    closed come back after `pause` seconds."""
    def one():
        while True:
            try:
                with connect(address, receive_bytes) as connection:
                    make(connection)
            except OSError:
                pass
            time.sleep(pause)
    for _ in range(count):
        threading.Thread(target=one, daemon=True).start()


def silent(connection):
    """Waits, reading nothing, until the other side closes."""
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    while True:
        selector.select()
        try:
            if not connection.recv(1, socket.MSG_PEEK):
                return
        except OSError:
            return
        time.sleep(0.5)


def ready():
    print("ready", flush=True)


def for_ever():
    while True:
        time.sleep(3600)


# ---------------------------------------------------------------------------------------- attacks

def nothing(address, topic, status):
    ready()
    for_ever()


def one_partition_many_times(address, topic, status):
    """A Fetch that names one partition 10,000 times and waits for more than will come."""
    request = fetch(topic, [0] * 10_000, offset=1 << 40)
    waiting = fetch(topic, [0] * 10_000)
    ready()
    senders(address, lambda c: (c.sendall(waiting), c.sendall(request), silent(c)), 4)
    for_ever()


def one_topic_many_times(address, topic, status):
    """Metadata that names one topic of 20,000 partitions 2,000 times, again and again."""
    call(address, create("wide", 20_000))
    request = metadata(["wide"] * 2_000)
    ready()

    def ask(connection):
        while True:
            connection.sendall(request)
            size, = struct.unpack(">i", exactly(connection, 4))
            exactly(connection, size)
    senders(address, ask, 2)
    for_ever()


def small_batches_that_unpack_to_much(address, topic, status):
    call(address, create("bombs", 200))
    batch = bomb(127 * MIB)
    request = produce("bombs", [(partition, batch) for partition in range(200)])
    ready()

    def send(connection):
        while True:
            connection.sendall(request)
            size, = struct.unpack(">i", exactly(connection, 4))
            exactly(connection, size)
    senders(address, send, 1)
    for_ever()


def metadata_of_groups(address, topic, status):
    """JoinGroup with 90 MiB of metadata each, twelve groups."""
    blob = bytes(90 * MIB)
    ready()
    for index in range(12):
        body = (text(f"fat-{index}") + struct.pack(">ii", 60_000, 60_000) + text("") +
                text("consumer") + struct.pack(">i", 1) + text("range") +
                struct.pack(">i", len(blob)))
        request = frame(JOIN_GROUP, 2, body + blob)
        senders(address, lambda c, request=request: (c.sendall(request), silent(c)), 1, 1.0)
    for_ever()


def announced(address, topic, status, count=30, sent=40):
    """Announces 100 MB, sends `sent` bytes and falls silent."""
    part = struct.pack(">i", 100_000_000) + struct.pack(">hhi", 0, 3, 7) + bytes(max(0, sent - 12))
    ready()
    senders(address, lambda c: (c.sendall(part), silent(c)), count)
    for_ever()


def half_requests(address, topic, status):
    announced(address, topic, status, 14, 45_000_000)


def fill(address, topic, records, value_bytes):
    call(address, create(topic, 1))
    batch = plain_batch(value_bytes)
    for _ in range(records):
        call(address, produce(topic, [(0, batch)]))


def readers_that_do_not_read(address, topic, status, count=40, requests=20, bytes_each=50 * MIB):
    fill(address, "heavy", 70, 900_000)
    request = fetch("heavy", [0], max_wait_ms=0, min_bytes=1, max_bytes=bytes_each)
    ready()
    senders(address, lambda c: (c.sendall(request * requests), silent(c)), count,
            receive_bytes=4096)
    for_ever()


def fetches_that_are_not_read(address, topic, status):
    readers_that_do_not_read(address, topic, status, 300, 80, MIB)


def slow_readers(address, topic, status):
    """A hundred that take 10 KB a second each of what they asked for."""
    fill(address, "heavy", 70, 900_000)
    request = fetch("heavy", [0], max_wait_ms=0, min_bytes=1)
    ready()

    def read(connection):
        connection.sendall(request * 2)
        while connection.recv(1000):
            time.sleep(0.1)
    senders(address, read, 100, receive_bytes=4096)
    for_ever()


def idle_connections(address, topic, status):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = []
    for _ in range(10_000):
        try:
            crowd.append(connect(address))
        except OSError:
            break
    ready()
    for_ever()


def connections_a_second(address, topic, status, rate=3_000):
    ready()
    started = time.monotonic()
    made = 0
    while True:
        if made > (time.monotonic() - started) * rate:
            time.sleep(0.001)
            continue
        made += 1
        try:
            connect(address).close()
        except OSError:
            pass


def garbage(address, topic, status):
    noise = bytes((index * 73 + 11) % 256 for index in range(4096))
    ready()
    senders(address, lambda c: (c.sendall(noise), silent(c)), 50, 0.02)
    for_ever()


def scrapes_of_many_groups(address, topic, status):
    """20,000 groups with a position each, and both pages read every second."""
    with connect(address) as connection:
        for index in range(20_000):
            connection.sendall(frame(OFFSET_COMMIT, 2, text(f"group-{index}") +
                                     struct.pack(">i", -1) + text("") + struct.pack(">q", -1) +
                                     struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) +
                                     struct.pack(">iq", 0, 0) + text("")))
            if index % 500 == 499:
                for _ in range(500):
                    size, = struct.unpack(">i", exactly(connection, 4))
                    exactly(connection, size)
    ready()
    while True:
        for page in ("metrics", "status"):
            urllib.request.urlopen(f"http://{status}/{page}", timeout=60).read()
        time.sleep(1)


ATTACKS = {
    "one partition 10,000 times in a Fetch": one_partition_many_times,
    "one topic of 20,000 partitions 2,000 times in Metadata": one_topic_many_times,
    "200 batches that unpack to 127 MiB each": small_batches_that_unpack_to_much,
    "12 groups with 90 MiB of metadata each": metadata_of_groups,
    "30 that announce 100 MB and send 40 bytes": announced,
    "14 that announce 100 MB and send 45 MB": half_requests,
    "40 that ask for 20 x 50 MB and do not read": readers_that_do_not_read,
    "300 that ask for 80 x 1 MB and do not read": fetches_that_are_not_read,
    "20,000 groups and two scrapes a second": scrapes_of_many_groups,
    "10,000 idle connections": idle_connections,
    "3,000 connections a second": connections_a_second,
    "50 that send garbage": garbage,
    "100 that read 10 KB a second": slow_readers,
}


def main():
    attack, address = sys.argv[1:3]
    topic, status = (sys.argv[3:5] + ["", ""])[:2]
    {**ATTACKS, "nothing": nothing}[attack](address, topic, status)


if __name__ == "__main__":
    main()
