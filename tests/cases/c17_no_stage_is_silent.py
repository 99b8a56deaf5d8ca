"""C17: a stage that makes no progress says so, why, and what to do; once when it begins and once
when it is over; and SIGTERM ends it within 5 s, whatever is away."""

import os
import signal
import socket
import sqlite3
import subprocess
import time

from harness import (Postgres, Worker, check, cluster, consume, free_port, onceflow, produce,
                     wait_for)
from harness.kafka_admin import create_topic, delete_topic
from harness.rdkafka import OpenTransaction

TO_TOPIC = """name: p
source: { kafka: { topics: [orders] } }
sinks: [ { kafka: { topic: out } } ]
"""
TO_POSTGRES = """name: p
source: { kafka: { topics: [orders] } }
sinks: [ { postgres: { dsn: "${env:DSN}", table: t } } ]
"""


TO_SQLITE = """name: p
source: {{ kafka: {{ topics: [orders] }} }}
{steps}sinks: [ {{ sqlite: {{ file: o.db, table: t }} }} ]
"""


QUICK = ["--override", "group.initial.rebalance.delay.ms=0"]


def lines(worker, event):
    return [line for line in worker.said().splitlines() if f'event="{event}"' in line]


def state(worker, wanted, seconds=30):
    wait_for(lambda: worker.stage()["state"] == wanted, lambda: f"{wanted}: {worker.stage()}",
             seconds)
    return worker.stage()


def ends_in_time(worker):
    started = time.monotonic()
    code = worker.stop(20)
    took = time.monotonic() - started
    check(took <= 5, f"SIGTERM took {took:.1f} s")
    check(code == 0, f"exit code {code}: {worker.said()}")


def a_database_that_is_not_there_is_said_once(at):
    port = free_port()
    with cluster(at, *QUICK) as broker:
        produce(broker.address, "orders", ["a", "b"])
        dsn = f"postgresql://nobody@127.0.0.1:{port}/none?connect_timeout=2"
        with Worker(at, TO_POSTGRES, servers=broker.address, environment={"DSN": dsn}) as worker:
            stage = state(worker, "retrying")
            check("refused" in stage["cause"], stage)
            check(stage["what_to_do"], stage)
            check(stage["lag"] is None or stage["lag"] == 2, stage)
            time.sleep(3)
            check(len(lines(worker, "retrying")) == 1, worker.said())
            check("no stage is running" in worker.status()["summary"], worker.status()["summary"])
            ends_in_time(worker)


def a_database_that_comes_back_is_said_too(at):
    server = Postgres("fsync=off")
    try:
        with cluster(at, *QUICK) as broker:
            produce(broker.address, "orders", ["a"])
            with Worker(at, TO_POSTGRES, servers=broker.address,
                        environment={"DSN": server.dsn}) as worker:
                state(worker, "running")
                wait_for(lambda: worker.stage()["totals"]["commits"] >= 1, "a commit")
                server.stop()
                produce(broker.address, "orders", ["b"])
                stage = state(worker, "retrying")
                check(stage["state_age_seconds"] is not None and stage["cause"], stage)
                recoveries = stage["totals"]["recoveries"]
                wait_for(lambda: worker.stage()["totals"]["recoveries"] >= recoveries + 2,
                         lambda: str(worker.stage()))
                produce(broker.address, "orders", ["c", "d"])
                # What has come since it stopped reading is behind, too.
                wait_for(lambda: worker.stage()["lag"] == 3, lambda: str(worker.stage()))
                check("3 records behind" in worker.status()["summary"], worker.status()["summary"])
                check(worker.metric("onceflow_stage_lag_records") == 3, worker.get("/metrics"))
                check(worker.stage()["state"] == "retrying", worker.stage())
                server.start()
                state(worker, "running", 40)
                wait_for(lambda: server.query("select count(*) from t") == [["4"]], "four rows")
                wait_for(lambda: worker.stage()["lag"] == 0, lambda: str(worker.stage()))
                check(len(lines(worker, "retrying")) == 1, worker.said())
                check("was retrying for" in lines(worker, "running")[-1], worker.said())
                ends_in_time(worker)
    finally:
        server.close()


def a_frozen_database_does_not_keep_the_process(at):
    server = Postgres("fsync=off")
    try:
        with cluster(at, *QUICK) as broker:
            produce(broker.address, "orders", ["a"])
            with Worker(at, TO_POSTGRES, servers=broker.address,
                        environment={"DSN": server.dsn}) as worker:
                state(worker, "running")
                wait_for(lambda: worker.stage()["totals"]["commits"] >= 1, "a commit")
                signal_all(server, signal.SIGSTOP)
                produce(broker.address, "orders", ["b"])
                wait_for(lambda: "committing" in (worker.stage()["doing"] or ""), worker.stage)
                produce(broker.address, "orders", ["c", "d"])
                wait_for(lambda: worker.stage()["lag"] == 3, lambda: str(worker.stage()))
                ends_in_time(worker)
            # The same at the claim.
            with Worker(at, None, servers=broker.address,
                        environment={"DSN": server.dsn}) as worker:
                state(worker, "recovering")
                wait_for(lambda: "claiming" in (worker.stage()["doing"] or ""), worker.stage)
                ends_in_time(worker)
    finally:
        signal_all(server, signal.SIGCONT)
        server.close()


def signal_all(server, number):
    found = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True,
                           check=False)
    for pid in [server.pid, *map(int, found.stdout.split())]:
        os.kill(pid, number)


