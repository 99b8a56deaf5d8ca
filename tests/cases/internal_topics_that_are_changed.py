"""The topics that a pipeline goes on from, changed under it: it stops by name. It never counts or
begins anew, and never writes an old result over a newer one."""

import re
import shlex
import sqlite3

from harness import Worker, check, cluster, consume, kcat, onceflow, produce, wait_for
from harness.kafka_admin import (add_partitions, create_topic, delete_group, delete_records,
                                 delete_topic, set_topic_config)

COUNTS = """
name: p
source: { kafka: { topics: [in] } }
steps: [ { id: a, key: $.k, aggregate: { n: count(*) } } ]
sinks: [ kafka: { topic: out } ]
"""
KEYS = [{"k": key} for key in "abcdefgh"]


def counts_once(at, broker):
    create_topic(broker.address, "in", 1)
    produce(broker.address, "in", KEYS)
    with Worker(at, COUNTS, servers=broker.address) as worker:
        wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
        check(worker.stop() == 0, worker.said())


def stops_by_name(at, broker, *words):
    produce(broker.address, "in", KEYS)
    with Worker(at, None, servers=broker.address, wait=False) as worker:
        check(worker.wait(30) == 1, "it did not stop")
        for word in words:
            check(word in worker.said(), f"no {word!r} in: {worker.said()}")
    check(len(consume(broker.address, "out")) == len(KEYS), "it has counted on")


def both_topics_gain_partitions(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        add_partitions(broker.address, "p-a-repartition", 4)
        add_partitions(broker.address, "p-a-changelog", 4)
        stops_by_name(at, broker, "a partition that was not there when the aggregate began",
                      "onceflow reset p.yaml --bootstrap.servers")
        # The fix, as it is printed.
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", "--bootstrap.servers",
                 broker.address, at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: '{"k":"h","n":2}' in consume(broker.address, "out"), worker.said)


