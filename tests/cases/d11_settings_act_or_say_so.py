"""D11: a setting that is accepted acts, or it is said that it does nothing here."""

import struct
import time

from harness import SMALL_SEGMENTS, Broker, check, consume, kcat, wait_for
from harness.kafka_admin import create_topic, set_topic_config
from harness.wire import Connection, batch, compact, text, varint

INVALID_TIMESTAMP = 32
HOUR_MS = 3_600_000
NOTHING = "it has no effect here"


def produce(address, topic, ages_ms):
    """Error codes of records of these ages, one request each."""
    codes = []
    with Connection(address) as connection:
        for age in ages_ms:
            records = batch([b"v"], timestamp_ms=int(time.time() * 1000) - age)
            answer = connection.call(0, 5, text(None) + struct.pack(">hii", -1, 5_000, 1) +
                                     text(topic) + struct.pack(">iii", 1, 0, len(records)) +
                                     records)
            at = 4 + 2 + len(topic) + 4 + 4
            codes.append(struct.unpack(">h", answer[at:at + 2])[0])
    return codes


def described(address, topic):
    """{key: documentation} of a topic."""
    with Connection(address) as connection:
        body = varint(2) + b"\2" + compact(topic) + b"\0\0" + b"\0\1" + b"\0"
        answer = connection.call(32, 4, body, flexible=True)
    at = 4 + 1 + 2 + 1 + 1 + 1 + len(topic)
    count, at = answer[at] - 1, at + 1
    found = {}

    def string():
        nonlocal at
        length, shift = 0, 0
        while True:
            byte, at = answer[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        value, at = answer[at:at + max(length - 1, 0)].decode(), at + max(length - 1, 0)
        return value

    for _ in range(count):
        name = string()
        string()           # value
        at += 3            # read only, source, sensitive
        at += 1            # synonyms: none
        at += 1            # type
        found[name] = string()
        at += 1            # tagged fields
    return found


def timestamps_are_bounded_as_by_kafka(at):
    """An hour ahead, without a bound to the past."""
    with Broker(at) as broker:
        create_topic(broker.address, "t")
        ages = [0, 10 * 365 * 24 * HOUR_MS, -HOUR_MS // 2]
        check(produce(broker.address, "t", ages) == [0, 0, 0], "within")
        check(produce(broker.address, "t", [-2 * HOUR_MS]) == [INVALID_TIMESTAMP], "two hours on")
        for raw in (1 << 62, -(1 << 62)):
            now = int(time.time() * 1000)
            expected = INVALID_TIMESTAMP if raw > 0 else 0
            check(produce(broker.address, "t", [now - raw]) == [expected], f"{raw}")


def the_bounds_of_a_topic_and_of_the_broker_act(at):
    with Broker(at, "--override", "log.message.timestamp.after.max.ms=1000", "--override",
                "log.message.timestamp.before.max.ms=60000") as broker:
        create_topic(broker.address, "by-broker")
        create_topic(broker.address, "by-topic", **{"message.timestamp.after.max.ms": HOUR_MS,
                                                    "message.timestamp.before.max.ms": HOUR_MS})
        ages = [0, -HOUR_MS // 2, HOUR_MS // 2]
        bad = INVALID_TIMESTAMP
        check(produce(broker.address, "by-broker", ages) == [0, bad, bad], "by the broker")
        check(produce(broker.address, "by-topic", ages) == [0, 0, 0], "by the topic")
        set_topic_config(broker.address, "by-topic", "message.timestamp.before.max.ms", "1000")
        check(produce(broker.address, "by-topic", ages) == [0, 0, bad], "altered")


def a_topic_with_append_time_takes_any_timestamp(at):
    with Broker(at) as broker:
        create_topic(broker.address, "t", **{"message.timestamp.type": "LogAppendTime",
                                             "message.timestamp.before.max.ms": 1000})
        check(produce(broker.address, "t", [0, -10 * HOUR_MS, 10 * HOUR_MS]) == [0, 0, 0], "any")


def records_from_the_future_are_not_kept_for_ever(at):
    """Where a topic takes them: a segment is at least as old as the next one."""
    options = ("--override", "log.retention.check.interval.ms=100", *SMALL_SEGMENTS)
    with Broker(at, *options) as broker:
        create_topic(broker.address, "t", **{"message.timestamp.after.max.ms": (1 << 63) - 1,
                                             "retention.ms": 1000, "segment.bytes": 200})
        now = int(time.time() * 1000)
        ages = [now - (1 << 62), now + (1 << 62), 0, 0, 0, 0]
        check(produce(broker.address, "t", ages) == [0] * 6, "taken")
        wait_for(lambda: len(consume(broker.address, "t")) < 4, "retention", 20)


def what_does_nothing_is_said_when_it_is_set(at):
    with Broker(at) as broker:
        create_topic(broker.address, "t", **{"segment.ms": 1000, "retention.ms": 5000})
        check("topic 't': without effect here, and kept: segment.ms" in broker.said(),
              broker.said())
        set_topic_config(broker.address, "t", "flush.messages", "1")
        check("flush.messages" in broker.said(), broker.said())
        check("retention.ms" not in broker.said(), broker.said())


def what_does_nothing_is_said_at_the_start(at):
    (at / "server.properties").write_text(
        "num.network.threads=3\nlog.roll.ms=5\ntransactional.id.expiration.ms=7\n"
        "log.cleanup.policy=compact\nno.such.key=1\nnum.partitions=2\n", encoding="utf-8")
    with Broker(at, at / "server.properties") as broker:
        check(broker.ready, broker.said())
        for key in ("num.network.threads", "log.roll.ms", "transactional.id.expiration.ms",
                    "log.cleanup.policy=compact", "no.such.key"):
            check(key in broker.said(), f"{key}: {broker.said()}")
        check("num.partitions" not in broker.said(), broker.said())


# What is tried of each setting of a topic that is said to act; the claims below try them.
ACTS = {"cleanup.policy", "max.message.bytes", "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms", "message.timestamp.type", "retention.bytes",
        "retention.ms", "segment.bytes"}


def every_setting_of_a_topic_acts_or_is_described_as_doing_nothing(at):
    with Broker(at) as broker:
        create_topic(broker.address, "t")
        acting = {key for key, words in described(broker.address, "t").items()
                  if NOTHING not in words}
        check(acting == ACTS, f"described as acting: {sorted(acting ^ ACTS)}")


def sizes_act(at):
    options = ("--override", "log.retention.check.interval.ms=100", *SMALL_SEGMENTS)
    with Broker(at, *options) as broker:
        create_topic(broker.address, "t", **{"max.message.bytes": 300, "segment.bytes": 400,
                                             "retention.bytes": 500})
        kcat(broker.address, "-P", "-t", "t", "-X", "message.timeout.ms=2000",
             given="x" * 400 + "\n", good=False)
        check(consume(broker.address, "t") == [], "max.message.bytes")
        for number in range(20):
            kcat(broker.address, "-P", "-t", "t", given=f"{number}{'x' * 100}\n")
        wait_for(lambda: len(consume(broker.address, "t")) < 10, "retention.bytes, segment.bytes",
                 20)


def time_and_policy_act(at):
    options = ("--override", "log.retention.check.interval.ms=100")
    with Broker(at, *options) as broker:
        create_topic(broker.address, "kept", **{"retention.ms": 1, "cleanup.policy": "compact"})
        create_topic(broker.address, "gone", **{"retention.ms": 1})
        for topic in ("kept", "gone"):
            kcat(broker.address, "-P", "-t", topic, "-K:", given="k:v\n")
        wait_for(lambda: consume(broker.address, "gone") == [], "retention.ms", 20)
        check(consume(broker.address, "kept") == ["v"], "cleanup.policy")
        check(produce(broker.address, "kept", [0]) == [87], "a record without a key")
