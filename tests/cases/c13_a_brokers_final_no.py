"""What a topic will never take ends the stage by name: the record, the limit, the rule, the fix;
and what fits in smaller batches is written in them."""

import json

from harness import Broker, Worker, audit, check, consume, produce, shared_kafka, wait_for
from harness.kafka_admin import create_topic

TOPICS = """
name: p
{top}
source: {{ kafka: {{ topics: [orders] }} }}
steps:
  - {{ id: twice, set: {{ "$.a": "$.a || $.a" }} }}
sinks:
  - kafka: {{ topic: out{limit} }}
"""
LIMIT = 1_048_588


def pipeline(top="", limit=""):
    return TOPICS.format(top=top, limit=f", max.message.bytes: {limit}" if limit else "")


def produce_what_stops(worker, records):
    """The worker, and the log in it, may have stopped before kcat has its answer."""
    try:
        produce(worker.address, "orders", records)
    except AssertionError:
        check(worker.wait() == 1, worker.said())


def stops(worker, *words):
    check(worker.wait() == 1, worker.said())
    for word in words:
        check(word in worker.said(), f"{word}: {worker.said()}")


def a_record_that_a_step_made_too_large(at):
    with Worker(at, pipeline()) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "a running stage")
        produce_what_stops(worker, [{"a": "x"}, {"a": "y" * 700_000}])
        stops(worker, "orders-0@1", "out-0", str(LIMIT), "max.message.bytes", "the rule: ",
              "the fix: ")


def the_same_where_repetitions_are_allowed(at):
    with Worker(at, pipeline("guarantee: at_least_once")) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "a running stage")
        produce_what_stops(worker, [{"a": "x"}, {"a": "y" * 700_000}])
        stops(worker, "orders-0@1", "out-0", str(LIMIT), "max.message.bytes")


def a_topic_that_is_made_with_a_higher_limit(at):
    with Worker(at, pipeline(limit=3_000_000)) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "a running stage")
        produce(worker.address, "orders", [{"a": "y" * 700_000}, {"a": "z"}])
        wait_for(lambda: len(consume(worker.address, "out")) == 2, worker.said)
        check(worker.stop() == 0, worker.said())
    check("clean" in audit(at), "an audit of large records")


def batches_obey_a_lower_limit(at):
    with Worker(at, pipeline(limit=2_000)) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "a running stage")
        produce(worker.address, "orders", [{"a": f"{number:050}"} for number in range(500)])
        wait_for(lambda: len(consume(worker.address, "out")) == 500, worker.said)
        produce_what_stops(worker, [{"a": "y" * 1_500}])
        stops(worker, "orders-0@500", "out-0", "2000 bytes")


def max_request_size_is_settable_and_its_fix_helps(at):
    with Worker(at, pipeline("max.request.size: 100000")) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "a running stage")
        produce_what_stops(worker, [{"a": "x"}, {"a": "y" * 60_000}])
        stops(worker, "orders-0@1", "max.request.size, 100000 bytes",
              "`max.request.size: 131072` in the pipeline file")
    with Worker(at, pipeline("max.request.size: 131072")) as worker:
        wait_for(worker.is_running, "a running stage")
        wait_for(lambda: len(consume(worker.address, "out")) == 2, worker.said)


def an_aggregates_key_that_is_too_large(at):
    text = """
name: p
source: { kafka: { topics: [orders] } }
steps:
  - { id: per-a, key: { a: "$.a || $.a" }, aggregate: { n: count(*) } }
sinks:
  - kafka: { topic: out }
"""
    with Worker(at, text) as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "running stages")
        produce_what_stops(worker, [{"a": "x"}, {"a": "y" * 700_000}])
        stops(worker, "orders-0@1", "p-per-a-repartition", "max.message.bytes")


STATES = """
name: p
source: { kafka: { topics: [orders] } }
steps:
  - { id: per-k, key: $.k, aggregate: { t: max($.t), u: max($.u), n: count(*) } }
sinks:
  - kafka: { topic: out }
"""


def a_state_that_a_record_made_too_large(at):
    """What lies before the record is committed, also of its own key; the record is named."""
    with Worker(at, STATES, "--stay") as worker:
        create_topic(worker.address, "orders", 1)
        wait_for(worker.is_running, "running stages")
        # In one request, and so in one commit of the first stage.
        produce_what_stops(worker, [{"k": "a", "t": "x"}, {"k": "b", "t": "b"},
                                    {"k": "b", "t": "t" * 600_000}, {"k": "b", "u": "u" * 600_000},
                                    {"k": "b", "t": "c"}, {"k": "a", "t": "z"}])
        stops(worker, "what p-per-k-repartition-0@", " became: ", "max.message.bytes")
    committed = [(each["k"], each["n"]) for each in map(json.loads, consumed(at, "out"))]
    check(committed[-1] == ("b", 2) and ("a", 1) in committed and ("a", 2) not in committed,
          committed)


def consumed(at, topic):
    """After the end of the worker, and of the log in it."""
    if shared_kafka():
        return consume(shared_kafka().address, topic)
    with Broker(at) as broker:
        return consume(broker.address, topic)
