"""C2: where a stage begins is decided once, and kept."""

import sqlite3

from harness import Worker, check, cluster, consume, onceflow, produce, shared_postgres, wait_for
from harness.kafka_admin import add_partitions, create_topic

SOURCE = "source: { kafka: { topics: [in], group.id: g, auto.offset.reset: latest } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"
TOPIC = f"name: p\n{SOURCE}\nsinks: [ kafka: {{ topic: out }} ]\n"


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def rows(here):
    with sqlite3.connect(here / "out.db") as database:
        return [row[0] for row in database.execute("SELECT n FROM t ORDER BY n")]


def audited(at, broker):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def start_and_stop(at, broker, pipeline, end=Worker.stop):
    with Worker(at, pipeline, servers=broker.address) as worker:
        wait_for(worker.is_running, "a running stage")
        end(worker)


def latest_is_kept_in_a_table_of_sqlite(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 2)
        produce(broker.address, "in", numbers(100, 105))
        start_and_stop(at, broker, LITE)
        produce(broker.address, "in", numbers(0, 10))
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            produce(broker.address, "in", numbers(10, 12))
            wait_for(lambda: rows(at) == list(range(12)), lambda: f"12 rows but {rows(at)}", 20)
            worker.stop()
        said = audited(at, broker)
        check("clean — 12 input records accounted for to the last row" in said, said)
        check("began at offset" in said, said)


def latest_is_kept_by_a_killed_worker_and_in_a_group(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 3)
        start_and_stop(at, broker, TOPIC, Worker.kill)
        for partition in range(3):
            produce(broker.address, "in", numbers(partition * 10, partition * 10 + 4), "-p",
                    partition)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == 12, "12 records", 30)
            worker.stop()
        said = audited(at, broker)
        check("clean — 12 input records" in said, said)


def latest_is_kept_in_postgresql(at):
    server = shared_postgres()
    dsn = server.new_database()
    pipeline = (f"name: p\n{SOURCE}\n"
                f"sinks: [ postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} ]\n")
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        start_and_stop(at, broker, pipeline)
        produce(broker.address, "in", numbers(0, 10))
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: server.query("SELECT count(*) FROM t", dsn) == [["10"]], "10 rows", 20)
            worker.stop()
        check("clean — 10 input records" in audited(at, broker), "not clean")


def a_partition_that_appears_later_begins_at_its_first_offset(at):
    for pipeline in [LITE, TOPIC]:
        here = at / ("lite" if pipeline == LITE else "topic")
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 1)
            produce(broker.address, "in", numbers(100, 103))
            start_and_stop(here, broker, pipeline)
            add_partitions(broker.address, "in", 3)
            produce(broker.address, "in", numbers(0, 5), "-p", 1)
            produce(broker.address, "in", numbers(5, 8), "-p", 2)
            # Another one: the group gives a place that is taken again its old partitions.
            with Worker(here, None, servers=broker.address, worker="2") as worker:
                wait_for(lambda: 8 == (len(rows(here)) if pipeline == LITE
                                       else len(consume(broker.address, "out"))),
                         "8 results", 40)
                worker.stop()
            check("clean — 8 input records" in audited(here, broker), "not clean")


def partitions_are_added_to_a_running_stage(at):
    """The worker that runs reads them, and so does one that takes its own place again."""
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            add_partitions(broker.address, "in", 3)
            produce(broker.address, "in", numbers(0, 5), "-p", 1)
            produce(broker.address, "in", numbers(5, 8), "-p", 2)
            wait_for(lambda: rows(at) == list(range(8)), lambda: f"8 rows but {rows(at)}", 30)
            worker.kill()
        add_partitions(broker.address, "in", 4)
        produce(broker.address, "in", numbers(8, 10), "-p", 3)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: rows(at) == list(range(10)), lambda: f"10 rows but {rows(at)}", 30)
            worker.stop()
        check("clean — 10 input records" in audited(at, broker), "not clean")


def two_workers_fix_one_beginning(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 4)
        with Worker(at, TOPIC, servers=broker.address) as one, \
                Worker(at, None, servers=broker.address, worker="2") as two:
            wait_for(lambda: one.is_running() and two.is_running(), "two running workers", 40)
            one.kill()
            two.kill()
        for partition in range(4):
            produce(broker.address, "in", numbers(0, 3), "-p", partition)
        with Worker(at, None, servers=broker.address, worker="2") as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == 12, "12 records", 40)
            worker.stop()
        check("clean — 12 input records" in audited(at, broker), "not clean")


ANOTHER = "the database holds no position of this sink"


