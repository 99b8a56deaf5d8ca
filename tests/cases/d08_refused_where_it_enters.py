"""D8: what a later stage refuses is refused where the record enters, so that `where` helps."""

import json
import sqlite3

from harness import Worker, audit, check, consume, produce, wait_for
from harness.changes import refused, reset

AGGREGATE = """
name: p
source: { kafka: { topics: [t] } }
steps:
  - id: known
    where: "GUARD"
  - id: by
    key: $.k
    aggregate: { total: "sum($.v)", mean: avg($.v) }
sinks:
  - kafka: { topic: out }
"""


def entered(at, value, guard, text=AGGREGATE):
    """The record stops the first stage, nothing is in the topic between, and a `where` helps."""
    with Worker(at, text.replace("GUARD", "true")) as worker:
        produce(worker.address, "t", ['{"k":"a","v":1}', value], good=False)
        check(worker.wait() == 1, worker.said())
        check("step by, record t/0@1" in worker.said(), worker.said())
    with Worker(at, text.replace("GUARD", guard)) as worker:
        produce(worker.address, "t", ['{"k":"a","v":2}'])
        wait_for(lambda: any(json.loads(each)["total"] == 3
                             for each in consume(worker.address, "out")), "the sum of the others")
        between = consume(worker.address, "p-by-repartition")
        check(value not in between and len(between) == 2, between)
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def a_number_beyond_doubles(at):
    entered(at, '{"k":"a","v":1e400}', "$.v < 1000")


EXACT = AGGREGATE.replace('total: "sum($.v)", mean: avg($.v)',
                          "total: { value: sum($.v), type: decimal }")


def a_number_too_far_up_for_exact_sums(at):
    entered(at, '{"k":"a","v":9e999}', "$.v < 1000", EXACT)


def a_number_too_far_down_for_exact_sums(at):
    entered(at, '{"k":"a","v":1e-999}', "$.v > 0.001", EXACT)


def a_real_that_sums_could_not_hold_twice(at):
    entered(at, '{"k":"a","v":1e308}', "$.v < 1000")


def a_text_in_a_sum(at):
    entered(at, '{"k":"a","v":"seven"}', "typeof($.v) <> 'text'")


def a_record_without_a_key(at):
    entered(at, '{"v":5}', "$.k is not null")


def a_record_without_a_key_is_given_one(at):
    """The other fix of its message: the key changes, and the state stays."""
    text = AGGREGATE.replace("GUARD", "true")
    with Worker(at, text) as worker:
        produce(worker.address, "t", ['{"k":"a","v":1}', '{"v":5}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("give such records a key with coalesce(…, 'none')" in worker.said(), worker.said())
    mended = text.replace("key: $.k", "key: { k: \"coalesce($.k, 'none')\" }")
    check("--keep-states --execute" in refused(at, mended), "the way on")
    reset(at, "--keep-states", "--execute")
    with Worker(at, mended) as worker:
        produce(worker.address, "t", ['{"k":"a","v":2}'])
        wait_for(lambda: {(each["k"], each["total"])
                          for each in map(json.loads, consume(worker.address, "out"))}
                 >= {("a", 3), ("none", 5)}, "both sums")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def a_number_beyond_64_bits(at):
    entered(at, '{"k":"a","v":18446744073709551615}', "$.v < 1000")


def a_value_that_is_not_json(at):
    entered(at, "not json", "json_valid(value)")


def what_a_table_behind_a_topic_cannot_take(at):
    text = """
name: p
source: { kafka: { topics: [t] } }
steps: [{ id: known, where: "GUARD" }]
sinks:
  - kafka: { topic: out }
  - sqlite: { file: out.db, table: rows, columns: { v: { value: $.v, type: integer } } }
"""
    with Worker(at, text.replace("GUARD", "true")) as worker:
        produce(worker.address, "t", ['{"v":"seven"}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("step sqlite, record t/0@0" in worker.said(), worker.said())
    with Worker(at, text.replace("GUARD", "typeof($.v) = 'integer'")) as worker:
        produce(worker.address, "t", ['{"v":7}'])
        wait_for(lambda: consume(worker.address, "out") == ['{"v":7}'], "the sound record")
        wait_for(lambda: sqlite3.connect(at / "out.db").execute("SELECT v FROM rows").fetchall()
                 == [(7,)], "its row")
        check(worker.stop() == 0, worker.said())
    audit(at)
