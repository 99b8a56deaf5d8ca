"""A group, and the topics between stages, belong to one pipeline: another that was given the same
ones, at once or later, is refused by name before a record is passed over."""

import time

from harness import Broker, Worker, check, check_plain, consume, onceflow, produce, wait_for
from harness.changes import aggregate, pipeline
from harness.kafka_admin import create_topic, delete_topic, move_position
from harness.rdkafka import OpenTransaction

QUICK = ["--override", "group.initial.rebalance.delay.ms=0", "--override", "num.partitions=4"]


def sink(topic):
    return f"  - kafka: {{ topic: {topic} }}\n"


def numbers(count):
    return [{"n": number, "k": number % 3} for number in range(count)]


def run_to(at, broker, text, topic, count):
    with Worker(at, text, servers=broker.address) as worker:
        wait_for(lambda: len(consume(broker.address, topic)) >= count,
                 lambda: f"{count} in {topic}: {worker.said()}")
        check(worker.stop() == 0, worker.said())
    check(len(consume(broker.address, topic)) == count, consume(broker.address, topic))


def refused(at, broker, text, *words):
    with Worker(at, text, servers=broker.address, wait=False) as worker:
        check(worker.wait() == 1, worker.said())
        check_plain(worker.said())
        for word in words:
            check(word in worker.said(), f"{word}: {worker.said()}")


def planned(at, broker, text, code=1):
    (at / "q.yaml").write_text(text, encoding="utf-8")
    return onceflow("plan", "q.yaml", "--bootstrap.servers", broker.address, at=at, code=code)


def reset_refused(at, broker, text, *words):
    (at / "q.yaml").write_text(text, encoding="utf-8")
    said = onceflow("reset", "q.yaml", "--bootstrap.servers", broker.address, "--to-earliest",
                    "--execute", at=at, code=1)
    for word in words:
        check(word in said, f"{word}: {said}")


def a_renamed_pipeline_with_the_group_of_before_is_refused_and_the_fix_helps(at):
    for number, steps in enumerate(["", "  - { id: s, key: $.n, aggregate: { c: count(*) } }\n"]):
        folder = at / str(number)
        folder.mkdir()
        with Broker(folder, *QUICK) as broker:
            create_topic(broker.address, "in", 4)
            produce(broker.address, "in", numbers(20))
            run_to(folder, broker, pipeline(steps, sink("a"), name="a"), "a", 20)
            renamed = pipeline(steps, sink("b"), name="b")
            refused(folder, broker, renamed, "group 'g' has a position", "'b' has never run",
                    "group.id of its own")
            said = planned(folder, broker, renamed)
            check("run refuses: group 'g' has a position" in said, said)
            reset_refused(folder, broker, renamed, "group 'g' holds positions of pipeline 'a', in-",
                          "a group.id, a name")
            run_to(folder, broker, renamed.replace("group.id: g", "group.id: h"), "b", 20)
            # Nor does one that has run take them, once its group.id is changed to it.
            reset_refused(folder, broker, renamed, "group 'g' holds positions of pipeline 'a'")
            # And the one of before goes on.
            produce(broker.address, "in", [{"n": 20}])
            run_to(folder, broker, pipeline(steps, sink("a"), name="a"), "a", 21)


def a_group_that_a_consumer_has_used_is_refused(at):
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 4)
        produce(broker.address, "in", numbers(20))
        move_position(broker.address, "g", "in", 2, 3)
        refused(at, broker, pipeline("", sink("a")), "group 'g' has a position, in-2@3",
                "'p' has never run")
        reset_refused(at, broker, pipeline("", sink("a")), "group 'g' has a position, in-2@3")


def names_that_run_together_are_refused_and_the_fix_helps(at):
    def counts(name, step, source, topic):
        text = pipeline(f"  - {{ id: {step}, key: $.k, aggregate: {{ n: count(*) }} }}\n",
                        sink(topic), group=f"of-{topic}", name=name)
        return text.replace("topics: [in]", f"topics: [{source}]")
    with Broker(at, *QUICK) as broker:
        for topic, count in (("in", 9), ("in2", 18)):
            create_topic(broker.address, topic, 4)
            produce(broker.address, topic, numbers(count))
        run_to(at, broker, counts("a", "b-c", "in", "o1"), "o1", 3)
        refused(at, broker, counts("a-b", "c", "in2", "o2"), "'a-b-c-repartition' has records",
                "'a-b' has never run", "another id")
        reset_refused(at, broker, counts("a-b", "c", "in2", "o2"),
                      "group 'a-b-c' holds positions of pipeline 'a'", "step ids of its own")
        run_to(at, broker, counts("a-b", "d", "in2", "o2"), "o2", 3)
        check(all('"n":6' in value for value in consume(broker.address, "o2")),
              consume(broker.address, "o2"))


def transactional_ids_of_names_that_run_together_are_two(at):
    """p's stage kafka-1 and p-kafka's stage 1; and within one, stage k's worker key-1 and stage
    k-key's worker 1."""
    def named(name, id):
        return pipeline("", f"  - id: {id}\n    kafka: {{ topic: of-{name} }}\n", group=name,
                        name=name)
    def settled(workers, seconds):
        for _ in range(seconds):
            produce(broker.address, "in", numbers(20))
            time.sleep(1)
        for worker in workers:
            for stage in worker.status()["stages"]:
                check(stage["totals"]["fenced"] == 0, worker.said())
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 4)
        with (Worker(at, named("p", "kafka-1"), servers=broker.address) as one,
              Worker(at, named("p-kafka", "1"), servers=broker.address, file="q.yaml") as two):
            wait_for(lambda: one.is_running() and two.is_running(), one.said, 60)
            settled([one, two], 5)
            check(one.stop() == 0 and two.stop() == 0, one.said())
        counts = pipeline(aggregate("n: count(*)"), sink("counts"), group="c", name="c")
        with (Worker(at, counts, servers=broker.address, worker="key-1") as one,
              Worker(at, None, servers=broker.address, worker="1") as two):
            wait_for(lambda: one.is_running() and two.is_running(), one.said, 60)
            settled([one, two], 5)
            check(one.stop() == 0 and two.stop() == 0, one.said())


