"""Kafka's protocol by hand, for what no client does on purpose: requests out of their order, an
end without a goodbye. Bodies are bytes, made and read by the caller."""

import socket
import struct


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def text(value):
    """A string of the old versions; None: null; bytes as they are."""
    if value is None:
        return struct.pack(">h", -1)
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">h", len(raw)) + raw


def compact(value):
    """A string or bytes of the flexible versions; None: null."""
    if value is None:
        return b"\0"
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw) + 1) + raw


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def batch(values, producer=(-1, -1), sequence=-1, transactional=False, timestamp_ms=0):
    """A record batch of magic 2 with these values; `producer`: id and epoch."""
    records = b""
    for index, value in enumerate(values):
        record = (b"\0" + zigzag(0) + zigzag(index) + zigzag(-1) + zigzag(len(value)) + value +
                  zigzag(0))
        records += zigzag(len(record)) + record
    after_crc = struct.pack(">hiqqqhii", 0x10 if transactional else 0, len(values) - 1,
                            timestamp_ms, timestamp_ms, *producer, sequence, len(values)) + records
    return struct.pack(">qiib I".replace(" ", ""), 0, 9 + len(after_crc), -1, 2,
                       crc32c(after_crc)) + after_crc


def read_zigzag(data, at):
    """(number, place after it)"""
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return (number >> 1) ^ -(number & 1), at


def values_of(batches):
    """The values of all records in whole, uncompressed batches."""
    while len(batches) >= 61:
        length, = struct.unpack(">i", batches[8:12])
        count, = struct.unpack(">i", batches[57:61])
        at = 61
        for _ in range(count if len(batches) >= 12 + length else 0):
            size, at = read_zigzag(batches, at)
            end = at + size
            at += 1  # attributes
            for _ in range(2):
                _, at = read_zigzag(batches, at)
            key, at = read_zigzag(batches, at)
            size, at = read_zigzag(batches, at + max(key, 0))
            yield batches[at:at + max(size, 0)]
            at = end
        batches = batches[12 + length:]


