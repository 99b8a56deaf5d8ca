"""What `run` refuses it has not recorded, and nothing of it is made: the file before still fits,
and a mended first file begins as the first one."""

import sqlite3

from harness import (Broker, Worker, check, consume, kcat, onceflow, produce, shared_postgres,
                     wait_for)
from harness.changes import aggregate, pipeline
from harness.kafka_admin import create_topic, delete_records, move_position

SECONDS = 60
QUICK = ["--override", "group.initial.rebalance.delay.ms=0"]
WHERE = "  - { id: w, where: $.n >= 0 }\n"


def lite(columns="n: { value: $.n, type: integer }", file="a.db", id="sqlite"):
    return f"  - id: {id}\n    sqlite: {{ file: {file}, table: t, columns: {{ {columns} }} }}\n"


def numbers(first, last):
    return [{"n": number, "k": number % 3} for number in range(first, last)]


def statement(here, text, file="a.db"):
    with sqlite3.connect(here / file, timeout=10) as database:
        return database.execute(text).fetchall()


def topics(broker):
    return kcat(broker.address, "-L").count("topic \"p-")


def refused(here, broker, text, *words):
    with Worker(here, text, servers=broker.address, wait=False) as worker:
        check(worker.wait(SECONDS) == 1, worker.said())
        for word in words:
            check(word in worker.said(), f"{word}: {worker.said()}")


def goes_on(here, broker, text, *arguments):
    """As if nothing had been."""
    with Worker(here, text, *arguments, servers=broker.address) as worker:
        wait_for(lambda: worker.is_running() or not worker.is_alive(), worker.said, SECONDS)
        check(worker.is_alive() and "the file was changed" not in worker.said(), worker.said())
        check(worker.stop() == 0, worker.said())


def begun(here, broker, text):
    create_topic(broker.address, "in", 1)
    produce(broker.address, "in", numbers(0, 5))
    with Worker(here, text, servers=broker.address) as worker:
        wait_for(lambda: all(each["totals"]["records_in"] for each in worker.status()["stages"]),
                 worker.said, SECONDS)
        check(worker.stop() == 0, worker.said())


def the_file_before_fits_whatever_stage_has_refused_the_other(at):
    to_table = pipeline(sinks=lite())
    counts = pipeline(aggregate("n: count(*)"))
    def position(broker, offset):
        move_position(broker.address, "g", "in", 0, offset)
    members = {
        # What the file asks for does not fit: nothing needs to be put right but the file.
        "a_column_that_the_table_lacks": (
            to_table, pipeline(sinks=lite("n: { value: $.n, type: integer }, "
                                          "m: { value: $.k, type: integer }")), None, "m", None),
        "a_type_that_the_column_has_not": (
            to_table, pipeline(sinks=lite("n: { value: cast($.n as text), type: text }")),
            None, "n", None),
        "a_folder_that_is_missing": (
            to_table, pipeline(sinks=lite(file="no/a.db")), None, "no/a.db", None),
        "latest_in_a_database_that_is_empty": (
            to_table, pipeline(sinks=lite(file="b.db")).replace(
                "group.id: g", "group.id: g, auto.offset.reset: latest"),
            None, "is decided once", None),
        "a_new_sink_over_rows_of_others": (
            pipeline(sinks="  - kafka: { topic: out }\n" + lite()),
            pipeline(sinks="  - kafka: { topic: out }\n" + lite()
                     + lite(file="b.db", id="other")),
            lambda here, broker: statement(here, "CREATE TABLE t (x)", "b.db"), "t", None),
        # Something else is wrong, and the file is innocent; put right, the one before goes on.
        "a_position_that_was_moved": (
            pipeline(), pipeline(WHERE), lambda here, broker: position(broker, 2),
            "the newest receipt of this stage ended at offset",
            lambda here, broker: position(broker, 5)),
        "a_position_of_a_state": (
            counts, pipeline(WHERE + aggregate("n: count(*)")),
            lambda here, broker: move_position(broker.address, "p-k", "p-k-repartition", 0, 2),
            "the newest receipt of this stage ended at offset", None),
        "a_position_of_a_table": (
            to_table, pipeline(WHERE, sinks=lite()),
            lambda here, broker: statement(here, "UPDATE onceflow_positions SET next_offset = 7"),
            "would be passed over without account",
            lambda here, broker: statement(here, "UPDATE onceflow_positions SET next_offset = 5"))}
    for name, (before, after, harm, word, mend) in members.items():
        here = at / name
        here.mkdir()
        with Broker(here, *QUICK) as broker:
            begun(here, broker, before)
            if harm:
                harm(here, broker)
            definitions = consume(broker.address, "p-definitions")
            made = topics(broker)
            refused(here, broker, after, word)
            check(consume(broker.address, "p-definitions") == definitions, f"{name}: recorded")
            check(topics(broker) == made, f"{name}: topics were made")
            if mend:
                mend(here, broker)
            if mend or name not in ("a_position_of_a_state",):
                goes_on(here, broker, before)


def what_was_deleted_unread_is_decided_by_the_file_before(at):
    with Broker(at, *QUICK) as broker:
        begun(at, broker, pipeline())
        produce(broker.address, "in", numbers(5, 9))
        delete_records(broker.address, "in", 0, 7)
        refused(at, broker, pipeline(WHERE), "were deleted before this stage had read them")
        goes_on(at, broker, pipeline(), "--skip-deleted")


def a_first_file_that_is_refused_is_no_first_start(at):
    """Its table is another one, and the mended file names another column, key and mode."""
    dsn = shared_postgres().new_database()
    shared_postgres().query("CREATE TABLE t (n text)", dsn)
    into = f"  - postgres: {{ dsn: '{dsn}', table: %s }}\n"
    bad = pipeline(sinks="  - kafka: { topic: out }\n"
                   + into % "t, columns: { n: { value: $.n, type: integer } }")
    good = pipeline(aggregate("c: count(*)"), group="h", sinks="  - kafka: { topic: out }\n"
                    + into % "u, mode: upsert, key: [k], columns: { k: $.k, c: { value: $.c, type: "
                    "integer } }")
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 5))
        for _ in range(2):
            refused(at, broker, bad, "table t")
            check(topics(broker) == 0 and "topic \"out\"" not in kcat(broker.address, "-L"),
                  kcat(broker.address, "-L"))
        said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at, code=1)
        check("needs a decision" not in said, said)
        goes_on(at, broker, good)


def a_database_that_is_away_is_waited_for_before_anything_is_recorded(at):
    with Broker(at, *QUICK) as broker:
        begun(at, broker, pipeline(sinks=lite()))
        definitions = consume(broker.address, "p-definitions")
        away = pipeline(sinks="  - id: sqlite\n    postgres: { dsn: 'host=127.0.0.1 port=1 "
                              "dbname=x user=x', table: t, columns: { n: $.n } }\n")
        with Worker(at, away, servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["state"] == "retrying", worker.said, SECONDS)
            check(worker.said().count('event="retrying"') == 1, worker.said())
            check(consume(broker.address, "p-definitions") == definitions, "recorded")
            check(worker.stop() == 0, worker.said())
        goes_on(at, broker, pipeline(sinks=lite()))
