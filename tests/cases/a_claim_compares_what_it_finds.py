"""What a stage finds when it takes its input over is what it left there: its own positions, and the
records that it has read; else it stops, and its choices help."""

import re
import shlex
import shutil
import sqlite3

from harness import (Broker, Worker, check, consume, onceflow, produce, shared_postgres, wait_for)
from harness.changes import pipeline
from harness.kafka_admin import add_partitions, create_topic, delete_records, move_position

COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = pipeline(sinks=f"  - sqlite: {{ file: out.db, table: t, {COLUMNS} }}\n")
SECONDS = 60


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def lite_rows(here):
    try:
        with sqlite3.connect(here / "out.db", timeout=10) as database:
            return sorted(row[0] for row in database.execute("SELECT n FROM t"))
    except sqlite3.OperationalError:
        return []


def reads(at, broker, text, rows, count):
    """Runs it until `rows()` are so many; what it said."""
    with Worker(at, text, servers=broker.address) as worker:
        wait_for(lambda: len(rows()) == count or not worker.is_alive(),
                 lambda: f"{count} rows: {rows()} {worker.said()}", SECONDS)
        check(worker.is_alive(), worker.said())
        check(worker.stop() == 0, worker.said())
        return worker.said()


def refused(at, broker, text, *words):
    with Worker(at, text, servers=broker.address, wait=False) as worker:
        check(worker.wait(SECONDS) == 1, "it did not stop")
        said = worker.said()
    for word in words:
        check(word in said, f"no {word!r} in: {said}")
    return said


def audit(at, broker, *arguments, code=0):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, *arguments, at=at,
                    code=code)


def follow(at, said, more):
    """Types the fix that names `onceflow reset`, word for word, and what it lets one choose."""
    command = re.search(r"onceflow (reset p\.yaml .*?--execute)", said)
    check(command, said)
    choice = " (--delete-rows | --keep-rows)"
    check(choice in command[1], said)
    onceflow(*shlex.split(command[1].replace(choice, "")), *more, at=at)


def a_log_restored_and_written_again(at, text, rows):
    """10 records, a copy of the log, 10 more; the copy is put back, and gets 15 others."""
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 10))
        reads(at, broker, text, rows, 10)
        broker.stop()
    shutil.copytree(at / "data", at / "copy")
    with Broker(at) as broker:
        produce(broker.address, "in", numbers(10, 20))
        reads(at, broker, text, rows, 20)
        broker.stop()
    shutil.rmtree(at / "data")
    (at / "copy").rename(at / "data")
    with Broker(at) as broker:
        produce(broker.address, "in", numbers(1000, 1015))
        said = refused(at, broker, text, "are not the records that this stage has read there")
        check(re.search(r"in-0 offsets 1\d\.\.19 are not", said), said)
        check(len(rows()) == 20, rows())
        follow(at, said, ["--delete-rows"])
        reads(at, broker, text, rows, 25)
        check(sorted(rows()) == [*range(10), *range(1000, 1015)], rows())
        audit(at, broker)


def a_log_restored_under_sqlite_is_seen(at):
    a_log_restored_and_written_again(at, LITE, lambda: lite_rows(at))


def a_log_restored_under_postgresql_is_seen(at):
    server = shared_postgres()
    dsn = server.new_database()

    def rows():
        if server.query("SELECT to_regclass('t') IS NULL", dsn) == [["t"]]:
            return []
        return [int(row[0]) for row in server.query("SELECT n FROM t", dsn)]

    sink = f"  - postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}\n"
    a_log_restored_and_written_again(at, pipeline(sinks=sink), rows)


def records_that_are_deleted_are_not_compared_and_that_is_said(at):
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 10))
        reads(at, broker, LITE, lambda: lite_rows(at), 10)
        delete_records(broker.address, "in", 0, 10)
        produce(broker.address, "in", numbers(10, 12))
        said = reads(at, broker, LITE, lambda: lite_rows(at), 12)
        check("are not compared with the newest receipt: they were deleted" in said, said)


