"""What Apache Kafka refuses is final and named with its fix: the rows of docs/errors.md that a
single server can be brought to. Others are in c11 (time-out of transactions), c13, c14 and c17."""

import re
import struct
import time

from harness import Worker, check, check_plain, cluster, consume, produce, wait_for
from harness.kafka_admin import array, call, code_of, create_topic, set_topic_config, text

COPY = """
name: p
source: { kafka: { topics: [in], group.id: g } }
sinks: [ kafka: { topic: out } ]
"""
COUNT = """
name: p
source: { kafka: { topics: [in], group.id: g } }
steps: [ { id: k, key: $.k, aggregate: { n: count(*) } } ]
sinks: [ kafka: { topic: out } ]
"""


def ends(at, broker, *words, pipeline=COPY):
    with Worker(at, pipeline, servers=broker.address, wait=False) as worker:
        check(worker.wait(40) == 1, worker.said())
        said = worker.said()
        for word in words:
            check(word in said, f"no {word!r} in: {said}")
        check_plain(said)
        return said


def helps(at, broker, said, records):
    """The command that it names, carried out: the same file goes on, and all is there."""
    command = re.search(r"the fix: kafka-configs\.sh --bootstrap-server (\S+) --alter "
                        r"--topic (\S+) --add-config ([^\s]+)", said)
    check(command, said)
    address, topic, settings = command.groups()
    check(address == broker.address, said)
    for setting in settings.rstrip(",;").split(","):
        set_topic_config(broker.address, topic, *setting.split("="))
    with Worker(at, COPY, servers=broker.address) as worker:
        wait_for(lambda: consume(broker.address, topic) == records, worker.said)


def a_record_without_a_key_for_a_compacted_topic(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        create_topic(broker.address, "out", 1, cleanup_policy="compact")
        produce(broker.address, "in", ["a:1", "b:2"], "-K", ":")
        produce(broker.address, "in", ["3"])
        ends(at, broker, "INVALID_RECORD", "in-0@2", "a compacted topic needs keys")
        check(consume(broker.address, "out") == ["1", "2"], "what lies before it is there")


def a_time_that_the_topic_does_not_take(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        # Long enough for the marker of an abort, which Kafka holds to the same bound.
        create_topic(broker.address, "out", 1, message_timestamp_before_max_ms=1000)
        produce(broker.address, "in", ["a"])
        time.sleep(2)
        said = ends(at, broker, "INVALID_TIMESTAMP", "in-0@0", "message.timestamp.before.max.ms")
        helps(at, broker, said, ["a"])


def a_batch_larger_than_a_segment(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1, max_message_bytes=4_000_000)
        create_topic(broker.address, "out", 1, max_message_bytes=4_000_000, segment_bytes=1 << 20)
        produce(broker.address, "in", ["a", "x" * 2_000_000], "-X", "message.max.bytes=4000000")
        said = ends(at, broker, "RECORD_LIST_TOO_LARGE", "in-0@1", "segment.bytes")
        check(consume(broker.address, "out") == ["a"], "what lies before it is there")
        helps(at, broker, said, ["a", "x" * 2_000_000])


def more_replicas_than_there_are_brokers(at):
    with cluster(at, "--override", "default.replication.factor=3") as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", ["a"])
        ends(at, broker, "INVALID_REPLICATION_FACTOR", "default.replication.factor")


def what_offsets_carry_is_too_long(at):
    with cluster(at, "--override", "offset.metadata.max.bytes=4") as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", ['{"k":"a"}'])
        ends(at, broker, "OFFSET_METADATA_TOO_LARGE", "offset.metadata.max.bytes", pipeline=COUNT)


# ---- who may do what

TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
READ, WRITE, LITERAL_PATTERN = 3, 4, 3
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


def deny(broker, resource, name, operation):
    deny_it = 2
    answer = call(broker.address, 30, 1, array([
        struct.pack(">b", resource) + text(name) + struct.pack(">b", LITERAL_PATTERN) +
        text("User:ANONYMOUS") + text("*") + struct.pack(">bb", operation, deny_it)]))
    check(code_of(answer, 8) == 0, f"CreateAcls: error {code_of(answer, 8)}")


def what_a_user_may_not_do_ends_it_with_what_to_grant(at):
    denied = [(TOPIC, "in", READ, "TOPIC_AUTHORIZATION_FAILED", "grant READ on sources"),
              (TOPIC, "out", WRITE, "TOPIC_AUTHORIZATION_FAILED", "WRITE on outputs"),
              (GROUP, "g", READ, "GROUP_AUTHORIZATION_FAILED", "grant READ on the group"),
              (TRANSACTIONAL_ID, "p-kafka-1", WRITE, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
               "grant WRITE and DESCRIBE on transactional ids")]
    with cluster(at, "--override", f"authorizer.class.name={AUTHORIZER}", "--override",
                 "allow.everyone.if.no.acl.found=true") as broker:
        for number, (resource, name, operation, error, fix) in enumerate(denied):
            suffix = str(number)
            here = at / suffix
            here.mkdir()
            pipeline = (COPY.replace("[in]", f"[in{suffix}]").replace("topic: out",
                                                                     f"topic: out{suffix}")
                        .replace("group.id: g", f"group.id: g{suffix}")
                        .replace("name: p", f"name: p{suffix}"))
            for topic in ["in", "out"]:
                create_topic(broker.address, topic + suffix, 1)
            produce(broker.address, "in" + suffix, ["a"])
            of_this = name.replace("p-", f"p{suffix}-") if name.startswith("p-") else name + suffix
            deny(broker, resource, of_this, operation)
            ends(here, broker, error, fix, pipeline=pipeline)
