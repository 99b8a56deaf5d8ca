#!/usr/bin/env python3
"""Makes messages.txt and batches.txt with a foreign encoder, kafka-python 3.0.11.

    python3 -m venv venv
    venv/bin/pip install kafka-python==3.0.11
    venv/bin/pip install python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0
    venv/bin/python make_goldens.py

messages.txt: a line per message, version and variant: name, version, bytes in hex, and the fields
as text. `full` fills every field with its own value, `bare` leaves all at null, empty or default.
A version is left out if the one below it has the same layout.

batches.txt: a line per record batch: what it is, bytes in hex, and its content as text.
"""

import importlib
import pathlib
import pkgutil
import re
import time
import uuid

import kafka.protocol
from kafka.protocol.api_message import ApiMessage
from kafka.record.default_records import DefaultRecordBatchBuilder

APIS = {
    "Produce": (3, 12), "Fetch": (4, 16), "ListOffsets": (1, 9), "Metadata": (0, 12),
    "OffsetCommit": (2, 9), "OffsetFetch": (1, 9), "FindCoordinator": (0, 5), "JoinGroup": (0, 9),
    "Heartbeat": (0, 4), "LeaveGroup": (0, 5), "SyncGroup": (0, 5), "DescribeGroups": (0, 5),
    "ListGroups": (0, 5), "ApiVersions": (0, 4), "CreateTopics": (2, 7), "DeleteTopics": (1, 6),
    "InitProducerId": (0, 5), "OffsetForLeaderEpoch": (2, 4), "AddPartitionsToTxn": (0, 5),
    "AddOffsetsToTxn": (0, 4), "EndTxn": (0, 5), "TxnOffsetCommit": (0, 5),
    "DescribeConfigs": (1, 4), "CreatePartitions": (0, 3), "DeleteGroups": (0, 2),
    "DescribeCluster": (0, 2), "DescribeProducers": (0, 0), "DescribeTransactions": (0, 0),
    "ListTransactions": (0, 2),
    "DeleteRecords": (0, 2), "DescribeAcls": (1, 3), "CreateAcls": (1, 3), "DeleteAcls": (1, 3),
    "AlterConfigs": (0, 2), "DescribeLogDirs": (1, 4), "IncrementalAlterConfigs": (0, 1),
    "ListPartitionReassignments": (0, 0), "OffsetDelete": (0, 0), "ListConfigResources": (0, 1),
}
RENAMED = {
    "DescribeClusterResponse": "cluster_authorized_operations",
    "MetadataResponse": "cluster_authorized_operations",
    "Topics": "topic_authorized_operations",
}
INT_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
HERE = pathlib.Path(__file__).parent


def message_classes():
    for module in pkgutil.walk_packages(kafka.protocol.__path__, "kafka.protocol."):
        if ".old" not in module.name and "generate" not in module.name:
            importlib.import_module(module.name)
    found, queue = {}, [ApiMessage]
    while queue:
        for cls in queue.pop().__subclasses__():
            found.setdefault(cls.__name__, cls)
            queue.append(cls)
    return found


def in_range(text, version):
    if not text or text == "none":
        return False
    if text.endswith("+"):
        return version >= int(text[:-1])
    first, _, last = text.partition("-")
    return int(first) <= version <= int(last or first)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class Filler:
    """Gives every field a value of its own, the same on every run."""

    def __init__(self):
        self.number = 0

    def scalar(self, kind):
        self.number += 1
        number = self.number
        if kind in INT_BITS:
            bits = INT_BITS[kind]
            span = 1 << (bits - 1)
            value = (number * 0x9E3779B97F4A7C15) % (2 * span) - span
            # Small positive numbers now and then, as they are in life.
            return number % span if number % 3 == 0 else value
        if kind == "bool":
            return number % 2 == 1
        if kind == "string":
            return "text-%d-\u00e9" % number
        if kind in ("bytes", "records"):
            return bytes((number * 7 + i) % 256 for i in range(number % 5 + 1))
        if kind == "bitfield":  # kafka-python's type for an int32 of authorized operations
            return {number % 31, 3}
        if kind == "uuid":
            return uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128))
        raise ValueError(kind)


def show_scalar(kind, value):
    if value is None:
        return "null"
    if kind == "bool":
        return "true" if value else "false"
    if kind == "string":
        return '"%s"' % value
    if kind in ("bytes", "records"):
        return "x" + bytes(value).hex()
    if kind == "uuid":
        return value.hex
    if kind == "bitfield":
        return str(sum(1 << bit for bit in value))
    return str(value)


def default_text(json, commons, version):
    """What a decoder holds in a field that was not written."""
    kind = json["type"]
    children = json.get("fields") or commons.get(kind)
    if json.get("default") == "null":
        return "null"
    if kind.startswith("[]"):
        return "[]"
    if children:
        return "{" + " ".join("%s=%s" % (snake(c["name"]), default_text(c, commons, version))
                              for c in children if in_range(c["versions"], version)) + "}"
    if kind == "bool":
        return str(json.get("default", "false")).lower()
    return show_scalar(kind, json.get("default", "" if kind == "string" else 0))