def topics_are_compared_as_well(at):
    """A stage that writes topics has its last inputs in the tail of its receipts."""
    def rows(broker):
        try:
            return consume(broker.address, "out")
        except AssertionError:
            return []

    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 10))
        reads(at, broker, pipeline(), lambda: rows(broker), 10)
        delete_records(broker.address, "in", 0, 10)
        produce(broker.address, "in", numbers(10, 12))
        said = reads(at, broker, pipeline(), lambda: rows(broker), 12)
        check("are not compared with the newest receipt: they were deleted" in said, said)


def a_position_of_another_pipeline_is_refused(at):
    """Of one that has run, so that it has receipts."""
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 5))
        reads(at, broker, pipeline(), lambda: consume(broker.address, "out"), 5)
        move_position(broker.address, "g", "in", 0, 5, "onceflow topic=x pipeline=other")
        refused(at, broker, pipeline(), "group 'g' holds the positions of pipeline 'other' ",
                "(in-0@5), and this is pipeline 'p'", "a `group.id` of its own")


def a_position_of_another_consumer_is_refused(at):
    """In a partition that has come later, so that no receipt speaks of it."""
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 5))
        reads(at, broker, pipeline(), lambda: consume(broker.address, "out"), 5)
        add_partitions(broker.address, "in", 2)
        produce(broker.address, "in", numbers(5, 9), "-p", 1)
        move_position(broker.address, "g", "in", 1, 3)
        refused(at, broker, pipeline(), "in-1: group 'g' holds offset 3, which no receipt of this "
                "stage accounts for", "another pipeline or consumer has committed it")


def a_schema_that_comes_first_is_seen(at):
    """search_path led elsewhere: another table of the name, or other tables of ours."""
    server = shared_postgres()
    dsn = server.new_database()
    name = dsn.rsplit("/", 1)[1]

    def rows():
        if server.query("SELECT to_regclass('public.t') IS NULL", dsn) == [["t"]]:
            return []
        return server.query("SELECT n FROM public.t", dsn)

    text = pipeline(sinks=f"  - postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}\n")
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 10))
        reads(at, broker, text, rows, 10)
        server.query("CREATE SCHEMA app; CREATE TABLE app.t (LIKE public.t); "
                     f"ALTER DATABASE {name} SET search_path = app, public", dsn)
        produce(broker.address, "in", numbers(10, 12))
        refused(at, broker, text, "table t")
        check(server.query("SELECT n FROM app.t", dsn) == [], "rows in the other table")
        server.query("DROP TABLE app.t; CREATE TABLE app.onceflow_positions "
                     "(LIKE public.onceflow_positions INCLUDING ALL)", dsn)
        refused(at, broker, text, "in-0: the position is gone", "onceflow reset p.yaml")
        server.query("DROP TABLE app.onceflow_positions", dsn)
        reads(at, broker, text, rows, 12)
        audit(at, broker)


def ids_of_receipts_go_on_behind_the_newest(at):
    server = shared_postgres()
    dsn = server.new_database()

    def rows():
        if server.query("SELECT to_regclass('t') IS NULL", dsn) == [["t"]]:
            return []
        return server.query("SELECT n FROM t", dsn)

    text = pipeline(sinks=f"  - postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}\n")
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        for number, change in enumerate((
                "SELECT", "ALTER TABLE onceflow_receipts ALTER receipt_id RESTART WITH 2",
                "SELECT setval(pg_get_serial_sequence('onceflow_receipts', 'receipt_id'), 1)",
                "UPDATE onceflow_receipts SET receipt_id = DEFAULT; "
                "ALTER TABLE onceflow_receipts ALTER receipt_id RESTART WITH 1")):
            if number:
                server.query(change, dsn)
            produce(broker.address, "in", numbers(number, number + 1))
            said = reads(at, broker, text, rows, number + 1)
            check("23505" not in said, said)
        audit(at, broker)
