"""A group, and the topics between stages, belong to one pipeline: another that was given the same
ones, at once or later, is refused by name before a record is passed over."""

from harness import Broker, Worker, check, check_plain, consume, onceflow, produce, wait_for
from harness.changes import pipeline
from harness.kafka_admin import create_topic, move_position

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


def planned(at, broker, text):
    (at / "q.yaml").write_text(text, encoding="utf-8")
    return onceflow("plan", "q.yaml", "--bootstrap.servers", broker.address, at=at, code=1)


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
