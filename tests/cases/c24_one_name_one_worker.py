"""C24: a second process with the name of a worker that lives is refused, with its address; a
worker that was killed starts again at once; --take-over is for those who mean it."""

import time

from harness import Worker, check, check_plain, cluster, produce, wait_for

PIPELINE = """name: p
source: { kafka: { topics: [orders], session.timeout.ms: 20000 } }
steps: [ { id: s, key: key, aggregate: { n: count(*) } } ]
sinks: [ { kafka: { topic: out } } ]
"""
QUICK = ["--override", "group.initial.rebalance.delay.ms=0"]


def running(at, broker, *arguments, worker="2"):
    started = Worker(at, PIPELINE, *arguments, servers=broker.address, worker=worker)
    wait_for(started.is_running, lambda: f"running: {started.said()}")
    return started


def the_newcomer_is_refused_and_the_older_one_goes_on(at):
    with cluster(at, *QUICK) as broker:
        produce(broker.address, "orders", ["k:1"], "-K", ":")
        with running(at, broker) as older:
            home = at / "newcomer"
            home.mkdir()
            with Worker(home, PIPELINE, servers=broker.address, worker="2",
                        wait=False) as newcomer:
                check(newcomer.wait(30) == 1, newcomer.said())
                for word in ["worker '2' is running already", f"process {older.process.pid}",
                             "127.0.0.1", "--take-over", "--worker"]:
                    check(word in newcomer.said(), f"{word}: {newcomer.said()}")
                check_plain(newcomer.said())
            check(older.is_alive() and older.is_running(), older.said())
            check("rebalance" not in older.said(), older.said())
            # The fix that the message gives.
            with Worker(home, PIPELINE, servers=broker.address, worker="3") as other:
                wait_for(lambda: other.get("/readyz"), lambda: f"ready: {other.said()}")
                check(older.is_alive(), older.said())


def take_over_ends_the_older_one_by_name(at):
    with cluster(at, *QUICK) as broker:
        produce(broker.address, "orders", ["k:1"], "-K", ":")
        with running(at, broker) as older:
            home = at / "newcomer"
            home.mkdir()
            with running(home, broker, "--take-over") as newcomer:
                code = older.wait(30)
                check(code == 1, f"exit code {code}: {older.said()}")
                check("another" in older.said(), older.said())
                # The older one may have fenced it once more before it heard that it is out.
                wait_for(newcomer.is_running, lambda: newcomer.said())


def a_killed_worker_starts_again_at_once(at):
    with cluster(at, *QUICK) as broker:
        produce(broker.address, "orders", ["k:1"], "-K", ":")
        for _ in range(3):
            worker = running(at, broker)
            worker.kill()
            worker.__exit__()
        started = time.monotonic()
        with running(at, broker) as worker:
            took = time.monotonic() - started
            check(took < 10, f"{took:.1f} s, with a session of 20 s")
            check(worker.stop() == 0, worker.said())


def a_worker_whose_broker_was_killed_too_starts_again_at_once(at):
    with cluster(at, *QUICK, own=True) as broker:
        port = broker.port
        produce(broker.address, "orders", ["k:1"], "-K", ":")
        worker = running(at, broker)
        worker.kill()
        worker.__exit__()
        broker.kill()
        with cluster(at, *QUICK, port=port) as again:
            started = time.monotonic()
            with running(at, again):
                took = time.monotonic() - started
                check(took < 10, f"{took:.1f} s, with a session of 20 s")
