"""C35: what administrators' tools ask for is there, acts at once, and stays; the rest is named."""

import re
import struct

from harness import ROOT, Broker, check, free_port, kcat
from harness.wire import Connection, compact, text, varint

SECURITY_DISABLED = 54
NEW = {21: "DeleteRecords", 29: "DescribeAcls", 30: "CreateAcls", 31: "DeleteAcls",
       33: "AlterConfigs", 35: "DescribeLogDirs", 44: "IncrementalAlterConfigs",
       46: "ListPartitionReassignments", 47: "OffsetDelete", 74: "ListConfigResources"}


def set_config(connection, topic, key, value):
    answer = connection.call(44, 0, struct.pack(">ib", 1, 2) + text(topic) +
                             struct.pack(">i", 1) + text(key) + b"\0" + text(value) + b"\0")
    return struct.unpack(">h", answer[8:10])[0]


def every_api_is_there_or_named_in_the_limits(at):
    limits = (ROOT / "LIMITS.md").read_text(encoding="utf-8")
    named = {int(key) for key in re.findall(r"^\| \w+ \| (\d+) \|", limits, re.MULTILINE)}
    with Broker(at) as broker, Connection(broker.address) as connection:
        there = set(connection.api_versions())
    check(set(NEW) <= there, f"not there: {sorted(set(NEW) - there)}")
    check(not there & named, f"there, and named as missing: {sorted(there & named)}")
    for key in (27, 43, 48, 50, 55, 57, 68, 75):
        check(key in named, f"API {key} is neither there nor named in LIMITS.md")


def a_changed_setting_acts_at_once_and_survives_a_kill(at):
    port = free_port()
    record = "x" * 400 + "\n"
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given=record)
        with Connection(broker.address) as connection:
            check(set_config(connection, "t", "max.message.bytes", "200") == 0, "set")
            check(set_config(connection, "t", "max.message.bytes", "much") == 40, "a word")
            check(set_config(connection, "t", "no.such.key", "1") == 40, "an unknown key")
        kcat(broker.address, "-P", "-t", "t", "-X", "message.timeout.ms=3000", given=record,
             good=False)
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", "-X", "message.timeout.ms=3000", given=record,
             good=False)
        out = kcat(broker.address, "-C", "-t", "t", "-e", "-q")
        check(out.count("\n") == 1, f"records over the limit were taken: {out.count(chr(10))}")


def deleted_records_stay_deleted(at):
    port = free_port()
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\nb\nc\n")
        with Connection(broker.address) as connection:
            connection.call(21, 1, struct.pack(">i", 1) + text("t") +
                            struct.pack(">iiqi", 1, 0, 2, 1000))
    with Broker(at, port=port) as broker:
        check(kcat(broker.address, "-C", "-t", "t", "-e", "-q") == "c\n", "the records")


def rules_of_access_are_answered_as_by_kafka_without_an_authorizer(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        answer = connection.call(29, 1, b"\1" + text(None) + b"\3" + text(None) + text(None) +
                                 b"\1\1")
        check(struct.unpack(">h", answer[4:6])[0] == SECURITY_DISABLED, f"{answer}")


def every_setting_of_a_topic_is_described(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        with Connection(broker.address) as connection:
            body = varint(2) + b"\2" + compact("t") + b"\0\0" + b"\1\0" + b"\0"
            answer = connection.call(32, 4, body, flexible=True)
    for key in ("cleanup.policy", "compression.type", "max.message.bytes", "min.insync.replicas",
                "retention.ms", "segment.bytes", "unclean.leader.election.enable"):
        check(key.encode() in answer, f"{key} is not described")


def a_disk_within_its_reserve_is_named(at):
    with Broker(at, "--override", f"log.free.bytes.min={1 << 50}") as broker:
        check(broker.ready, broker.said())
        kcat(broker.address, "-P", "-t", "t", "-X", "message.timeout.ms=2000", given="a\n",
             good=False)
        check("less than the reserve" in broker.said(), f"not named: {broker.said()}")
