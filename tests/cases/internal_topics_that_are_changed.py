"""The topics of an aggregate, changed behind its back: it stops by name and never counts anew."""

from harness import Worker, check, cluster, consume, onceflow, produce, wait_for
from harness.kafka_admin import (add_partitions, create_topic, delete_records, delete_topic,
                                 set_topic_config)

COUNTS = """
name: p
source: { kafka: { topics: [in] } }
steps: [ { id: a, key: $.k, aggregate: { n: count(*) } } ]
sinks: [ kafka: { topic: out } ]
"""
KEYS = [{"k": key} for key in "abcdefgh"]


def counts_once(at, broker):
    create_topic(broker.address, "in", 1)
    produce(broker.address, "in", KEYS)
    with Worker(at, COUNTS, servers=broker.address) as worker:
        wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
        check(worker.stop() == 0, worker.said())


def stops_by_name(at, broker, *words):
    produce(broker.address, "in", KEYS)
    with Worker(at, None, servers=broker.address, wait=False) as worker:
        check(worker.wait(30) == 1, "it did not stop")
        for word in words:
            check(word in worker.said(), f"no {word!r} in: {worker.said()}")
    check(len(consume(broker.address, "out")) == len(KEYS), "it has counted on")


def both_topics_gain_partitions(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        add_partitions(broker.address, "p-a-repartition", 4)
        add_partitions(broker.address, "p-a-changelog", 4)
        stops_by_name(at, broker, "a partition that was not there when the aggregate began",
                      "onceflow reset p.yaml --bootstrap.servers")
        # The fix, as it is printed.
        onceflow("reset", "p.yaml", "--to-earliest", "--execute", "--bootstrap.servers",
                 broker.address, at=at)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: '{"k":"h","n":2}' in consume(broker.address, "out"), worker.said)


def one_of_them_gains_partitions(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        add_partitions(broker.address, "p-a-repartition", 4)
        stops_by_name(at, broker, "topic p-a-repartition has 4 partitions and its changelog "
                                  "p-a-changelog has 1")


def the_changelogs_beginning_is_deleted(at):
    with cluster(at) as broker:
        counts_once(at, broker)
        set_topic_config(broker.address, "p-a-changelog", "cleanup.policy", "delete")
        delete_records(broker.address, "p-a-changelog", 0, 4)
        stops_by_name(at, broker, "changelog p-a-changelog-0: its first records were deleted")


def the_changelog_is_made_anew_under_it(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", KEYS)
        with Worker(at, COUNTS, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == len(KEYS), worker.said)
            delete_topic(broker.address, "p-a-changelog")
            create_topic(broker.address, "p-a-changelog", 1)
            produce(broker.address, "in", KEYS[:1])
            check(worker.wait(30) == 1, worker.said())
            check("another topic of that name" in worker.said(), worker.said())
            check("CHECK" not in worker.said(), worker.said())
