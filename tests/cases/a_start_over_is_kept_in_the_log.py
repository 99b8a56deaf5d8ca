"""Where `onceflow reset` has put the stages stands in the log, too: a database that is empty
afterwards, because it was lost, or its sink is new, or has another file or dsn, begins there. It
gets the new results, and not the old ones again; plan, run and audit agree."""

import sqlite3

from harness import (Broker, Worker, audit, check, cluster, free_port, onceflow, produce,
                     shared_postgres, wait_for)
from harness.changes import aggregate, pipeline, plan, reset
from harness.kafka_admin import delete_records
from harness.rdkafka import OpenTransaction

OUT = "  - kafka: { topic: out }\n"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"


def lite(file="a.db", name="lite"):
    return f"  - {{ id: {name}, sqlite: {{ file: {file}, table: t, {COLUMNS} }} }}\n"


def query(here, statement, file="a.db"):
    with sqlite3.connect(here / file, timeout=20) as database:
        return database.execute(statement).fetchall()


def numbers(at, file="a.db"):
    try:
        return [row[0] for row in query(at, "SELECT n FROM t ORDER BY n", file)]
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def run_to(at, text, records, reached):
    """Runs it until `reached()` holds, and to an end in order; what it said."""
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", [{"n": number} for number in records])
        wait_for(reached, worker.said, 60)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def lose(at, file="a.db"):
    for end in ("", "-wal", "-shm"):
        (at / (file + end)).unlink(missing_ok=True)


def begin_anew(at, text, beginning="--to-earliest"):
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    reset(at, beginning, "--delete-rows", "--execute")


def is_all_of(at, expected, file="a.db"):
    """After the last record, before which the old results would have come."""
    check(numbers(at, file) == expected, f"{numbers(at, file)} and not {expected}")
    said = audit(at)
    check("not yet processed" not in said.splitlines()[-1], said)


def a_database_that_is_lost_gets_the_new_results_alone(at):
    text = pipeline("", OUT + lite())
    begin_anew(at, text)
    run_to(at, text, [], lambda: numbers(at) == list(range(5)))
    lose(at)
    planned = plan(at, text, 0)
    check("out-0@5" in planned or "out-0@6" in planned, planned)
    said = run_to(at, text, [5], lambda: len(numbers(at)) >= 6)
    check("where the newest start-over was to begin: out-0@" in said, said)
    is_all_of(at, list(range(6)))


def a_sink_that_is_new_gets_the_new_results_alone(at):
    begin_anew(at, pipeline("", OUT + lite()))
    run_to(at, pipeline("", OUT + lite()), [], lambda: numbers(at) == list(range(5)))
    more = pipeline("", OUT + lite() + lite("b.db", "more"))
    planned = plan(at, more, 0)
    check("its table is filled from where the newest start-over was to begin: out-0@" in planned,
          planned)
    run_to(at, more, [5], lambda: 5 in numbers(at, "b.db") and 5 in numbers(at))
    is_all_of(at, list(range(6)), "b.db")


def what_lies_before_its_place_may_be_gone_for_a_new_sink(at):
    """Records that are no input of the new sink were asked for, and it was refused."""
    begin_anew(at, pipeline("", OUT + lite()))
    run_to(at, pipeline("", OUT + lite()), [], lambda: numbers(at) == list(range(5)))
    more = pipeline("", OUT + lite() + lite("b.db", "more"))
    with Broker(at, port=free_port()) as broker:
        delete_records(broker.address, "out", 0, 4)
        broker.stop()
    plan(at, more, 0)
    run_to(at, more, [5], lambda: 5 in numbers(at, "b.db") and 5 in numbers(at))
    is_all_of(at, list(range(6)), "b.db")
    third = pipeline("", OUT + lite() + lite("b.db", "more") + lite("c.db", "third"))
    with Broker(at, port=free_port()) as broker:
        delete_records(broker.address, "out", 0, 8)
        broker.stop()
    said = plan(at, third, 1)
    check("topic out begins at offset 8 of partition 0" in said, said)


