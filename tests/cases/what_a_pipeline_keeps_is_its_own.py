"""What a pipeline keeps may be changed by others: its record of definitions deleted, records of
other programs put beside its own, positions and receipts edited. Nothing is taken for its own."""

import sqlite3

from harness import Worker, check, cluster, consume, onceflow, produce, shared_postgres, wait_for
from harness.changes import aggregate, pipeline
from harness.kafka_admin import create_topic, delete_records, delete_topic

TOTALS = pipeline(aggregate("n: count(*)"))
MODES = {"append": "columns: { k: $.k, x: { value: $.x, type: integer } }",
         "upsert": "mode: upsert, key: [k], columns: { k: $.k, x: { value: $.x, type: integer } }"}
RECORDS = [{"k": key, "x": place} for place, key in enumerate("abcde")]


class Sqlite:
    def __init__(self, at):
        self.file = at / "a.db"
        self.words = "sqlite: { file: a.db, table: t, "

    def query(self, sql):
        with sqlite3.connect(self.file) as database:
            return database.execute(sql).fetchall()


class PostgresDatabase:
    def __init__(self):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.words = f"postgres: {{ dsn: '{self.dsn}', table: t, "

    def query(self, sql):
        return self.server.query(sql, self.dsn)


def text_of(database, mode):
    return pipeline("", f"  - {database.words}{MODES[mode]} }}\n")


def filled(at, broker, text, database, count):
    with Worker(at, text, servers=broker.address) as worker:
        wait_for(lambda: row_count(database) == count, lambda: worker.said(), 30)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def row_count(database):
    try:
        return int(database.query("SELECT count(*) FROM t")[0][0])
    except Exception:  # The table is not there yet.
        return 0


def refused(at, broker, text, *words):
    with Worker(at, text, servers=broker.address, wait=False) as worker:
        check(worker.wait(30) == 1, worker.said())
        for each in words:
            check(each in worker.said(), f"{each}: {worker.said()}")
        return worker.said()


def changed_files_are_refused(at, make):
    for mode in MODES:
        folder = at / mode
        folder.mkdir()
        database = make(folder)
        text = text_of(database, mode)
        with cluster(folder) as broker:
            create_topic(broker.address, "in", 1)
            produce(broker.address, "in", RECORDS)
            filled(folder, broker, text, database, 5)
            delete_topic(broker.address, "p-definitions")
            step = 'steps: [ { id: s, where: "$.x > 1" } ]\nsinks:'
            for changed in (text.replace("$.x, type", "$.x + 100, type"),
                            text.replace("sinks:", step)):
                refused(folder, broker, changed, "topic p-definitions is gone, and stage",
                        "has gone by another definition than this file's until now",
                        "onceflow reset p.yaml --bootstrap.servers")
                check(row_count(database) == 5, "nothing was written")
            produce(broker.address, "in", [{"k": "f", "x": 5}])
            said = filled(folder, broker, text, database, 6)
            check("topic p-definitions was gone: it is made anew" in said, said)
            onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=folder)


def a_changed_file_is_refused_by_sqlites_receipts(at):
    changed_files_are_refused(at, Sqlite)


def a_changed_file_is_refused_by_postgres_receipts(at):
    changed_files_are_refused(at, lambda _: PostgresDatabase())


def an_earlier_versions_rows_are_told_of(at):
    database = Sqlite(at)
    text = text_of(database, "append")
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", RECORDS)
        filled(at, broker, text, database, 5)
        delete_topic(broker.address, "p-definitions")
        # A receipt of version 1, which names no definition, as the newest.
        with sqlite3.connect(database.file) as connection:
            number, receipt = connection.execute(
                "SELECT max(receipt_id), receipt FROM onceflow_receipts").fetchone()
            connection.execute("UPDATE onceflow_receipts SET receipt = ? WHERE receipt_id = ?",
                               (without_definition(receipt), number))
        produce(broker.address, "in", [{"k": "f", "x": 5}])
        said = filled(at, broker, text, database, 6)
        check("was run by an earlier version, which kept no definition" in said, said)


def without_definition(receipt):
    """The same receipt, whose definition is 0: unknown."""
    place = 5
    for _ in range(3):
        place += 1 + receipt[place]
    while receipt[place] & 0x80:
        place += 1
    place += 1 + 8
    body = receipt[5:place] + bytes(8) + receipt[place + 8:]
    return receipt[:1] + crc32c(body).to_bytes(4, "big") + body


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def records_of_others_among_receipts_and_definitions(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", [{"k": "a"}])
        ran(at, broker, TOTALS, '{"k":"a","n":1}')
        for topic in ("p-definitions", "p-receipts"):
            for text in ("order 1", "{}", "null", "onceflow"):
                produce(broker.address, topic, [text])
        produce(broker.address, "in", [{"k": "a"}])
        said = ran(at, broker, TOTALS, '{"k":"a","n":2}')
        check('event="foreign record": p-definitions-0@1: not a definition of onceflow and 3 more: '
              "passed over" in said, said)
        check("p-receipts-0@" in said and "not a receipt of onceflow" in said, said)
        said = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at, code=1)
        check(said.count("foreign: p-definitions-0 offset ") == 4, said)
        check(said.count("foreign: p-receipts-0 offset ") == 4, said)
        check("altered" not in said, said)
        # Its own, changed: refused as before.
        refused(at, broker, TOTALS.replace("count(*)", "sum($.x)"), "the file was changed")


