"""A worker that slept past its session, and a reset that was held up between two of its acts, look
again at the record of definitions before they go on: what ran meanwhile is not undone."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import threading

from a_reset_that_was_killed_is_ended_by_itself import F_SETPIPE_SZ, PAGE, is_writing
from harness import (ONCEFLOW, Broker, Worker, audit, check, check_plain, consume, onceflow,
                     produce, wait_for)

QUICK = ["--override", "group.initial.rebalance.delay.ms=0",
         "--override", "group.min.session.timeout.ms=2000"]
LOW = "  - { id: w, where: $.n < 5 }\n"
ALL = LOW.replace("< 5", ">= 0")
TOPIC = "  - kafka: { topic: out }\n"
ROWS = ("  - sqlite: { file: a.db, table: t, columns: { n: { value: $.n, type: integer } } }\n")


def pipeline(steps, sinks):
    return ("name: p\nsource: { kafka: { topics: [in], group.id: g, session.timeout.ms: 2000 } }\n"
            f"steps:\n{steps}sinks:\n{sinks}")


def counted(function, before=""):
    return f"{before}  - {{ id: a, key: $.k, aggregate: {{ x: {function} }} }}\n"


def numbers(at, broker, sinks):
    if sinks == TOPIC:
        return sorted(json.loads(value)["n"] for value in consume(broker.address, "out"))
    try:
        with sqlite3.connect(at / "a.db") as database:
            return [n for (n,) in database.execute("SELECT n FROM t ORDER BY n")]
    except sqlite3.OperationalError:
        return []  # The table is not there yet.


def put(at, broker, text, *arguments):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, *arguments,
                    "--execute", at=at, seconds=60)


def asleep(worker, broker):
    """Stops it until its groups have gone on without it."""
    worker.signal(signal.SIGSTOP)

    def is_out():
        said = onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, "--to-current",
                        at=worker.at, code=None)
        return "has members" not in said
    wait_for(is_out, "its groups have no members", 60)


def ends_when_awake(worker, *words):
    worker.signal(signal.SIGCONT)
    check(worker.wait(60) == 1, worker.said())
    check_plain(worker.said())
    for word in words:
        check(word in worker.said(), f"{word}: {worker.said()}")
    check("was restored" not in worker.said(), worker.said())


def through_a_reset_of_a_changed_file(at):
    for kind, sinks, flags in (("topic", TOPIC, []), ("rows", ROWS, ["--delete-rows"])):
        folder = at / kind
        folder.mkdir()
        with Broker(folder, *QUICK) as broker:
            produce(broker.address, "in", [{"n": n} for n in range(10)])
            with Worker(folder, pipeline(LOW, sinks), servers=broker.address) as sleeper:
                wait_for(lambda: numbers(folder, broker, sinks) == list(range(5)), "five", 60)
                asleep(sleeper, broker)
                put(folder, broker, pipeline(ALL, sinks), "--to-earliest", *flags)
                ends_when_awake(sleeper, "was reset while this worker was away (ended at",
                                "the fix: start it again: onceflow run p.yaml")
            expected = sorted([*range(10), *(range(5) if kind == "topic" else [])])
            with Worker(folder, pipeline(ALL, sinks), servers=broker.address):
                wait_for(lambda: numbers(folder, broker, sinks) == expected,
                         lambda: f"{numbers(folder, broker, sinks)}", 60)


def through_a_reset_that_keeps_states(at):
    times_ten = "  - { id: s, set: { $.v: '$.v * 10' } }\n"
    new = pipeline(counted("min($.v)", times_ten), TOPIC)
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"k": "a", "v": 3}])
        with Worker(at, pipeline(counted("min($.v)"), TOPIC), servers=broker.address) as sleeper:
            wait_for(lambda: consume(broker.address, "out") == ['{"k":"a","x":3}'], "one", 60)
            asleep(sleeper, broker)
            put(at, broker, new, "--keep-states")
            produce(broker.address, "in", [{"k": "b", "v": 7}])
            ends_when_awake(sleeper, "was reset while this worker was away")
        with Worker(at, new, servers=broker.address):
            wait_for(lambda: consume(broker.address, "out")[1:] == ['{"k":"b","x":70}'],
                     lambda: f"{consume(broker.address, 'out')}", 60)


def through_a_change_of_the_file(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": 1}, {"n": 9}])
        with Worker(at, pipeline(LOW, TOPIC), servers=broker.address) as sleeper:
            wait_for(lambda: numbers(at, broker, TOPIC) == [1], "one", 60)
            asleep(sleeper, broker)
            with Worker(at, pipeline(ALL, TOPIC), servers=broker.address, worker="2") as newer:
                wait_for(newer.is_running, lambda: newer.said(), 60)
                check(newer.stop() == 0, newer.said())
            produce(broker.address, "in", [{"n": 10}])
            ends_when_awake(sleeper, "has another definition by now: one of",
                            "start this one with the file that the pipeline has now")
        with Worker(at, pipeline(ALL, TOPIC), servers=broker.address):
            wait_for(lambda: numbers(at, broker, TOPIC) == [1, 10],
                     lambda: f"{numbers(at, broker, TOPIC)}", 60)


def beside_nothing_new_it_goes_on(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", [{"n": 1}])
        with Worker(at, pipeline(LOW, TOPIC), servers=broker.address) as sleeper:
            wait_for(lambda: numbers(at, broker, TOPIC) == [1], "one", 60)
            asleep(sleeper, broker)
            produce(broker.address, "in", [{"n": 2}])
            sleeper.signal(signal.SIGCONT)
            wait_for(lambda: numbers(at, broker, TOPIC) == [1, 2], lambda: sleeper.said(), 60)


def a_reset_that_another_has_ended_stops(at):
    for kind, sinks, flags, lives in (
            ("topic", TOPIC, ["--to-earliest"], True),
            ("latest", TOPIC, ["--to-latest"], False),
            ("rows", ROWS, ["--to-latest", "--delete-rows"], True)):
        folder = at / kind
        folder.mkdir()
        with Broker(folder, *QUICK) as broker:
            produce(broker.address, "in", [{"n": n} for n in range(10)])
            with Worker(folder, pipeline(ALL, sinks), servers=broker.address) as worker:
                wait_for(lambda: numbers(folder, broker, sinks) == list(range(10)), "ten", 60)
                check(worker.stop() == 0, worker.said())
            process, reading = held_before(folder, broker, 1, flags)
            put(folder, broker, pipeline(ALL, sinks), *flags)
            with Worker(folder, pipeline(ALL, sinks), servers=broker.address) as worker:
                wait_for(worker.is_running, lambda: worker.said(), 60)
                produce(broker.address, "in", [{"n": n} for n in range(10, 15)])
                wait_for(lambda: numbers(folder, broker, sinks)[-1:] == [14], "14", 60)
                if not lives:
                    check(worker.stop() == 0, worker.said())
                before = numbers(folder, broker, sinks)
                said = released(process, reading)
                check("another reset has ended this one" in said, said)
                check(numbers(folder, broker, sinks) == before, "what has run stays")
                if lives:
                    produce(broker.address, "in", [{"n": 15}])
                    wait_for(lambda: numbers(folder, broker, sinks) == [*before, 15],
                             lambda: worker.said(), 60)
                    check(worker.stop() == 0, worker.said())
            onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=folder)


def held_before(at, broker, step, flags):
    """The reset, waiting with its act number `step` told and not done: nothing reads what it
    says. Whoever reads it lets it go on."""
    words = ["reset", "p.yaml", "--bootstrap.servers", broker.address, *flags]
    acts = [line for line in onceflow(*words, at=at).split("\n")
            if line.startswith("  ") and "note: " not in line]
    room = len("resetting pipeline 'p'\n") + sum(len(line.encode()) + 1 for line in acts[:step])
    reading, writing = os.pipe()
    check(fcntl.fcntl(writing, F_SETPIPE_SZ, PAGE) == PAGE, "a pipe of one page")
    os.write(writing, b"x" * (PAGE - room))
    process = subprocess.Popen([ONCEFLOW, *words, "--execute"], cwd=at, stdout=writing,
                               stderr=subprocess.PIPE, text=True)
    os.close(writing)
    wait_for(lambda: is_writing(process), f"its act {step}", 30)
    return process, reading


def released(process, reading):
    drain = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reading, PAGE),
                                                                b"")])
    drain.start()
    said = process.communicate(timeout=60)[1]
    drain.join()
    os.close(reading)
    check(process.returncode == 1, said)
    check_plain(said)
    return said
