"""A relative `file` leads each process to where it was started: a worker whose database is another
one than the others have is refused by name, before half of the rows are in each."""

import sqlite3

from harness import Broker, Worker, check, check_plain, onceflow, produce, wait_for
from harness.changes import pipeline

QUICK = ["--override", "group.initial.rebalance.delay.ms=0", "--override", "num.partitions=4"]
SECONDS = 60


def lite(file, id="sqlite"):
    return f"  - id: {id}\n    sqlite: {{ file: {file}, table: t, columns: {{ n: $.n }} }}\n"


def folder(at, name):
    (at / name).mkdir(exist_ok=True)
    return at / name


def numbers(count):
    return [{"n": number} for number in range(count)]


def rows(file):
    with sqlite3.connect(file, timeout=10) as database:
        return database.execute("SELECT count(*) FROM t").fetchone()[0]


def running(at, broker, text, name, *arguments):
    worker = Worker(folder(at, name), text, *arguments, servers=broker.address, worker=name)
    wait_for(lambda: worker.is_running() or not worker.is_alive(), worker.said, SECONDS)
    check(worker.is_alive(), worker.said())
    return worker


def refused(at, broker, text, name, *arguments):
    with Worker(folder(at, name), text, *arguments, servers=broker.address, worker=name,
                wait=False) as newcomer:
        check(newcomer.wait(SECONDS) == 1, newcomer.said())
        check_plain(newcomer.said())
        return newcomer.said()


def a_worker_started_elsewhere_is_refused_and_the_fix_helps(at):
    for number, (text, flags) in enumerate([
            (pipeline(sinks=lite("a.db")), []),
            (pipeline(sinks=lite("./a.db")), ["--rolling-change"]),
            (pipeline(sinks="  - kafka: { topic: out }\n" + lite("a.db", "s")), [])]):
        here = folder(at, str(number))
        with Broker(here, *QUICK) as broker:
            produce(broker.address, "in", numbers(20))
            with running(here, broker, text, "1") as worker:
                said = refused(here, broker, text, "2", *flags)
                for word in ("pipeline 'p' has a worker with another database: worker '1'",
                             f"writes {here}/1/a.db there, and {here}/2/a.db here",
                             "absolute path"):
                    check(word in said, f"{word}: {said}")
                check(not (here / "2" / "a.db").exists(), "a database was made")
                said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address,
                                at=here / "2", code=1)
                check("run refuses: pipeline 'p' has a worker with another database" in said, said)
                # In the directory of the other; each has all partitions or a part of them.
                with Worker(here / "1", None, *flags, servers=broker.address, worker="2") as second:
                    wait_for(second.is_running, second.said, SECONDS)
                    produce(broker.address, "in", numbers(20))
                    wait_for(lambda: rows(here / "1" / "a.db") == 40, worker.said, SECONDS)
                    check(second.stop() == 0 and worker.is_alive(), second.said())
                check(worker.stop() == 0, worker.said())


def one_file_by_several_ways_is_one(at):
    """Through a link, absolute, and with dots."""
    target = folder(at, "shared")
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", numbers(20))
        ways = {"1": f"{target}/a.db", "2": "../shared/a.db", "3": "linked/a.db", "4": "b.db"}
        (folder(at, "3") / "linked").symlink_to(target)
        workers = [running(at, broker, pipeline(sinks=lite(ways["1"])), "1")]
        (folder(at, "4") / "b.db").symlink_to(target / "a.db")
        for name in ("2", "3", "4"):
            workers.append(running(at, broker, pipeline(sinks=lite(ways[name])), name,
                                   "--rolling-change"))
        produce(broker.address, "in", numbers(20))
        wait_for(lambda: rows(target / "a.db") == 40, workers[0].said, SECONDS)
        for worker in workers:
            check(worker.stop() == 0, worker.said())
            worker.kill()


def of_two_that_start_at_once_one_ends(at):
    text = pipeline(sinks=lite("a.db"))
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", numbers(20))
        with (Worker(folder(at, "1"), text, servers=broker.address, worker="1", wait=False) as one,
              Worker(folder(at, "2"), text, servers=broker.address, worker="2", wait=False) as two):
            wait_for(lambda: not one.is_alive() or not two.is_alive(),
                     lambda: f"{one.said()}\n{two.said()}", SECONDS)
            left, gone = (one, two) if one.is_alive() else (two, one)
            check("has a worker with another database" in gone.said(), gone.said())
            wait_for(lambda: left.get("/status") and left.is_running(), left.said, SECONDS)
            check(left.stop() == 0, left.said())


def one_that_has_ended_is_in_nobodys_way(at):
    text = pipeline(sinks=lite("a.db"))
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "in", numbers(20))
        with running(at, broker, text, "1") as first:
            wait_for(lambda: rows(at / "1" / "a.db") == 20, first.said, SECONDS)
            check(first.stop() == 0, first.said())
        running(at, broker, text, "1").kill()
        with running(at, broker, text, "2") as second:
            wait_for(lambda: rows(at / "2" / "a.db") == 20, second.said, SECONDS)
            check("another database" in second.said(), second.said())  # written again, and said so
