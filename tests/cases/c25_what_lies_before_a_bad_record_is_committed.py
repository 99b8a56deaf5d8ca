"""C25: a record that stops a stage stops it alone; what lies before it is committed first."""

import json
import sqlite3

from harness import (Broker, Worker, check, consume, kcat, onceflow, produce, shared_postgres,
                     wait_for)

HEAD = """
name: p
source: {{ kafka: {{ topics: [orders], group.id: p }} }}
steps:
{steps}
sinks:
{sinks}
"""
TO_TOPIC = "  - kafka: { topic: out }"
FILTER = "  - { id: f, where: \"$.n >= 0\" }"
PASS = "  - { id: f, where: \"$.n is not null\" }"


def feed(broker, bad, partitions=4, count=300, bad_at=130):
    """`count` good records in each partition; in partition 0 `bad` at offset `bad_at`."""
    kcat(broker.address, "-L", "-t", "orders")
    for partition in range(partitions):
        records = [{"n": n, "k": f"{partition}/{n}"} for n in range(count)]
        if partition == 0:
            records[bad_at] = bad
        produce(broker.address, "orders", records, "-p", str(partition))


def run_to_its_end(at, broker, text, named="0@130"):
    with Worker(at, text, servers=broker.address, wait=False) as worker:
        check(worker.wait(60) == 1, f"not stopped: {worker.said()}")
        check(named in worker.said(), f"{named} is not named: {worker.said()}")
        return worker.said()


def places(values):
    """From the values of records, or keys of rows: how many of each partition."""
    counts = {}
    for each in values:
        partition = int(each.split("/")[0])
        counts[partition] = counts.get(partition, 0) + 1
    return counts


def keys_of(broker, topic):
    return [json.loads(value)["k"] for value in consume(broker.address, topic)]


ALL = {0: 130, 1: 300, 2: 300, 3: 300}


def a_step_of_a_topic_stage(at):
    with Broker(at, "--override", "num.partitions=4") as broker:
        feed(broker, "not json")
        run_to_its_end(at, broker, HEAD.format(steps=FILTER, sinks=TO_TOPIC))
        check(places(keys_of(broker, "out")) == ALL, places(keys_of(broker, "out")))
        # Started again, what came to the other partitions is delivered, and nothing twice.
        produce(broker.address, "orders", [{"n": 1, "k": "1/more"}], "-p", "1")
        run_to_its_end(at, broker, None)
        check(places(keys_of(broker, "out")) == {**ALL, 1: 301}, places(keys_of(broker, "out")))


def an_aggregate(at):
    steps = '  - { id: per-k, key: $.k, aggregate: { s: "sum($.n)", c: count(*) } }'
    with Broker(at, "--override", "num.partitions=4") as broker:
        feed(broker, {"n": "text", "k": "0/130"})
        # The repartition topic spreads the keys: the record is named there.
        said = run_to_its_end(at, broker, HEAD.format(steps=steps, sinks=TO_TOPIC),
                              named="per-k")
        check("text" in said, said)
        bad = len([key for key in keys_of(broker, "out") if key == "0/130"])
        check(bad == 0, "the bad record was counted")
        out = places(keys_of(broker, "out"))
        check(sum(out.values()) > 900, f"only {out} of 1199 keys are there")


def columns_of_a_sqlite_sink(at):
    sink = ("  - sqlite: { file: out.db, table: t, mode: append,\n"
            "              columns: { k: { value: $.k, type: text }, "
            "n: { value: $.n, type: integer } } }")
    with Broker(at, "--override", "num.partitions=4") as broker:
        feed(broker, {"n": "not a number", "k": "0/130"})
        run_to_its_end(at, broker, HEAD.format(steps=PASS, sinks=sink))
        with sqlite3.connect(at / "out.db") as database:
            rows = [key for key, in database.execute("select k from t")]
        check(places(rows) == ALL, places(rows))


def a_row_that_sqlite_refuses(at):
    with sqlite3.connect(at / "out.db") as database:
        database.execute("create table t (k text, n integer check (n <> -1), "
                         "onceflow_source text)")
    sink = ("  - sqlite: { file: out.db, table: t, mode: append,\n"
            "              columns: { k: { value: $.k, type: text }, "
            "n: { value: $.n, type: integer } } }")
    with Broker(at, "--override", "num.partitions=4") as broker:
        feed(broker, {"n": -1, "k": "0/130"})
        run_to_its_end(at, broker, HEAD.format(steps=PASS, sinks=sink))
        with sqlite3.connect(at / "out.db") as database:
            rows = [key for key, in database.execute("select k from t")]
        check(places(rows) == ALL, places(rows))


def a_row_that_postgres_refuses_and_then_the_fix(at):
    postgres = shared_postgres()
    dsn = postgres.new_database()
    postgres.query("create table t (k text, n bigint check (n <> -1), onceflow_source text)", dsn)
    sink = (f"  - postgres: {{ dsn: '{dsn}', table: t, mode: append,\n"
            "                columns: { k: { value: $.k, type: text }, "
            "n: { value: $.n, type: integer } } }")
    text = HEAD.format(steps=PASS, sinks=sink)
    with Broker(at, "--override", "num.partitions=4") as broker:
        feed(broker, {"n": -1, "k": "0/130"})
        run_to_its_end(at, broker, text)
        rows = [row[0] for row in postgres.query("select k from t", dsn)]
        check(places(rows) == ALL, places(rows))
        postgres.query("alter table t drop constraint t_n_check", dsn)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: postgres.query("select count(*) from t", dsn) == [["1200"]],
                     lambda: f"{postgres.query('select count(*) from t', dsn)} {worker.said()}")
            worker.stop()
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def two_bad_records_in_two_partitions(at):
    with Broker(at, "--override", "num.partitions=2") as broker:
        feed(broker, "not json", partitions=1)
        produce(broker.address, "orders",
                [{"n": n, "k": f"1/{n}"} for n in range(40)] + ["nor this", {"n": 1, "k": "1/41"}],
                "-p", "1")
        run_to_its_end(at, broker, HEAD.format(steps=FILTER, sinks=TO_TOPIC), named="orders/")
        check(places(keys_of(broker, "out")) == {0: 130, 1: 40}, places(keys_of(broker, "out")))


def the_first_record_of_all(at):
    with Broker(at, "--override", "num.partitions=2") as broker:
        feed(broker, "not json", partitions=2, bad_at=0)
        run_to_its_end(at, broker, HEAD.format(steps=FILTER, sinks=TO_TOPIC), named="0@0")
        check(places(keys_of(broker, "out")) == {1: 300}, places(keys_of(broker, "out")))