def one_of_them_gains_partitions(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        add_partitions(broker.address, "p-a-repartition", 4)
        stops_by_name(at, broker, "topic p-a-repartition has 4 partitions and its changelog "
                                  "p-a-changelog has 1")


def the_changelogs_beginning_is_deleted(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        set_topic_config(broker.address, "p-a-changelog", "cleanup.policy", "delete")
        delete_records(broker.address, "p-a-changelog", 0, 4)
        stops_by_name(at, broker, "changelog p-a-changelog-0: its first records were deleted")


def the_changelog_is_made_anew_under_it(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", KEYS)
        with Worker(at, COUNTS, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
            delete_topic(broker.address, "p-a-changelog")
            create_topic(broker.address, "p-a-changelog", 1)
            produce(broker.address, "in", KEYS[:1])
            check(worker.wait(30) == 1, worker.said())
            check("another topic of that name" in worker.said(), worker.said())
            check("CHECK" not in worker.said(), worker.said())


def a_sinks_topic_that_is_gone_is_made_anew_with_a_warning(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        # After a reset all is written again: nothing will be missing.
        delete_topic(broker.address, "out")
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", "--bootstrap.servers",
                 broker.address, at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
            check(worker.stop() == 0, worker.said())
            check("topic out is gone" not in worker.said(), worker.said())
        delete_topic(broker.address, "out")
        warning = "topic out is gone, to which the stage has written"
        planned = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at,
                           code=None)
        check(warning in planned, planned)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: warning in worker.said(), worker.said)
            check(worker.stop() == 0, worker.said())
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", "--bootstrap.servers",
                 broker.address, at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
            check(worker.stop() == 0, worker.said())


def a_sinks_topic_that_goes_as_its_stage_begins_is_named(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", KEYS)
        with Worker(at, COUNTS, servers=broker.address) as worker:
            wait_for(lambda: "waiting for partitions" in worker.said(), worker.said)
            delete_topic(broker.address, "out")
            wait_for(lambda: "waiting for topic" in worker.said(), worker.said, 15)
            check("out, which does not exist" in worker.said(), worker.said())
            create_topic(broker.address, "out", 1)
            wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
            check(worker.stop() == 0, worker.said())


TABLE = COUNTS.replace("kafka: { topic: out }", "sqlite: { file: out.db, table: t, mode: upsert }")
BOTH = COUNTS.replace("sinks: [ kafka: { topic: out } ]", """sinks:
  - kafka: { topic: out }
  - sqlite: { file: out.db, table: t, mode: upsert }""")
LATEST = """
name: p
source: { kafka: { topics: [in], group.id: g, auto.offset.reset: latest } }
sinks: [ kafka: { topic: out } ]
"""
PLAIN = LATEST.replace(", auto.offset.reset: latest", "")
LONE = """
name: p
source: { kafka: { topics: [in], group.id: g } }
sinks: [ sqlite: { file: out.db, table: t, mode: upsert, key: [k], columns: { k: $.k, n: $.n } } ]
"""


def table(here):
    try:
        with sqlite3.connect(here / "out.db", timeout=10) as database:
            return sorted(database.execute("SELECT k, n FROM t"))
    except sqlite3.OperationalError:
        return []


def counts(number):
    return [(one["k"], number) for one in KEYS]


def refused(at, broker, *words, text=None):
    """By plan and by run, in the same words; what run said."""
    with Worker(at, text, servers=broker.address, wait=False) as worker:
        check(worker.wait(40) == 1, f"it did not stop: {worker.said()}")
        said = worker.said()
    planned = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at, code=1)
    for word in words:
        check(word in said, f"no {word!r} in: {said}")
        check(word in planned, f"no {word!r} in: {planned}")
    return said


def audit(at, broker):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def end_of(broker, topic):
    return int(kcat(broker.address, "-Q", "-t", f"{topic}:0:-1").split()[-1])


def empty(broker, topic):
    delete_records(broker.address, topic, 0, end_of(broker, topic))


def the_rows_in_front_of_an_upsert_gain_partitions(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", KEYS)
        with Worker(at, TABLE, servers=broker.address) as worker:
            wait_for(lambda: table(at) == counts(1), worker.said)
            check(worker.stop() == 0, worker.said())
        add_partitions(broker.address, "p-sqlite-rows", 3)
        produce(broker.address, "in", KEYS)
        said = refused(at, broker,
                       "a partition that was not there when the table began")
        check(table(at) == counts(1), f"{table(at)}")
        fix = re.search(r"onceflow (reset p\.yaml .*?--to-earliest) .*? --execute", said)
        check(fix, said)
        onceflow(*shlex.split(fix[1]), "--delete-rows", "--execute", at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: table(at) == counts(2), lambda: f"{table(at)} {worker.said()}")
            check(worker.stop() == 0, worker.said())


def a_topic_had_gained_partitions_before_a_table_was_filled_from_it(at):
    """Its results of before lie where their keys do not belong any more."""
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        for number, partitions in ((1, 3), (2, None)):
            produce(broker.address, "in", KEYS)
            with Worker(at, COUNTS, servers=broker.address) as worker:
                wait_for(lambda: sum(f'"n":{number}}}' in one
                                     for one in consume(broker.address, "out")) == len(KEYS),
                         worker.said)
                check(worker.stop() == 0, worker.said())
            if partitions:
                add_partitions(broker.address, "out", partitions)
        with Worker(at, BOTH, servers=broker.address, wait=False) as worker:
            check(worker.wait(40) == 1, f"it did not stop: {worker.said()}")
            check("the topic was given partitions after this was written" in worker.said(),
                  worker.said())
        check(all(row[1] == 2 for row in table(at)), f"old results: {table(at)}")


def a_source_of_an_upsert_gains_partitions(at):
    """Others choose its partitions, so it goes on and says what is not known."""
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", [{"k": "a", "n": "1"}])
        with Worker(at, LONE, servers=broker.address) as worker:
            wait_for(lambda: table(at) == [("a", "1")], lambda: f"{table(at)} {worker.said()}")
            check(worker.stop() == 0, worker.said())
        add_partitions(broker.address, "in", 2)
        produce(broker.address, "in", [{"k": "a", "n": "2"}], "-p", 1)
        said = "in-1: it was not there when the table began"
        planned = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at)
        check(said in planned, planned)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: table(at) == [("a", "2")], lambda: f"{table(at)} {worker.said()}")
            check(said in worker.said(), worker.said())
            check(worker.stop() == 0, worker.said())
        judged = audit(at, broker)
        for word in ("1 part not covered", "in-1: added after stage sqlite had begun"):
            check(word in judged, f"no {word!r} in: {judged}")


def receipts_that_were_emptied_are_not_a_first_start(at):
    for name, text, group in (("latest", LATEST, "g"), ("plain", PLAIN, "g"),
                              ("first stage", COUNTS, "p"), ("aggregate", COUNTS, "p-a")):
        here = at / name
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 1)
            with Worker(here, text, servers=broker.address) as worker:
                wait_for(worker.is_running, worker.said)
                produce(broker.address, "in", KEYS)
                wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
                check(worker.stop() == 0, worker.said())
            empty(broker, "p-receipts")
            delete_group(broker.address, group)
            produce(broker.address, "in", KEYS)
            refused(here, broker, "topic p-receipts was emptied",
                    "though pipeline 'p' has run before")
            check(len(consume(broker.address, "out")) == len(KEYS), "it has begun anew")


def receipts_that_were_emptied_alone_stop_nothing(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        for number in (1, 2):
            produce(broker.address, "in", KEYS)
            with Worker(at, PLAIN, servers=broker.address) as worker:
                wait_for(lambda: len(consume(broker.address, "out")) == number * len(KEYS),
                         worker.said)
                check(worker.stop() == 0, worker.said())
            empty(broker, "p-receipts")


def definitions_and_receipts_that_were_emptied_are_not_a_first_start(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        set_topic_config(broker.address, "p-definitions", "cleanup.policy", "delete")
        empty(broker, "p-definitions")
        empty(broker, "p-receipts")
        refused(at, broker, "topic p-definitions was emptied", "though pipeline 'p' has run before")
        check(len(consume(broker.address, "out")) == len(KEYS), "it has counted on")
        # The fix, as it is printed.
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", "--bootstrap.servers",
                 broker.address, at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == 2 * len(KEYS), worker.said)
            check(worker.stop() == 0, worker.said())
