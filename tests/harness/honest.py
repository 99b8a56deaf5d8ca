"""An honest client beside hostile ones: it produces at an even pace in a process of its own and
says how long its answers took, and how often its connection was closed.

    with Honest(address) as honest:
        ...
    honest.p99_ms, honest.closed_count, honest.count
"""

import pathlib
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness.wire import Connection, batch, text  # noqa: E402

TOPIC = "honest"
PER_SECOND = 1000
# Alone it takes about a sync of the disk. Beside others it has to share two cores with this script
# and with whatever else the machine does.
P99_MS_MAX = 250


class Honest:
    def __init__(self, address, value_bytes=100, per_second=PER_SECOND):
        self.process = subprocess.Popen(
            [sys.executable, __file__, address, str(value_bytes), str(per_second)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.count = self.closed_count = 0
        self.p50_ms = self.p99_ms = self.longest_ms = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        said, _ = self.process.communicate("\n", timeout=60)
        numbers = said.split()
        self.count, self.closed_count = int(numbers[0]), int(numbers[1])
        self.p50_ms, self.p99_ms, self.longest_ms = map(float, numbers[2:5])

    def said(self):
        return (f"{self.count} answers, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, "
                f"longest {self.longest_ms:.0f} ms, closed {self.closed_count} times")


def produce_body(topic, records):
    """Of a Produce of version 8."""
    return (text(None) + struct.pack(">hii", -1, 10_000, 1) + text(topic) +
            struct.pack(">iii", 1, 0, len(records)) + records)


def make_topic(connection, topic):
    """By asking for it, as clients do."""
    connection.call(3, 4, struct.pack(">i", 1) + text(topic) + b"\1")


def produce_once(connection, body):
    answer = connection.call(0, 8, body)
    name_bytes, = struct.unpack(">h", answer[4:6])
    error, = struct.unpack(">h", answer[14 + name_bytes:16 + name_bytes])
    assert error == 0, f"Produce: error {error}"


def main(address, value_bytes, per_second):
    """Sends at an even pace until something comes on stdin. A slow answer does not hold up those
    after it, so it counts for them too."""
    import select  # pylint: disable=import-outside-toplevel
    body = produce_body(TOPIC, batch([b"x" * value_bytes]))
    seconds, closed = [], 0
    connection = Connection(address)
    make_topic(connection, TOPIC)
    produce_once(connection, body)
    print("ready", flush=True)
    sent_at = []
    due = time.monotonic()
    ends = False
    while not ends or sent_at:
        now = time.monotonic()
        if not ends and now >= due:
            try:
                connection.send(0, 8, body)
                sent_at.append(now)
            except OSError:
                closed += 1
                sent_at = []
                connection = Connection(address)
            due = max(due + 1 / per_second, now - 1)
            continue
        timeout = 20 if ends else max(0, due - now)
        readable, _, _ = select.select([connection.socket] + ([] if ends else [sys.stdin]), [], [],
                                       timeout)
        if sys.stdin in readable:
            ends = True
        if connection.socket in readable:
            try:
                connection.receive()
                seconds.append(time.monotonic() - sent_at.pop(0))
            except OSError:
                closed += 1
                sent_at = []
                connection = Connection(address)
        elif ends and not readable:
            seconds += [20.0] * len(sent_at)
            break
    seconds.sort()
    print(len(seconds), closed, *(f"{each * 1e3:.2f}" for each in (
        seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100], seconds[-1])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
