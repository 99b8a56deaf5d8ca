"""Many partitions: what an empty one takes, a first record to each, a stop, a start, few files."""

import os
import struct
import subprocess
import time

from harness import ONCEFLOW, Broker, check, wait_for
from harness.wire import Connection, batch, text

# With PARTITIONS=100000 WRITTEN=10000 the numbers of bench/results.md are measured by this case.
PARTITIONS = int(os.environ.get("PARTITIONS", 30_000))
WRITTEN = int(os.environ.get("WRITTEN", 3_000))
BYTES_MAX = 1024
STOP_SECONDS_MAX = 15  # 2.3 s for 10,000 of them on a machine of its own
FILES = 250
RECORD = batch([b"x" * 100], timestamp_ms=int(time.time() * 1000))


def produce_to_each(connection, topic, partitions):
    """A record to each of them in one request."""
    connection.send(0, 3, text(None) + struct.pack(">hii", -1, 30_000, 1) + text(topic) +
                    struct.pack(">i", len(partitions)) +
                    b"".join(struct.pack(">ii", partition, len(RECORD)) + RECORD
                             for partition in partitions))
    return connection.receive()


def ends_of(connection, topic, partitions):
    """The high watermarks, by ListOffsets of version 2."""
    answer = connection.call(2, 2, struct.pack(">ibi", -1, 0, 1) + text(topic) +
                             struct.pack(">i", len(partitions)) +
                             b"".join(struct.pack(">iq", partition, -1)
                                      for partition in partitions))
    rows = struct.iter_unpack(">ihqq", answer[4 + 4 + 2 + len(topic) + 4:])
    return [offset for _, _, _, offset in rows]


def an_empty_partition_takes_little(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        connection.socket.settimeout(120)
        before = broker.memory_bytes()
        began = time.monotonic()
        connection.create_topic("much", PARTITIONS)
        took = time.monotonic() - began
        each = (broker.memory_bytes() - before) / PARTITIONS
        print(f"    {each:.0f} bytes each; created in {took:.2f} s")
        check(each <= BYTES_MAX, f"{each:.0f} bytes")


def first_records_cost_little_and_so_does_their_checkpoint(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        connection.socket.settimeout(120)
        connection.create_topic("much", PARTITIONS)
        began = time.monotonic()
        produce_to_each(connection, "much", range(WRITTEN))
        first = time.monotonic() - began
        began = time.monotonic()
        check(broker.stop() == 0, broker.said())
        stopped = time.monotonic() - began
        print(f"    a first record to each of {WRITTEN:,} in {first:.2f} s; stopped in "
              f"{stopped:.2f} s")
        check(stopped < STOP_SECONDS_MAX, f"stopped in {stopped:.2f} s")
    began = time.monotonic()
    with Broker(at) as broker, Connection(broker.address) as connection:
        print(f"    started in {time.monotonic() - began:.2f} s")
        check(ends_of(connection, "much", range(WRITTEN)) == [1] * WRITTEN, "records are missing")


def few_files_may_be_open(at):
    """Segments and connections do not take each other's descriptors: the log goes on, and says how
    many connections it takes."""
    (at / "limited").write_text(f"#!/bin/sh\nulimit -n {FILES}\nexec {ONCEFLOW} \"$@\"\n")
    (at / "limited").chmod(0o755)
    process = subprocess.Popen([str(at / "limited"), "broker", "--data-dir", "data", "--port", "0"],
                               cwd=at, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split(" ready on ")[1].split()[0]
        connections = []
        with Connection(address) as connection:
            connection.create_topic("much", 500)
            for _ in range(FILES):
                try:
                    connections.append(Connection(address))
                except OSError:
                    break
            for turn in range(3):
                produce_to_each(connection, "much", range(500))
                wait_for(lambda seen=turn: ends_of(connection, "much", range(500)) ==
                         [seen + 1] * 500, "the records")
        process.terminate()
        said = process.communicate(timeout=60)[1]
        check(process.returncode == 0, said)
        check("connections are accepted" in said and f"may have {FILES} files" in said, said)
        for each in connections:
            each.socket.close()
    finally:
        process.kill()
        process.wait()
    with Broker(at) as broker, Connection(broker.address) as connection:
        check(ends_of(connection, "much", range(500)) == [3] * 500, "records are missing")
