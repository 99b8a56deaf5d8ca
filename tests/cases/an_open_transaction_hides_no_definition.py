"""A transaction that somebody has open in a topic of the pipeline's own records: what a reset has
recorded behind it counts for run, plan, a worker that slept, and a lost database; and where
something must wait for it, it is named."""

import sqlite3

from a_start_over_is_kept_in_the_log import OUT, lite, lose, numbers
from a_worker_that_slept_looks_again import QUICK, asleep, ends_when_awake
from harness import Broker, Worker, check, cluster, onceflow, produce, wait_for
from harness.changes import aggregate, pipeline
from harness.kafka_admin import delete_topic
from harness.rdkafka import OpenTransaction

UPSERT = ("  - { id: lite, sqlite: { file: a.db, table: t, mode: upsert, key: [k], columns: "
          "{ k: $.k, n: { value: $.n, type: integer } } } }\n")
COUNT = pipeline(aggregate("n: count(*)"), OUT + UPSERT)
SUM = pipeline(aggregate("n: sum($.v)"), OUT + UPSERT)


def counted(at, file="a.db"):
    try:
        with sqlite3.connect(at / file, timeout=20) as database:
            return database.execute("SELECT k, n FROM t").fetchall()
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def run_to(at, broker, text, records, reached):
    with Worker(at, text, servers=broker.address) as worker:
        if records:
            produce(broker.address, "in", records)
        wait_for(reached, worker.said, 60)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def told(at, broker, command, *arguments, code=0):
    return onceflow(command, "p.yaml", "--bootstrap.servers", broker.address, *arguments, at=at,
                    code=code, seconds=60)


def a_start_over_behind_it_is_where_a_lost_database_begins(at):
    text = pipeline("", OUT + lite())
    with cluster(at) as broker:
        run_to(at, broker, text, [{"n": n} for n in range(5)],
               lambda: numbers(at) == list(range(5)))
        with OpenTransaction(broker.port, "stranger", "p-definitions", 1) as hides:
            told(at, broker, "reset", "--to-earliest", "--delete-rows", "--execute")
            run_to(at, broker, text, [], lambda: numbers(at) == list(range(5)))
            lose(at)
            planned = told(at, broker, "plan")
            check("where the newest start-over was to begin" in planned, planned)
            run_to(at, broker, text, [{"n": 5}], lambda: len(numbers(at)) >= 6)
            check(numbers(at) == list(range(6)), numbers(at))
            hides.commit()
        # A record of a stranger, and named as one.
        planned = told(at, broker, "plan")
        check("p-definitions-0@" in planned, planned)
        run_to(at, broker, text, [{"n": 6}], lambda: numbers(at) == list(range(7)))


def a_definition_behind_it_is_the_one_that_counts(at):
    with cluster(at) as broker:
        run_to(at, broker, COUNT, [{"k": "a", "v": 10}] * 3, lambda: counted(at) == [("a", 3)])
        with OpenTransaction(broker.port, "stranger", "p-definitions", 1):
            (at / "p.yaml").write_text(SUM, encoding="utf-8")
            told(at, broker, "reset", "--to-current", "--execute")
            run_to(at, broker, SUM, [{"k": "a", "v": 10}], lambda: counted(at) == [("a", 10)])
            (at / "p.yaml").write_text(COUNT, encoding="utf-8")
            said = told(at, broker, "run", code=1)
            check("the file was changed" in said and "nothing was written" in said, said)
            check(counted(at) == [("a", 10)], counted(at))


def a_worker_that_slept_through_a_reset_behind_it_ends(at):
    text = pipeline(aggregate("n: count(*)"), OUT).replace(
        "group.id: g", "group.id: g, session.timeout.ms: 2000")
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"k": "a"}])
        with Worker(at, text, servers=broker.address) as sleeper:
            wait_for(sleeper.is_running, sleeper.said, 60)
            with OpenTransaction(broker.port, "stranger", "p-definitions", 1):
                asleep(sleeper, broker)
                (at / "p.yaml").write_text(text.replace("count(*)", "sum($.v)"), encoding="utf-8")
                told(at, broker, "reset", "--to-current", "--execute")
                ends_when_awake(sleeper, "was reset while this worker was away (ended at")


def who_holds_back_the_receipts_that_a_start_must_read_is_named(at):
    text = pipeline("", OUT + lite())
    with cluster(at) as broker:
        run_to(at, broker, text, [{"n": 0}], lambda: numbers(at) == [0])
        with OpenTransaction(broker.port, "stranger", "p-receipts", 1) as hides:
            delete_topic(broker.address, "p-definitions")
            with Worker(at, text, servers=broker.address) as worker:
                wait_for(lambda: 'event="held back"' in worker.said(), worker.said, 20)
                check("of p-receipts-0 on is held back by the open transaction of "
                      "transactional.id 'stranger'" in worker.said() and
                      "its producer must commit or abort it" in worker.said(), worker.said())
                wait_for(lambda: "'stranger'" in str(worker.stage("lite")["cause"]),
                         lambda: str(worker.stage("lite")), 60)
                hides.abort()
                produce(broker.address, "in", [{"n": 1}])
                wait_for(lambda: numbers(at) == [0, 1], worker.said, 60)
                check(worker.stop() == 0, worker.said())
