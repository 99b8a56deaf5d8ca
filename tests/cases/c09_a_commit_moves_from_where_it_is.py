"""C9: a commit to a database moves the position only from where it is."""

import sqlite3

from harness import Worker, check, cluster, onceflow, produce, shared_postgres, wait_for
from harness.kafka_admin import create_topic

SOURCE = "source: { kafka: { topics: [in], group.id: g } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def query(here, *statements):
    with sqlite3.connect(here / "out.db", timeout=10) as database:
        return [database.execute(each).fetchall() for each in statements][-1]


def rows(here):
    return [row[0] for row in query(here, "SELECT n FROM t ORDER BY n")]


def fill(at, broker, worker):
    """100 rows, in two commits at least: up to 50, and the rest."""
    produce(broker.address, "in", numbers(0, 50), "-p", 0)
    wait_for(lambda: len(rows(at)) == 50, "50 rows", 30)
    produce(broker.address, "in", numbers(50, 100), "-p", 0)
    wait_for(lambda: len(rows(at)) == 100, "100 rows", 30)
    check(worker.is_alive(), worker.said())


def a_backup_restored_under_a_running_stage_is_filled_again(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 2)
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            produce(broker.address, "in", numbers(0, 50), "-p", 0)
            wait_for(lambda: len(rows(at)) == 50, "50 rows", 30)
            backup = query(at, "SELECT max(receipt_id) FROM onceflow_receipts")[0][0]
            produce(broker.address, "in", numbers(50, 100), "-p", 0)
            wait_for(lambda: len(rows(at)) == 100, "100 rows", 30)
            query(at, "BEGIN IMMEDIATE", "DELETE FROM t WHERE n >= 50",
                  f"DELETE FROM onceflow_receipts WHERE receipt_id > {backup}",
                  "UPDATE onceflow_positions SET next_offset = 50 WHERE partition = 0")
            produce(broker.address, "in", numbers(100, 101), "-p", 0)
            wait_for(lambda: len(rows(at)) >= 101, lambda: f"101 rows but {len(rows(at))}", 30)
            check(rows(at) == list(range(101)), rows(at))
            check(worker.stop() == 0, worker.said())
        said = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)
        check("clean — 101 input records" in said, said)


def a_position_edited_under_a_running_stage_stops_it(at):
    for name, offset in [("back", 50), ("forward", 120)]:
        here = at / name
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 2)
            with Worker(here, LITE, servers=broker.address) as worker:
                wait_for(worker.is_running, "a running stage")
                fill(here, broker, worker)
                query(here, "UPDATE onceflow_positions SET next_offset = "
                      f"{offset} WHERE partition = 0")
                produce(broker.address, "in", numbers(100, 101), "-p", 0)
                check(worker.wait(30) == 1, "it did not stop")
                said = worker.said()
                for word in [f"the position is offset {offset}", "ended at offset 100"]:
                    check(word in said, said)
            check(len(rows(here)) == 100, rows(here))
            onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=here, code=1)


def a_position_edited_while_nothing_runs_is_found_at_the_start(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 2)
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            fill(at, broker, worker)
            check(worker.stop() == 0, worker.said())
        query(at, "UPDATE onceflow_positions SET next_offset = 50 WHERE partition = 0")
        with Worker(at, None, servers=broker.address, wait=False) as worker:
            check(worker.wait(30) == 1, "it did not stop")
            check("in-0: the position is offset 50 in onceflow_positions, but the newest receipt "
                  "of this stage ended at offset 100" in worker.said(), worker.said())
            check("put the position back to 100" in worker.said(), worker.said())
        query(at, "UPDATE onceflow_positions SET next_offset = 100 WHERE partition = 0")
        produce(broker.address, "in", numbers(100, 101), "-p", 0)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(rows(at)) == 101, "101 rows", 30)
            check(worker.stop() == 0, worker.said())


def a_postgresql_that_went_back_is_filled_again(at):
    server = shared_postgres()
    dsn = server.new_database()

    def count():
        return int(server.query("SELECT count(*) FROM t", dsn)[0][0])

    with cluster(at) as broker:
        create_topic(broker.address, "in", 2)
        pipeline = (f"name: p\n{SOURCE}\n"
                    f"sinks: [ postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} ]\n")
        with Worker(at, pipeline, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            produce(broker.address, "in", numbers(0, 50), "-p", 1)
            wait_for(lambda: count() == 50, "50 rows", 30)
            backup = server.query("SELECT max(receipt_id) FROM onceflow_receipts", dsn)[0][0]
            produce(broker.address, "in", numbers(50, 100), "-p", 1)
            wait_for(lambda: count() == 100, "100 rows", 30)
            server.query("BEGIN; DELETE FROM t WHERE n >= 50; "
                         f"DELETE FROM onceflow_receipts WHERE receipt_id > {backup}; "
                         "UPDATE onceflow_positions SET next_offset = 50, epoch = 0 "
                         "WHERE partition = 1; COMMIT", dsn)
            produce(broker.address, "in", numbers(100, 101), "-p", 1)
            wait_for(lambda: count() >= 101, lambda: f"101 rows but {count()}", 30)
            found = server.query("SELECT count(*), count(DISTINCT n) FROM t", dsn)
            check(found == [["101", "101"]], f"not 101 different rows: {found}")
            check(worker.stop() == 0, worker.said())
        said = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)
        check("clean — 101 input records" in said, said)