def a_broker_that_is_not_there_is_said_once_and_once_when_it_is(at):
    port = free_port()
    with Worker(at, TO_TOPIC, servers=f"127.0.0.1:{port}") as worker:
        stage = state(worker, "retrying")
        check(str(port) in stage["cause"], stage)
        check(stage["lag"] is None, stage)
        check("lag unknown" in worker.status()["summary"], worker.status()["summary"])
        check(worker.metric("onceflow_stage_lag_records") is None, worker.get("/metrics"))
        time.sleep(2)
        check(len(lines(worker, "retrying")) == 1, worker.said())
        with cluster(at, *QUICK, port=port) as broker:
            state(worker, "waiting for topic")
            produce(broker.address, "orders", ["a"])
            state(worker, "running")
            broker.kill()
            state(worker, "retrying")
            wait_for(lambda: "no broker answers" in (worker.stage()["cause"] or ""),
                     lambda: str(worker.stage()))
            # Where its input ends is not known any more.
            wait_for(lambda: worker.stage()["lag"] is None, lambda: str(worker.stage()), 20)
            check("lag unknown" in worker.status()["summary"], worker.status()["summary"])
            ends_in_time(worker)


def a_broker_that_is_never_there_does_not_keep_the_process(at):
    with Worker(at, TO_TOPIC, servers=f"127.0.0.1:{free_port()}") as worker:
        ends_in_time(worker)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        with Worker(at, None, servers=address) as worker:
            time.sleep(0.5)
            ends_in_time(worker)


def an_address_that_is_none_ends_every_command(at):
    (at / "p.yaml").write_text(TO_TOPIC, encoding="utf-8")
    for address in ("127.0.0.1:x", "127.0.0.1:99999", "localhost:"):
        for command in (["run", "p.yaml"], ["plan", "p.yaml"], ["audit", "p.yaml"],
                        ["reset", "p.yaml", "--to-earliest"]):
            said = onceflow(*command, "--bootstrap.servers", address, at=at, code=2, seconds=20)
            check(address in said, f"{command}: {said}")


def a_changed_file_that_waits_for_its_table_says_so(at):
    with Worker(at, TO_SQLITE.format(steps="")) as worker:
        produce(worker.address, "orders", [{"v": 1}])
        wait_for(lambda: worker.stage()["totals"]["commits"] > 0, worker.said)
        check(worker.stop() == 0, worker.said())
    holder = sqlite3.connect(at / "o.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode = exclusive")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE held (a)")
    with Worker(at, TO_SQLITE.format(steps="steps: [ { id: w, where: $.v > 0 } ]\n"),
                wait=False) as worker:
        wait_for(lambda: len(lines(worker, "still looking")) == 1, worker.said)
        check("another transaction may hold the table or the file" in worker.said(),
              worker.said())
        holder.execute("ROLLBACK")
        holder.close()
        wait_for(worker.is_running, worker.said)
        check(len(lines(worker, "still looking")) == 1, worker.said())
        check(worker.stop() == 0, worker.said())


def a_foreign_open_transaction_is_named_with_what_it_holds_back(at):
    with cluster(at, *QUICK) as broker:
        produce(broker.address, "orders", ["a"])
        with Worker(at, TO_TOPIC, servers=broker.address) as worker:
            state(worker, "running")
            with OpenTransaction(broker.port, "payer", "orders", 5) as hanging:
                stage = state(worker, "held back")
                check("'payer'" in stage["cause"] and "5 records of orders-0" in stage["cause"],
                      stage)
                holder = stage["held_back_by"][0]
                check(holder["transactional_id"] == "payer" and
                      holder["producer_id"] is not None and holder["timeout_ms"] == 120_000,
                      holder)
                check(stage["lag"] >= 5 and stage["positions"][0]["held_back"] >= 5, stage)
                time.sleep(3)
                check(len(lines(worker, "held back")) == 1, worker.said())
                hanging.commit()
                state(worker, "running")
            check(len(lines(worker, "held back")) == 1, worker.said())
            wait_for(lambda: worker.stage()["lag"] == 0, lambda: str(worker.stage()))
            ends_in_time(worker)


def a_topic_that_it_writes_to_and_that_is_deleted_is_named(at):
    """A sink's topic, which is made again, and it goes on by itself; a changelog, and receipts."""
    counts = TO_TOPIC.replace(
        "sinks:", "steps: [ { id: k, key: $.k, aggregate: { n: count(*) } } ]\nsinks:")
    for name, (text, topic, stage, is_made_again) in {
            "sink": (TO_TOPIC, "out", "kafka", True),
            "changelog": (counts, "p-k-changelog", "k", False),
            "receipts": (TO_TOPIC, "p-receipts", "kafka", False)}.items():
        here = at / name
        here.mkdir()
        with cluster(here, *QUICK) as broker:
            produce(broker.address, "orders", [{"k": 1}] * 3)
            with Worker(here, text, servers=broker.address) as worker:
                wait_for(lambda: worker.stage(stage)["totals"]["commits"] >= 1, worker.said, 30)
                delete_topic(broker.address, topic)
                produce(broker.address, "orders", [{"k": 2}] * 3)
                wait_for(lambda: worker.stage(stage)["state"] == "waiting for topic",
                         lambda: f"{worker.stage(stage)} {worker.said()}", 15)
                shown = worker.stage(stage)
                check(topic in shown["cause"] and "does not exist" in shown["cause"], shown)
                check("onceflow run p.yaml --bootstrap.servers" in shown["what_to_do"], shown)
                check(f"{topic}, which does not exist" in worker.said(), worker.said())
                if is_made_again:
                    create_topic(broker.address, topic, 1)
                    wait_for(lambda: len(consume(broker.address, topic)) == 3,
                             lambda: f"{worker.stage(stage)} {worker.said()}", 60)
                    state(worker, "running", 60)
                ends_in_time(worker)
