"""Apache Kafka as the cluster of a case, by tests/kafka/start_kafka.sh: one server that the cases
of a run share and that is emptied for each directory that asks, or one of a claim's own."""

import atexit
import functools
import os
import pathlib
import struct
import subprocess

from harness.claims import check, wait_for
from harness.ending import undivided
from harness.kafka_admin import array, call, delete_topic
from harness.wire import Connection, compact, text, varint

START = pathlib.Path(__file__).resolve().parent.parent / "kafka" / "start_kafka.sh"
SHARED = "ONCEFLOW_TEST_KAFKA"  # the address of the shared one; the cases of a run are told by it

# What the shared server has beside the settings of start_kafka.sh: nothing waits for long.
QUICK = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.retention.check.interval.ms": "100",
    "log.initial.task.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "1",
}


class Kafka:
    """A server of its own, with the same methods as `Broker`; its files are in `directory`."""

    def __init__(self, directory, properties=None, port=0):
        self.directory = pathlib.Path(directory)
        self.properties = {**QUICK, **(properties or {})}
        self.port = port
        with undivided():
            self.start()
            atexit.register(self.kill)  # if nothing else does

    def start(self):
        """Also after stop() or kill(): on the same port, with the same data."""
        started = subprocess.run(
            [START, "--quick", "--heap", "384M", "--dir", self.directory, "--port",
             str(self.port or ""), *(f"{key}={value}" for key, value in self.properties.items())],
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True)
        check(started.returncode == 0, f"Apache Kafka did not start: {started.stderr[-2000:]}")
        self.port, self.pid = map(int, started.stdout.split()[:2])

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def is_alive(self):
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().split(") ")[1][0] != "Z"
        except OSError:
            return False

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._end("KILL")

    def stop(self, seconds=60):
        """In order; its exit code, which nobody is told."""
        self._end("TERM", seconds)
        return 0

    def _end(self, name, seconds=60):
        if self.is_alive():
            subprocess.run(["kill", f"-{name}", str(self.pid)], check=False)
            wait_for(lambda: not self.is_alive(), "end of Apache Kafka", seconds)
        self.pid = 0  # The number may be another's soon.

    def said(self):
        return (self.directory / "kafka.log").read_text(errors="replace")[-3000:]


class SharedKafka:
    """The server that all cases of a run share, as the cluster of one claim. It is empty at first,
    and again for each further directory that asks for a cluster."""

    def __init__(self, address):
        self.address = address
        self.port = int(address.rsplit(":", 1)[1])
        self.directory = None

    def of(self, directory):
        directory = pathlib.Path(directory).resolve()
        if directory != self.directory:
            self.directory = directory
            empty(self.address)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """It goes on."""

    def is_alive(self):
        return True

    def said(self):
        return ""


def empty(address):
    """No topic, no group, no open transaction: what a claim may find."""
    for transactional_id in open_transactions(address):
        wait_for(lambda each=transactional_id: is_ended(address, each),
                 f"end of the transaction of {transactional_id}", 20)
    for topic in topics(address):
        if not topic.startswith("__"):
            delete_topic(address, topic)
    for group in groups(address):
        remove_members(address, group)
        with Connection(address) as connection:
            wait_for(lambda name=group, to=connection: to.delete_group(name) in (0, 69),
                     f"end of group {group}", 20)


@functools.cache
def shared_kafka():
    """The server of this run, if it is one over Apache Kafka."""
    return SharedKafka(os.environ[SHARED]) if SHARED in os.environ else None


def is_ended(address, transactional_id):
    """What is open is aborted, and that may take a while."""
    concurrent_transactions = 51
    with Connection(address) as connection:
        answer = connection.call(22, 1, text(transactional_id) + struct.pack(">i", 60_000))
    return struct.unpack(">h", answer[4:6])[0] != concurrent_transactions


class Reader:
    """What an answer holds, one after the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def number(self, layout):
        value, = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return value

    def text(self):
        return self.bytes(self.number("h")).decode()

    def bytes(self, size):
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0):self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def compact(self):
        return self.bytes(self.varint() - 1).decode()


def topics(address):
    answer = Reader(call(address, 3, 0, array([])))
    for _ in range(answer.number("i")):  # brokers
        answer.number("i"), answer.text(), answer.number("i")
    found = []
    for _ in range(answer.number("i")):
        answer.number("h")
        found.append(answer.text())
        for _ in range(answer.number("i")):  # partitions
            answer.number("h"), answer.number("i"), answer.number("i")
            for _ in range(2):  # replicas, those in sync
                answer.bytes(4 * answer.number("i"))
    return found


def groups(address):
    answer = Reader(call(address, 16, 0, b""))
    answer.number("h")
    found = []
    for _ in range(answer.number("i")):
        found.append(answer.text())
        answer.text()
    return found


def remove_members(address, group):
    """As kafka-consumer-groups --delete-members does."""
    answer = Reader(call(address, 15, 0, array([text(group)])))
    answer.number("i"), answer.number("h")
    for _ in range(4):  # group, state, protocol type, protocol
        answer.text()
    members = []
    for _ in range(answer.number("i")):
        members.append(answer.text())
        answer.text(), answer.text()
        for _ in range(2):  # metadata, assignment
            answer.bytes(answer.number("i"))
    if members:
        call(address, 13, 3, text(group) + array([text(each) + text(None) for each in members]))


def open_transactions(address):
    with Connection(address) as connection:
        body = varint(2) + compact("Ongoing") + varint(1) + b"\0"
        answer = Reader(connection.call(66, 0, body, flexible=True))
    answer.number("i"), answer.number("h")
    for _ in range(answer.varint() - 1):
        answer.compact()
    found = []
    for _ in range(answer.varint() - 1):
        found.append(answer.compact())
        answer.number("q"), answer.compact(), answer.bytes(answer.varint())
    return found