def a_record_of_others_between_stages_is_not_counted(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", [{"k": "a"}] * 3)
        ran(at, broker, TOTALS, '{"k":"a","n":3}')
        produce(broker.address, "p-k-repartition", ["a|{}"], "-K", "|")
        produce(broker.address, "in", [{"k": "a"}])
        said = refused(at, broker, TOTALS, "p-k-repartition-0@", "a record of somebody else",
                       "it is in no transaction", "--skip-deleted")
        check(consume(broker.address, "out")[-1] == '{"k":"a","n":3}', "it was not counted")
        # The fix, as it is printed.
        end = int(said.split("before offset ")[1].split(" ")[0])
        delete_records(broker.address, "p-k-repartition", 0, end)
        with Worker(at, None, "--skip-deleted", servers=broker.address) as worker:
            wait_for(lambda: consume(broker.address, "out")[-1] == '{"k":"a","n":4}', worker.said)
            check(worker.stop() == 0, worker.said())


def a_record_without_a_producer_id_is_no_repeat(at):
    """At least once, where the pipeline's own records are in no transactions either."""
    text = TOTALS.replace("sinks:", "guarantee: at_least_once\nsinks:")
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", [{"k": "a"}] * 3)
        ran(at, broker, text, '{"k":"a","n":3}')
        # What was written at least once is read after the change as well.
        ran(at, broker, TOTALS, '{"k":"a","n":3}')
        ran(at, broker, text, '{"k":"a","n":3}')
        produce(broker.address, "p-k-repartition", ["a|{}"], "-K", "|", "-X",
                "enable.idempotence=false")
        produce(broker.address, "in", [{"k": "a"}])
        refused(at, broker, text, "a record of somebody else, as its producer has no id")


def ran(at, broker, text, last):
    with Worker(at, text, servers=broker.address) as worker:
        wait_for(lambda: worker.is_running() and last_of(broker) == last,
                 lambda: f"{last}: {worker.said()}", 30)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def last_of(broker):
    try:
        return (consume(broker.address, "out") or [None])[-1]
    except AssertionError:
        return None  # The topic is not there yet.


def positions_that_were_set_back_are_refused(at, make):
    for mode in MODES:
        folder = at / mode
        folder.mkdir()
        database = make(folder)
        text = text_of(database, mode)
        with cluster(folder) as broker:
            create_topic(broker.address, "in", 1)
            produce(broker.address, "in", RECORDS)
            filled(folder, broker, text, database, 5)
            database.query("DELETE FROM onceflow_receipts")
            database.query("UPDATE onceflow_positions SET next_offset = -1")
            refused(folder, broker, text, "the row of in-0 in onceflow_positions has the "
                                          "next_offset -1 beside topic_id")
            database.query("UPDATE onceflow_positions SET topic_id = ''")
            refused(folder, broker, text, "table t has a row of in/0/")
            for moved in (0, 3):
                database.query(f"UPDATE onceflow_positions SET next_offset = {moved}")
                refused(folder, broker, text, "table t has a row of in/0/",
                        f"in onceflow_positions is {moved}")
            check(row_count(database) == 5, "nothing was written")
            database.query("UPDATE onceflow_positions SET next_offset = 5")
            produce(broker.address, "in", [{"k": "f", "x": 5}])
            filled(folder, broker, text, database, 6)


def a_position_that_was_set_back_in_sqlite(at):
    positions_that_were_set_back_are_refused(at, Sqlite)


def a_position_that_was_set_back_in_postgres(at):
    positions_that_were_set_back_are_refused(at, lambda _: PostgresDatabase())


def results_of_before_a_reset_are_not_covered(at):
    with cluster(at) as broker:
        flags = ["--bootstrap.servers", broker.address]
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", [{"k": "a"}] * 2)
        ran(at, broker, TOTALS, '{"k":"a","n":2}')
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", *flags, at=at)
        for count in (3, 4):  # also once more has come
            produce(broker.address, "in", [{"k": "a"}])
            ran(at, broker, TOTALS, f'{{"k":"a","n":{count}}}')
            said = onceflow("audit", "p.yaml", *flags, at=at)
            check("not covered: out-0: " in said and "wrote after the reset of" in said, said)
        produce(broker.address, "out", ["a|{}"], "-K", "|")
        said = onceflow("audit", "p.yaml", *flags, at=at, code=1)
        check("foreign: out-0 offset" in said, said)


def a_source_that_is_left_says_what_stays_unread(at):
    database = Sqlite(at)
    both = text_of(database, "append").replace("[in]", "[in, more]")
    one = text_of(database, "append")
    with cluster(at) as broker:
        flags = ["--bootstrap.servers", broker.address]
        for topic in ("in", "more"):
            create_topic(broker.address, topic, 1)
            produce(broker.address, topic, RECORDS)
        filled(at, broker, both, database, 10)
        produce(broker.address, "more", RECORDS[:3])
        (at / "p.yaml").write_text(one, encoding="utf-8")
        words = "source topic more is gone; more-0 offsets 5..7 (3 records) stay unread"
        said = onceflow("plan", "p.yaml", *flags, at=at)
        check(words in said, said)
        produce(broker.address, "in", RECORDS[:1])
        said = filled(at, broker, one, database, 11)
        check(words in said, said)