class Connection:
    """One connection; `call` waits for the answer and gives its body."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, key, version, body, flexible=False):
        self.send(key, version, body, flexible)
        return self.receive(flexible)

    def send(self, key, version, body, flexible=False):
        header = struct.pack(">hhi", key, version, 7) + text("wire") + (b"\0" if flexible else b"")
        self.socket.sendall(struct.pack(">i", len(header + body)) + header + body)

    def receive(self, flexible=False):
        size, = struct.unpack(">i", self._read(4))
        return self._read(size)[5 if flexible else 4:]

    def _read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the broker has closed the connection")
            data += part
        return data

    # --- What several cases need. ---

    def init_producer(self, transactional_id, timeout_ms):
        """(producer id, epoch)"""
        answer = self.call(22, 1, text(transactional_id) + struct.pack(">i", timeout_ms))
        error, producer, epoch = struct.unpack(">hqh", answer[4:])
        assert error == 0, f"InitProducerId: error {error}"
        return producer, epoch

    def produce_v12(self, transactional_id, topic, records):
        """Error code of a Produce of version 12, which adds its partition to the transaction."""
        body = (compact(transactional_id) + struct.pack(">hi", -1, 10_000) + varint(2) +
                compact(topic) + varint(2) + struct.pack(">i", 0) + compact(records) + b"\0\0\0")
        answer = self.call(0, 12, body, flexible=True)
        at = 1 + 1 + len(topic) + 1 + 4  # counts and name, then the partition's number
        return struct.unpack(">h", answer[at:at + 2])[0]

    def end_transaction_v5(self, transactional_id, producer, commit=True):
        """(error code, producer to go on with)"""
        body = compact(transactional_id) + struct.pack(">qh?", *producer, commit) + b"\0"
        answer = self.call(26, 5, body, flexible=True)
        error, next_id, next_epoch = struct.unpack(">hqh", answer[4:16])
        return error, (next_id, next_epoch)

    def last_stable_offset(self, topic):
        return self._latest(topic, 1)

    def high_watermark(self, topic):
        return self._latest(topic, 0)

    def fetch(self, topic, offset):
        """(error code, batches) of partition 0 from there on; waits for nothing."""
        body = (struct.pack(">iiiibi", -1, 0, 0, 1 << 20, 0, 1) + text(topic) +
                struct.pack(">iiqi", 1, 0, offset, 1 << 20))
        answer = self.call(1, 4, body)
        at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4
        error, = struct.unpack(">h", answer[at:at + 2])
        at += 2 + 8 + 8
        aborted, = struct.unpack(">i", answer[at:at + 4])
        at += 4 + 16 * max(aborted, 0)
        size, = struct.unpack(">i", answer[at:at + 4])
        return error, answer[at + 4:at + 4 + max(size, 0)]

    def fetch_values(self, topic, offset):
        """Values of the uncompressed records that one fetch from there gives, as text."""
        _, batches = self.fetch(topic, offset)
        return [value.decode(errors="replace") for value in values_of(batches)]

    def _latest(self, topic, isolation):
        body = struct.pack(">ibi", -1, isolation, 1) + text(topic) + struct.pack(">iiq", 1, 0, -1)
        answer = self.call(2, 2, body)
        return struct.unpack(">q", answer[-8:])[0]

    def join_alone(self, group, instance, session_ms):
        """A static member, the only one, up to its assignment."""
        answer = self.call(11, 5, text(group) + struct.pack(">ii", session_ms, 60_000) + text("") +
                           text(instance) + text("consumer") + struct.pack(">i", 1) +
                           text("range") + struct.pack(">i", 0))
        error, generation = struct.unpack(">hi", answer[4:10])
        assert error == 0, f"JoinGroup: error {error}"
        at = 10
        names = []
        for _ in range(3):  # protocol, leader, member id
            length, = struct.unpack(">h", answer[at:at + 2])
            names.append(answer[at + 2:at + 2 + length].decode())
            at += 2 + length
        answer = self.call(14, 3, text(group) + struct.pack(">i", generation) + text(names[2]) +
                           text(instance) + struct.pack(">i", 1) + text(names[2]) +
                           struct.pack(">i", 1) + b"a")
        assert struct.unpack(">h", answer[4:6])[0] == 0, "SyncGroup"

    def delete_group(self, group):
        answer = self.call(42, 1, struct.pack(">i", 1) + text(group))
        return struct.unpack(">h", answer[-2:])[0]

    def api_versions(self):
        """{key: (lowest, highest)}"""
        answer = self.call(18, 0, b"")
        count, = struct.unpack(">i", answer[2:6])
        return {key: (low, high) for key, low, high in
                struct.iter_unpack(">hhh", answer[6:6 + 6 * count])}

    def create_topic(self, topic, partitions):
        answer = self.call(19, 2, struct.pack(">i", 1) + text(topic) +
                           struct.pack(">ihii", partitions, 1, 0, 0) +
                           struct.pack(">i?", 60_000, False))
        at = 4 + 4 + 2 + len(topic.encode())
        error, = struct.unpack(">h", answer[at:at + 2])
        assert error == 0, f"CreateTopics: error {error}"

    def delete_topic(self, topic):
        answer = self.call(20, 1, struct.pack(">i", 1) + text(topic) + struct.pack(">i", 60_000))
        error, = struct.unpack(">h", answer[-2:])
        assert error == 0, f"DeleteTopics: error {error}"

    def send_produce(self, topic, partition, records):
        """A Produce of version 3 with acks=all, not waited for."""
        self.send(0, 3, text(None) + struct.pack(">hii", -1, 30_000, 1) + text(topic) +
                  struct.pack(">iii", 1, partition, len(records)) + records)

    def produce(self, topic, partition, records):
        """The error code of a Produce of version 3."""
        self.send_produce(topic, partition, records)
        answer = self.receive()
        at = 4 + 2 + len(topic.encode()) + 4 + 4
        return struct.unpack(">h", answer[at:at + 2])[0]

    def send_commit(self, group, topic, offsets):
        """An OffsetCommit of version 2 without a member, of {partition: offset}, not waited for."""
        body = (text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) +
                text(topic))
        body += struct.pack(">i", len(offsets)) + b"".join(
            struct.pack(">iqh", partition, offset, -1) for partition, offset in offsets.items())
        self.send(8, 2, body)