def what_was_left_open_under_the_name_of_before_is_ended(at):
    """A worker of the version before was killed in the middle of a commit."""
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(5))
        with OpenTransaction(broker.port, "p-kafka-1-1", "in", 3):
            produce(broker.address, "in", numbers(5))
            text = pipeline("", "  - id: kafka-1\n    kafka: { topic: out }\n")
            with Worker(at, text, servers=broker.address) as worker:
                wait_for(lambda: len(consume(broker.address, "out")) == 10, worker.said, 20)
                check(worker.stop() == 0, worker.said())


def a_topic_of_another_pipeline_is_written_by_nobody_else(at):
    counts = pipeline(aggregate("n: count(*)"), sink("out") + "  - id: rows\n    sqlite: "
                      "{ file: a.db, table: t, columns: { n: { value: $.n, type: integer } } }\n",
                      name="a")
    def writes(topic, name="q"):
        return pipeline("", sink(topic), group=f"of-{name}", name=name)
    own = ["a-receipts", "a-definitions", "a-k-repartition", "a-k-changelog"]
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 4)
        with Worker(at, counts, servers=broker.address, file="a.yaml") as worker:  # nothing to read
            wait_for(worker.is_running, worker.said, 60)
            check(worker.stop() == 0, worker.said())
        for topic in own:
            refused(at, broker, writes(topic), f"topic '{topic}' is a topic of pipeline 'a' alone",
                    "pipeline 'q' writes to it, too", "give the sink of 'q' another topic")
            check("run refuses: topic" in planned(at, broker, writes(topic)), topic)
        produce(broker.address, "in", numbers(9))
        run_to(at, broker, writes("o"), "o", 9)
        # Also where the file of one that has run is changed to it, and where the other comes later.
        (at / "q.yaml").write_text(writes("a-k-changelog"), encoding="utf-8")
        said = onceflow("reset", "q.yaml", "--bootstrap.servers", broker.address, "--to-current",
                        "--execute", at=at, code=1)
        check("still refuses: topic 'a-k-changelog' is a topic of pipeline 'a' alone" in said, said)
        refused(at, broker, writes("a-k-changelog"), "topic 'a-k-changelog' is a topic of")
        run_to(at, broker, writes("c-k-repartition", "r"), "c-k-repartition", 9)
        later = counts.replace("name: a", "name: c").replace("topic: out", "topic: o2").replace(
            "group.id: g", "group.id: c")
        refused(at, broker, later, "topic 'c-k-repartition' has records")
        create_topic(broker.address, "empty", 4)
        silent = writes("d-k-repartition", "s").replace("[in]", "[empty]")
        with Worker(at, silent, servers=broker.address, file="s.yaml") as worker:
            wait_for(worker.is_running, worker.said, 60)
            check(worker.stop() == 0, worker.said())
        later = later.replace("name: c", "name: d").replace("group.id: c", "group.id: d")
        refused(at, broker, later, "topic 'd-k-repartition' is a topic of pipeline 'd' alone",
                "pipeline 's' writes to it, too", "delete topic s-definitions")
        # The fix, as it is printed.
        delete_topic(broker.address, "s-definitions")
        run_to(at, broker, later, "o2", 3)


def a_topic_that_two_pipelines_write_and_one_reads_again_is_told(at):
    def rows_of(name):
        return pipeline("", sink("both") + f"  - sqlite: {{ file: {name}.db, table: t, columns: "
                        "{ n: { value: $.n, type: integer } } }\n", name=name, group=f"g-{name}")
    words = "topic 'both' gets the results of pipeline '{}' too: what of pipeline '{}' reads"
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 1)
        create_topic(broker.address, "both", 1)
        with Worker(at, rows_of("a"), servers=broker.address, file="a.yaml") as worker:
            wait_for(worker.is_running, worker.said, 60)
            check("results of pipeline" not in worker.said(), worker.said())
            check(worker.stop() == 0, worker.said())
        only_writes = pipeline("", sink("both"), name="w", group="g-w")
        said = planned(at, broker, only_writes, code=0)
        check(words.format("w", "a") in said and said.count("gets the results") == 1, said)
        said = planned(at, broker, rows_of("b"), code=0)
        check(words.format("a", "b") in said and words.format("b", "a") in said, said)
        with Worker(at, rows_of("b"), servers=broker.address, file="b.yaml") as worker:
            wait_for(worker.is_running, worker.said, 60)
            check(words.format("a", "b") in worker.said(), worker.said())
            check(worker.stop() == 0, worker.said())


def names_that_run_together_are_refused_before_either_has_a_record(at):
    def counts(name, step):
        return pipeline(aggregate("n: count(*)", id=step), sink(f"of-{name}"), group=f"g-{name}",
                        name=name)
    with Broker(at, *QUICK) as broker:
        create_topic(broker.address, "in", 4)
        with Worker(at, counts("a", "b-c"), servers=broker.address, file="a.yaml") as worker:
            wait_for(worker.is_running, worker.said, 60)
            refused(at, broker, counts("a-b", "c"), "has members of another pipeline: worker '1'")
            check(worker.stop() == 0, worker.said())
        refused(at, broker, counts("a-b", "c"), "though pipeline 'a-b' has never run", "another id")