def another_file_gets_the_new_results_alone(at):
    begin_anew(at, pipeline("", OUT + lite()))
    run_to(at, pipeline("", OUT + lite()), [], lambda: numbers(at) == list(range(5)))
    other = pipeline("", OUT + lite("b.db"))
    run_to(at, other, [5], lambda: 5 in numbers(at, "b.db"))
    is_all_of(at, list(range(6)), "b.db")


def a_lone_sink_begins_where_it_was_put(at):
    text = pipeline("", lite())
    begin_anew(at, text, "--to-latest")
    run_to(at, text, [5, 6], lambda: numbers(at) == [5, 6])
    lose(at)
    run_to(at, text, [7], lambda: 7 in numbers(at))
    is_all_of(at, [5, 6, 7])
    # Before it has read anything, too.
    reset(at, "--to-latest", "--delete-rows", "--execute")
    lose(at)
    run_to(at, text, [8], lambda: 8 in numbers(at))
    is_all_of(at, [8])


def the_newest_start_over_counts_and_what_goes_on_is_none(at):
    text = pipeline("", OUT + lite())
    begin_anew(at, text)
    run_to(at, text, [], lambda: numbers(at) == list(range(5)))
    reset(at, "--to-latest", "--delete-rows", "--execute")
    run_to(at, text, [5], lambda: numbers(at) == [5])
    reset(at, "--to-current", "--execute")
    lose(at)
    run_to(at, text, [6], lambda: 6 in numbers(at))
    is_all_of(at, [5, 6])


def keys_that_the_start_over_left_behind_do_not_come_back(at):
    sink = ("  - { id: lite, sqlite: { file: a.db, table: t, mode: upsert, key: [k], columns: "
            "{ k: $.k, n: { value: $.n, type: integer } } } }\n")
    text = pipeline(aggregate("n: count(*)"), OUT + sink)

    def rows():
        try:
            return query(at, "SELECT k, n FROM t ORDER BY k")
        except sqlite3.OperationalError:
            return []

    for key, expected in (("old", [("old", 1)]), ("new", [("new", 1)])):
        with Worker(at, text) as worker:
            produce(worker.address, "in", [{"k": key}])
            wait_for(lambda: rows() == expected, worker.said, 60)
            check(worker.stop() == 0, worker.said())
        if key == "old":
            reset(at, "--to-latest", "--delete-rows", "--execute")
    lose(at)
    with Worker(at, text) as worker:
        produce(worker.address, "in", [{"k": "new"}])
        wait_for(lambda: ("new", 2) in rows(), worker.said, 60)
        check(worker.stop() == 0, worker.said())
    check(rows() == [("new", 2)], rows())


def a_new_postgres_database_gets_the_new_results_alone(at):
    server = shared_postgres()
    dsns = [server.new_database(), server.new_database()]

    def text(dsn):
        return pipeline("", OUT + f"  - {{ id: pg, postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} "
                                  "} }\n")

    def rows(dsn):
        try:
            return int(server.query("SELECT count(*)::int FROM t", dsn)[0][0])
        except Exception:  # The table is not there yet.
            return 0

    run_to(at, text(dsns[0]), range(5), lambda: rows(dsns[0]) == 5)
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, text(dsns[0]), [], lambda: rows(dsns[0]) == 5)
    run_to(at, text(dsns[1]), [5], lambda: rows(dsns[1]) >= 6)
    check(rows(dsns[1]) == 6, rows(dsns[1]))
    audit(at)


def results_behind_an_open_transaction_are_old_too(at):
    text = pipeline("", OUT + lite())
    with cluster(at) as broker:
        def to(records, reached):
            with Worker(at, text, servers=broker.address) as worker:
                produce(broker.address, "in", [{"n": number} for number in records])
                wait_for(lambda: reached(worker), worker.said, 60)
                check(worker.stop() == 0, worker.said())
        to(range(3), lambda _: numbers(at) == [0, 1, 2])
        with OpenTransaction(broker.port, "stranger", "out", 2) as hides:
            to(range(3, 8), lambda worker: worker.stage("kafka")["totals"]["commits"] > 0)
            onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, "--to-earliest",
                     "--delete-rows", "--execute", at=at)
            hides.abort()
        to([8], lambda _: 8 in numbers(at))
        check(numbers(at) == list(range(9)), numbers(at))