def build(json_fields, commons, struct, version, variant, filler, depth):
    """The values by name, and their text."""
    values, texts = {}, []
    for json, field in zip(json_fields, struct._fields):
        if not in_range(json["versions"], version):
            continue
        kind = json["type"]
        is_array = kind.startswith("[]")
        element = kind[2:] if is_array else kind
        children = json.get("fields") or commons.get(element)
        name = snake(json["name"])
        if kind == "bitfield":  # kafka-python has renamed some of these
            name = RENAMED.get(struct._json["name"], name)
        tagged = in_range(json.get("taggedVersions"), version)
        may_be_null = in_range(json.get("nullableVersions"), version)
        if variant == "bare" and tagged:
            # Left at its default, hence not written.
            texts.append("%s=%s" % (name, default_text(json, commons, version)))
            continue
        elif variant == "bare" and may_be_null:
            value, text = None, "null"
        elif is_array:
            count = 0 if variant == "bare" else (2 if depth < 2 else 1)
            value, parts = [], []
            for _ in range(count):
                if children:
                    inner, inner_text = build(children, commons, field, version, variant, filler,
                                              depth + 1)
                    value.append(inner)
                    parts.append(inner_text)
                else:
                    scalar = filler.scalar(element)
                    value.append(scalar)
                    parts.append(show_scalar(element, scalar))
            text = "[" + " ".join(parts) + "]"
        elif children:
            inner, text = build(children, commons, field, version, variant, filler, depth + 1)
            value = inner
        else:
            if variant == "bare":
                value = {"bool": False, "string": "", "bytes": b"", "records": b"",
                         "uuid": uuid.UUID(int=0), "bitfield": set()}.get(kind, 0)
            else:
                value = filler.scalar(kind)
            text = show_scalar(kind, value)
        values[field.name] = value
        texts.append("%s=%s" % (name, text))
    return values, "{" + " ".join(texts) + "}"


def layout(json, commons, version):
    def fields(items):
        return [(f["name"], in_range(f.get("nullableVersions"), version),
                 in_range(f.get("taggedVersions"), version),
                 fields(f.get("fields") or commons.get(f["type"].lstrip("[]")) or []))
                for f in items if in_range(f["versions"], version)]
    return in_range(json["flexibleVersions"], version), fields(json["fields"])


def make_messages():
    classes = message_classes()
    lines = []
    for api, (first, last) in APIS.items():
        for role in ("Request", "Response"):
            cls = classes[api + role]
            json = cls._json
            commons = {c["name"]: c["fields"] for c in json.get("commonStructs", [])}
            previous = None
            for version in range(first, last + 1):
                now = layout(json, commons, version)
                if now == previous:
                    continue
                previous = now
                for variant in ("full", "bare"):
                    values, text = build(json["fields"], commons, cls._struct, version, variant,
                                         Filler(), 0)
                    flexible = in_range(json["flexibleVersions"], version)
                    encoded = cls._struct.encode(values, version=version, compact=flexible,
                                                 tagged=flexible)
                    lines.append("%s%s %d %s %s" % (api, role, version, bytes(encoded).hex() or "-",
                                                    text))
    (HERE / "messages.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_batches():
    lines = []
    records = [
        (1700000000000, b"key-0", b"value-0" * 20, []),
        (1700000000005, None, b"no key", [("trace", b"abc"), ("empty", b""), ("none", None)]),
        (1699999999990, b"earlier", None, []),
        (1700000100000, b"", b"", [("\u00e9", b"\x00\xff")]),
    ]
    stamps = {"plain": (-1, -1, -1, False), "idempotent": (4711, 3, 2147483646, False),
              "transactional": (9000000000, 32766, 17, True)}
    for codec, name in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        for kind, (pid, epoch, sequence, transactional) in stamps.items():
            if codec != 0 and kind == "plain":
                continue
            builder = DefaultRecordBatchBuilder(2, codec, transactional, pid, epoch, sequence,
                                                1 << 20)
            for offset, (timestamp, key, value, headers) in enumerate(records):
                assert builder.append(offset, timestamp, key, value, headers) is not None
            encoded = bytes(builder.build())
            text = " ".join("%d:%d:%s:%s:{%s}" % (
                offset, timestamp, show_scalar("bytes", key), show_scalar("bytes", value),
                ",".join("%s=%s" % (k, show_scalar("bytes", v)) for k, v in headers))
                for offset, (timestamp, key, value, headers) in enumerate(records))
            lines.append("%s-%s %s producer=%d epoch=%d sequence=%d transactional=%d %s" % (
                name, kind, encoded.hex(), pid, epoch, sequence, transactional, text))
    (HERE / "batches.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    time.time = lambda: 0  # gzip writes it into its header
    make_messages()
    make_batches()