def first_rows(at, broker, pipeline, rows_of):
    """Five records written, the worker stopped, five more in the topic."""
    create_topic(broker.address, "in", 2)
    produce(broker.address, "in", numbers(100, 103))
    with Worker(at, pipeline, servers=broker.address) as worker:
        wait_for(worker.is_running, "a running stage")
        produce(broker.address, "in", numbers(0, 5), "-p", 0)
        produce(broker.address, "in", numbers(0, 5), "-p", 1)
        wait_for(lambda: len(rows_of()) == 10, "10 rows", 30)
        worker.stop()
    produce(broker.address, "in", numbers(5, 10), "-p", 0)


def refused(at, broker):
    with Worker(at, None, servers=broker.address, wait=False) as worker:
        code = worker.wait(60)
        said = worker.said()
    check(code == 1, f"code {code}: {said}")
    check(ANOTHER in said and "onceflow reset p.yaml" in said, said)
    return said


def remove_database(at, name="out.db"):
    for end in ["", "-wal", "-shm"]:
        (at / (name + end)).unlink(missing_ok=True)


def latest_is_not_decided_again_for_another_file(at):
    with cluster(at) as broker:
        first_rows(at, broker, LITE, lambda: rows(at))
        (at / "p.yaml").write_text(LITE.replace("out.db", "other.db"))
        refused(at, broker)
        # Choices: the file of before.
        (at / "p.yaml").write_text(LITE)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(rows(at)) == 15, "15 rows", 30)
            worker.stop()
        check("clean — 15 input records" in audited(at, broker), "not clean")


def latest_is_not_decided_again_for_a_file_that_was_deleted(at):
    with cluster(at) as broker:
        first_rows(at, broker, LITE, lambda: rows(at))
        remove_database(at)
        refused(at, broker)
        # Choices: to begin anew on purpose.
        onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, "--to-earliest",
                 "--execute", at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            wait_for(lambda: len(rows(at)) == 18, lambda: f"18 rows but {rows(at)}", 30)
            worker.stop()
        check("clean — 18 input records" in audited(at, broker), "not clean")


def latest_is_not_decided_again_while_it_runs(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            produce(broker.address, "in", numbers(0, 5))
            wait_for(lambda: len(rows(at)) == 5, "5 rows", 30)
            remove_database(at)
            produce(broker.address, "in", numbers(5, 10))
            check(worker.wait(60) == 1, worker.said())
            check(ANOTHER in worker.said(), worker.said())


def latest_is_not_decided_again_in_another_database_of_postgresql(at):
    server = shared_postgres()
    dsns = [server.new_database(), server.new_database()]
    text = (f"name: p\n{SOURCE}\n"
            f"sinks: [ postgres: {{ dsn: '{dsns[0]}', table: t, {COLUMNS} }} ]\n")
    with cluster(at) as broker:
        first_rows(at, broker, text, lambda: server.query("SELECT n FROM t", dsns[0]))
        (at / "p.yaml").write_text(text.replace(dsns[0], dsns[1]))
        refused(at, broker)
        # With `earliest` it goes on, and says so.
        (at / "p.yaml").write_text(text.replace(dsns[0], dsns[1]).replace("latest", "earliest"))
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: server.query("SELECT count(*) FROM t", dsns[1]) == [["18"]],
                     "18 rows", 30)
            said = worker.said()
            worker.stop()
        check(ANOTHER in said and "written again from the beginning" in said, said)


def latest_stays_where_it_was_before_the_first_record(at):
    """Nothing was read yet: what was decided is known all the same."""
    with cluster(at) as broker:
        create_topic(broker.address, "in", 2)
        produce(broker.address, "in", numbers(100, 105))
        start_and_stop(at, broker, LITE)
        remove_database(at)
        produce(broker.address, "in", numbers(0, 10))
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            wait_for(lambda: rows(at) == list(range(10)), lambda: f"10 rows but {rows(at)}", 30)
            worker.stop()
        check("clean — 10 input records" in audited(at, broker), "not clean")


def a_partition_that_was_added_before_the_database_was_lost_begins_at_its_first_offset(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(100, 105))
        start_and_stop(at, broker, LITE)
        add_partitions(broker.address, "in", 2)
        remove_database(at)
        produce(broker.address, "in", numbers(0, 5), "-p", 0)
        produce(broker.address, "in", numbers(5, 10), "-p", 1)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(worker.is_running, "a running stage")
            wait_for(lambda: rows(at) == list(range(10)), lambda: f"10 rows but {rows(at)}", 30)
            worker.stop()
        check("clean — 10 input records" in audited(at, broker), "not clean")
