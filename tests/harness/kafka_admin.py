"""What administrators do to topics and groups, over the Kafka protocol: kcat cannot."""

import socket
import struct

from harness.claims import check, wait_for

CREATE_TOPICS, DELETE_TOPICS, OFFSET_COMMIT, CREATE_PARTITIONS = 19, 20, 8, 37
DELETE_RECORDS, ALTER_CONFIGS, DELETE_GROUPS = 21, 44, 42
TIMEOUT_MS = 10000


def text(value):
    encoded = value.encode()
    return struct.pack(">h", len(encoded)) + encoded


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def call(address, key, version, body):
    host, port = address.rsplit(":", 1)
    request = struct.pack(">hhi", key, version, 7) + text("test") + body
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", read(connection, 4))[0]
        return read(connection, size)[4:]


def read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        check(part, "the broker hung up")
        data += part
    return data


def create_topic(address, name, partitions=1, **configs):
    """configs: segment_bytes=... is segment.bytes."""
    settings = [text(key.replace("_", ".")) + text(str(value)) for key, value in configs.items()]
    body = array([text(name) + struct.pack(">ih", partitions, 1) + array([]) + array(settings)])
    answer = call(address, CREATE_TOPICS, 2, body + struct.pack(">ib", TIMEOUT_MS, 0))
    expect(answer, 4 + 4 + 2 + len(name), f"create topic {name}")


def delete_topic(address, name):
    answer = call(address, DELETE_TOPICS, 1, array([text(name)]) + struct.pack(">i", TIMEOUT_MS))
    expect(answer, 4 + 4 + 2 + len(name), f"delete topic {name}")


def add_partitions(address, name, total):
    body = array([text(name) + struct.pack(">i", total) + struct.pack(">i", -1)])
    answer = call(address, CREATE_PARTITIONS, 0, body + struct.pack(">ib", TIMEOUT_MS, 0))
    expect(answer, 4 + 4 + 2 + len(name), f"add partitions to {name}")


def delete_records(address, topic, partition, before):
    """All before this offset."""
    body = array([text(topic) + array([struct.pack(">iq", partition, before)])])
    answer = call(address, DELETE_RECORDS, 0, body + struct.pack(">i", TIMEOUT_MS))
    expect(answer, 4 + 4 + 2 + len(topic) + 4 + 4 + 8, f"delete records of {topic}")


def delete_group(address, group):
    answer = call(address, DELETE_GROUPS, 0, array([text(group)]))
    expect(answer, 4 + 4 + 2 + len(group), f"delete group {group}")


def set_topic_config(address, topic, key, value):
    topic_resource, set_operation = 2, 0
    config = text(key) + struct.pack(">b", set_operation) + text(value)
    body = array([struct.pack(">b", topic_resource) + text(topic) + array([config])])
    answer = call(address, ALTER_CONFIGS, 0, body + struct.pack(">b", 0))
    expect(answer, 4 + 4, f"set {key} of {topic}")


def move_position(address, group, topic, partition, offset, metadata=""):
    """As kafka-consumer-groups --reset-offsets does; waits until the group has no members."""
    body = (text(group) + struct.pack(">i", -1) + text("") + struct.pack(">q", -1)
            + array([text(topic)
                     + array([struct.pack(">iq", partition, offset) + text(metadata)])]))
    at = 4 + 2 + len(topic) + 4 + 4
    wait_for(lambda: code_of(call(address, OFFSET_COMMIT, 2, body), at) == 0,
             f"group {group} without members", 30)


def code_of(answer, at):
    return struct.unpack(">h", answer[at:at + 2])[0]


def expect(answer, at, what):
    """Error code 0 at this place."""
    code = code_of(answer, at)
    check(code == 0, f"{what}: error {code}")
