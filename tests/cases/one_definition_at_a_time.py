"""Live workers of a pipeline go by one file: a newcomer with another is refused by name, who finds
itself overtaken ends, and a change that is rolled out is said by both sides."""

import json

from harness import Broker, Worker, check, check_plain, consume, produce, wait_for
from harness.changes import pipeline

QUICK = ["--override", "group.initial.rebalance.delay.ms=0", "--override", "num.partitions=4"]
WHERE = "  - { id: w, where: $.n > 0 }\n"
OTHER = WHERE.replace("> 0", "% 2 = 0")
SETS = "  - { id: m, set: { $.m: $.n + 1 } }\n  - { id: n, set: { $.n: $.m } }\n"
ONE_SET = "  - { id: m, set: { $.m: $.n + 1, $.n: $.m } }\n"
ROWS = "  - sqlite: { file: ../a.db, table: t, columns: { n: $.n } }\n"
TOPICS = "  - kafka: { topic: out }\n"


def number_of(value):
    return json.loads(value)["n"]


def running(at, broker, text, *arguments, worker):
    folder = at / f"worker-{worker}"
    folder.mkdir(exist_ok=True)
    started = Worker(folder, text, *arguments, servers=broker.address, worker=worker)
    wait_for(started.is_running, lambda: f"running: {started.said()}", 60)
    return started


def refused(at, broker, text, *arguments, worker="2"):
    folder = at / f"worker-{worker}"
    folder.mkdir(exist_ok=True)
    with Worker(folder, text, *arguments, servers=broker.address, worker=worker,
                wait=False) as newcomer:
        check(newcomer.wait(60) == 1, newcomer.said())
        check_plain(newcomer.said())
        return newcomer.said()


def a_newcomer_with_another_file_is_refused_and_the_older_goes_on(at):
    members = [  # (the file of the older one, the newcomer's, what differs)
        (pipeline(WHERE, TOPICS), pipeline(OTHER, TOPICS), "is now `where $.n % 2 = 0`"),
        (pipeline("", TOPICS), pipeline("  - { id: s, set: { $.m: 1 } }\n", TOPICS),
         "`set $.m = 1` is new"),
        (pipeline(SETS, TOPICS), pipeline(ONE_SET, TOPICS), "is now `also set $.n = $.m`"),
        (pipeline("", ROWS), pipeline("", ROWS.replace("n: $.n", "n: $.n + 1000")),
         "column n text = $.n + 1000"),
        (pipeline("", TOPICS), pipeline("", TOPICS, more="guarantee: at_least_once\n"),
         "the guarantee was exactly_once"),
        (pipeline("", TOPICS + ROWS), pipeline("", TOPICS), "the sink is gone"),
        (pipeline("", ROWS), pipeline("", ROWS, group="other"), "group.id was g"),
    ]
    for number, (before, after, words) in enumerate(members):
        folder = at / str(number)
        folder.mkdir()
        with Broker(folder, *QUICK) as broker:
            produce(broker.address, "in", [{"n": 1}, {"n": 2}])
            with running(folder, broker, before, worker="1") as older:
                said = refused(folder, broker, after)
                for word in ("another definition than this file", "worker '1'",
                             f"process {older.process.pid}", "127.0.0.1", words, "stop it",
                             "--rolling-change"):
                    check(word in said, f"{word}: {said}")
                check(older.is_running() and "rebalance" not in older.said(), older.said())
                older.stop()
            # The fix that the message gives.
            running(folder, broker, after, worker="2").__exit__()


def an_output_that_would_stay_empty_is_refused_beside_a_live_worker(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": 1}])
        with running(at, broker, pipeline("", TOPICS), worker="1"):
            said = refused(at, broker, pipeline("", TOPICS.replace("out", "out2")), worker="3")
            check("topic out2 is a new output" in said, said)


def a_change_that_is_rolled_out_is_said_by_both(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": 1}, {"n": 2}])
        with running(at, broker, pipeline(WHERE, TOPICS), worker="1") as older, \
             running(at, broker, pipeline(OTHER, TOPICS), "--rolling-change",
                     worker="2") as newer:
            for one, other in ((older, newer), (newer, older)):
                wait_for(lambda one=one: "another definition (--rolling-change)" in one.said(),
                         lambda one=one: f"it says so: {one.said()}", 60)
                status = one.status()["workers_with_another_definition"]
                check(len(status) == 1 and f"process {other.process.pid}" in status[0]["where"],
                      f"{status}")
            check(older.stop() == 0 and newer.is_alive(), newer.said())
            # The older one comes back with the new file: all go by one again.
            with running(at, broker, pipeline(OTHER, TOPICS), worker="1"):
                wait_for(lambda: newer.status()["workers_with_another_definition"] == [],
                         lambda: newer.said(), 60)
                check("one definition again" in newer.said(), newer.said())


def of_two_that_start_at_once_one_goes_on(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": n} for n in range(10)])
        folders = [at / "a", at / "b"]
        texts = [pipeline(WHERE, TOPICS), pipeline(OTHER, TOPICS)]
        workers = []
        for number, (folder, text) in enumerate(zip(folders, texts)):
            folder.mkdir()
            workers.append(Worker(folder, text, servers=broker.address, worker=str(number),
                                  wait=False))
        with workers[0], workers[1]:
            wait_for(lambda: not all(each.is_alive() for each in workers), "one ends", 60)
            ended, other = sorted(workers, key=lambda each: each.is_alive())
            check(ended.wait(5) == 1 and "definition" in ended.said(), ended.said())
            wait_for(other.is_running, lambda: other.said(), 60)
            # From now on there is one definition.
            def later():
                return [n for n in map(number_of, consume(broker.address, "out")) if n >= 100]
            produce(broker.address, "in", [{"n": n} for n in range(100, 110)])
            expected = list(range(100, 110, 1 if other is workers[0] else 2))
            wait_for(lambda: sorted(later()) == expected,
                     lambda: f"{expected}, but {later()}: {other.said()}", 60)
            check(other.is_alive(), other.said())


def workers_with_the_same_file_come_and_go_without_a_word(at):
    text = pipeline(WHERE, TOPICS)
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": 1}])
        with running(at, broker, text, worker="1") as first:
            # Comments and intervals decide nothing.
            other = "# the same\n" + text + "commit.interval.ms: 50\n"
            for _ in range(2):
                with running(at, broker, other, worker="2") as second:
                    check(second.stop() == 0, second.said())
            with running(at, broker, text, worker="2") as second:
                second.kill()
            running(at, broker, text, worker="2").__exit__()
            check(first.is_alive() and "another definition" not in first.said(), first.said())
