"""C7: a topic that was made again under its name is another topic."""

import sqlite3

from harness import Worker, check, cluster, onceflow, produce, shared_postgres, wait_for
from harness.kafka_admin import create_topic, delete_topic

SOURCE = "source: { kafka: { topics: [in], group.id: g } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"
TOPIC = f"name: p\n{SOURCE}\nsinks: [ kafka: {{ topic: out }} ]\n"
COUNTS = (f"name: p\n{SOURCE}\nsteps: [ {{ id: c, key: $.n, aggregate: {{ seen: count(*) }} }} ]\n"
          "sinks: [ kafka: { topic: out } ]\n")


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def audited(at, broker, code):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at, code=code)


def has_read_all(worker, count):
    """All stages have committed up to the end, and the first has read `count` records."""
    stages = worker.status()["stages"]
    return (stages[0]["totals"]["records_in"] >= count
            and all(stage["state"] == "running" for stage in stages))


def run_over_ten(at, broker, pipeline, partitions=1):
    create_topic(broker.address, "in", partitions)
    for partition in range(partitions):
        produce(broker.address, "in", numbers(partition * 10, partition * 10 + 10), "-p", partition)
    with Worker(at, pipeline, servers=broker.address) as worker:
        wait_for(lambda: has_read_all(worker, 10 * partitions), "all records", 30)
        check(worker.stop() == 0, worker.said())


def run_that_refuses(at, broker, words=("another topic of that name",)):
    with Worker(at, None, servers=broker.address, wait=False) as worker:
        check(worker.wait(40) == 1, "it did not stop")
        said = worker.said()
    for word in words:
        check(word in said, f"no {word!r} in: {said}")
    return said


def a_table_does_not_go_on_in_another_topic(at):
    with cluster(at) as broker:
        run_over_ten(at, broker, LITE, partitions=2)
        delete_topic(broker.address, "in")
        create_topic(broker.address, "in", 2)
        produce(broker.address, "in", numbers(100, 115), "-p", 0)
        produce(broker.address, "in", numbers(100, 115), "-p", 1)
        run_that_refuses(at, broker, ["another topic of that name", "onceflow reset p.yaml",
                                     "onceflow_positions is at offset 10"])
        with sqlite3.connect(at / "out.db") as database:
            check(database.execute("SELECT count(*) FROM t").fetchone() == (20,), "not 20 rows")
        said = audited(at, broker, 1)
        for partition in [0, 1]:
            check(f"in-{partition}: another topic of that name" in said, said)


def postgresql_does_not_go_on_in_another_topic(at):
    server = shared_postgres()
    dsn = server.new_database()
    with cluster(at) as broker:
        run_over_ten(at, broker, f"name: p\n{SOURCE}\nsinks: [ postgres: {{ dsn: '{dsn}', "
                     f"table: t, {COLUMNS} }} ]\n")
        delete_topic(broker.address, "in")
        produce(broker.address, "in", numbers(100, 115))
        run_that_refuses(at, broker)
        check(server.query("SELECT count(*) FROM t", dsn) == [["10"]], "not 10 rows")
        check("in-0: another topic of that name" in audited(at, broker, 1), "not said")


def a_group_that_lost_its_offsets_with_the_topic_does_not_begin_anew(at):
    with cluster(at) as broker:
        run_over_ten(at, broker, TOPIC)
        delete_topic(broker.address, "in")
        produce(broker.address, "in", numbers(100, 115))
        run_that_refuses(at, broker)
        check("in-0: another topic of that name" in audited(at, broker, 1), "not said")


def a_topic_between_two_stages_is_not_taken_for_an_empty_one(at):
    for name, said in [("p-c-repartition", ["p-c-repartition-0", "another topic of that name"]),
                       ("p-c-changelog", ["changelog 'p-c-changelog': the topic is gone"])]:
        here = at / name
        here.mkdir()
        with cluster(here) as broker:
            run_over_ten(here, broker, COUNTS)
            delete_topic(broker.address, name)
            produce(broker.address, "in", numbers(0, 5))
            run_that_refuses(here, broker, said)


def a_topic_that_is_made_again_under_a_running_stage_stops_it(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 10))
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(lambda: has_read_all(worker, 10), "all records", 30)
            delete_topic(broker.address, "in")
            create_topic(broker.address, "in", 1)
            produce(broker.address, "in", numbers(100, 115))
            check(worker.wait(40) == 1, "it did not stop")
            check("another topic of that name" in worker.said(), worker.said())
