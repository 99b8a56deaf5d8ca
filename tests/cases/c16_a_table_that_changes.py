"""A table that is changed while it is written: its shape is read again before a row is refused, and
before a row is written under the old one."""

import sqlite3

from harness import Worker, check, produce, shared_postgres, wait_for
from harness.kafka_admin import create_topic

PIPELINE = """
name: p
source: {{ kafka: {{ topics: [in] }} }}
sinks:
  - {sink}: {{ {target}, table: t, {mode}
      columns: {{ k: $.k, v: {{ value: $.v, type: integer }} }} }}
"""
UPSERT = "mode: upsert, key: k,"


class Table:
    """A worker into a table of PostgreSQL that was there before, with one row written."""

    def __init__(self, at, columns, mode=""):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.query(f"CREATE TABLE t ({columns})")
        self.worker = Worker(
            at, PIPELINE.format(sink="postgres", target=f"dsn: '{self.dsn}'", mode=mode))
        create_topic(self.worker.address, "in", 1)
        wait_for(self.worker.is_running, "a running stage")
        self.write("a", 1)
        wait_for(lambda: self.query("SELECT count(*) FROM t") == [["1"]], self.worker.said)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.__exit__()

    def query(self, sql):
        return self.server.query(sql, self.dsn)

    def write(self, key, value):
        produce(self.worker.address, "in", [{"k": key, "v": value}])

    def has(self, row):
        wait_for(lambda: row in self.query("SELECT k, v FROM t"), self.worker.said)
        check(self.worker.is_alive(), self.worker.said())

    def stops(self, *words):
        check(self.worker.wait() == 1, self.worker.said())
        for word in words:
            check(word in self.worker.said(), f"{word}: {self.worker.said()}")


def a_column_that_is_widened(at):
    with Table(at, "k text, v int, onceflow_source text") as table:
        table.query("ALTER TABLE t ALTER v TYPE bigint")
        table.write("b", 5_000_000_000)
        table.has(["b", "5000000000"])


def a_column_that_is_widened_under_an_upsert(at):
    with Table(at, "k varchar(3) PRIMARY KEY, v int, onceflow_source text", UPSERT) as table:
        table.query("ALTER TABLE t ALTER v TYPE bigint, ALTER k TYPE text")
        table.write("longer", 5_000_000_000)
        table.has(["longer", "5000000000"])


def a_type_that_would_read_other_bytes(at):
    """Eight bytes of an integer are eight bytes of a real number, too."""
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE t ALTER v TYPE double precision")
        table.write("b", 7)
        table.stops("column v is double precision", "the fix: ")
        check(table.query("SELECT k, v FROM t") == [["a", "1"]], table.query("SELECT k, v FROM t"))


def a_column_that_is_added_with_a_default(at):
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE t ADD note text NOT NULL DEFAULT 'x'")
        table.write("b", 2)
        table.has(["b", "2"])


def a_column_that_is_dropped_and_the_fix(at):
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE t DROP COLUMN v")
        table.write("b", 2)
        table.stops("it has no column v", 'ALTER TABLE "t" ADD COLUMN "v" bigint')
        table.query('ALTER TABLE "t" ADD COLUMN "v" bigint')
        with Worker(at, None):
            table.worker.process.poll()
            wait_for(lambda: ["b", "2"] in table.query("SELECT k, v FROM t"), "the row")


def a_column_that_is_needed(at):
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE t ADD needed int; UPDATE t SET needed = 1;"
                    "ALTER TABLE t ALTER needed SET NOT NULL")
        table.write("b", 2)
        table.stops("column needed is NOT NULL and has no default")


def a_value_that_is_still_too_large_is_the_records_fault(at):
    with Table(at, "k text, v int, onceflow_source text") as table:
        table.write("b", 5_000_000_000)
        table.stops("in-0@1", "out of its range")


def a_table_of_sqlite(at):
    database = sqlite3.connect(at / "t.db", isolation_level=None)
    database.execute("CREATE TABLE t (k TEXT, v INTEGER, onceflow_source TEXT)")
    pipeline = PIPELINE.format(sink="sqlite", target="file: t.db", mode="")
    with Worker(at, pipeline) as worker:
        create_topic(worker.address, "in", 1)
        wait_for(worker.is_running, "a running stage")
        produce(worker.address, "in", [{"k": "a", "v": 1}])
        wait_for(lambda: database.execute("SELECT count(*) FROM t").fetchone() == (1,), worker.said)
        # Text in a column of this type would be turned into numbers, without a word.
        database.execute("DROP TABLE t")
        database.execute("CREATE TABLE t (k INTEGER, v INTEGER, onceflow_source TEXT)")
        produce(worker.address, "in", [{"k": "07", "v": 2}])
        check(worker.wait() == 1, worker.said())
        check("column k is declared INTEGER" in worker.said(), worker.said())
        check(database.execute("SELECT count(*) FROM t").fetchone() == (0,), "a row")


def a_partition_that_a_crash_would_empty_attached_under_an_idle_worker_and_the_fix(at):
    with Table(at, "k text, v bigint, onceflow_source text) PARTITION BY LIST (v);"
               "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1") as table:
        table.query("CREATE UNLOGGED TABLE t_2 PARTITION OF t FOR VALUES IN (2)")
        table.stops("its partition public.t_2 is UNLOGGED", "ALTER TABLE public.t_2 SET LOGGED")
        table.query("ALTER TABLE public.t_2 SET LOGGED")
        with Worker(at, None) as worker:
            produce(worker.address, "in", [{"k": "b", "v": 2}])
            wait_for(lambda: ["b", "2"] in table.query("SELECT k, v FROM t"), worker.said)
            check(worker.stop() == 0, worker.said())


def a_table_that_is_replaced_under_an_idle_worker(at):
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old)")
        table.stops("table t is another one than rows were written to")


def receipts_that_a_crash_would_empty_under_a_worker_that_writes(at):
    with Table(at, "k text, v bigint, onceflow_source text") as table:
        table.query("ALTER TABLE onceflow_receipts SET UNLOGGED")
        table.write("b", 2)
        table.stops("ALTER TABLE onceflow_receipts SET LOGGED")
        check(table.query("SELECT k, v FROM t") == [["a", "1"]], table.query("SELECT k, v FROM t"))
