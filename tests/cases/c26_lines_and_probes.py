"""C26, C27: lines of run and broker carry time, level, stage and event, as text or JSON; a mistyped
source is waited for by name; probes and an address of the status; unknown is unknown."""

import json
import re
import urllib.request

from harness import Broker, Worker, check, check_plain, free_port, kcat, onceflow, produce, wait_for
from harness.kafka_admin import create_topic, delete_topic

PIPELINE = """name: p
source: { kafka: { topics: [ordesr] } }
sinks: [ { kafka: { topic: out } } ]
"""
QUICK = ["--override", "group.initial.rebalance.delay.ms=0"]
LINE = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO |WARN |ERROR) (run|broker)'
                  r'( stage=\S+)? event="[a-z ]+": .+$')


def text_lines_have_time_level_stage_and_event(at):
    with Broker(at, *QUICK) as broker:
        produce(broker.address, "ordesr", ["a"])
        with Worker(at, PIPELINE, servers=broker.address) as worker:
            wait_for(worker.is_running, "running")
            check(worker.stop() == 0, worker.said())
            for line in worker.said().splitlines():
                check(LINE.match(line), line)
            for event in ["starting", "recovering", "running", "stopping", "stopped"]:
                check(f'event="{event}"' in worker.said(), worker.said())
        check(broker.stop() == 0, broker.said())
        for line in broker.said().splitlines():
            check(LINE.match(line), line)
        for event in ["starting", "ready", "stopping", "stopped"]:
            check(f'event="{event}"' in broker.said(), broker.said())


def json_lines_are_json_each(at):
    with Broker(at, *QUICK, "--log-format", "json") as broker:
        produce(broker.address, "ordesr", ["a"])
        with Worker(at, PIPELINE, "--log-format", "json", servers=broker.address) as worker:
            wait_for(worker.is_running, "running")
            worker.stop()
            lines = [json.loads(line) for line in worker.said().splitlines()]
            check(all({"time", "level", "component", "event", "message"} <= set(line)
                      for line in lines), lines)
            check("running" in {line["event"] for line in lines if line.get("stage")}, lines)
        broker.stop()
        check([json.loads(line) for line in broker.said().splitlines()], broker.said())


def a_mistyped_source_is_waited_for_by_name_and_not_made(at):
    with Broker(at, *QUICK) as broker:
        with Worker(at, PIPELINE, servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["state"] == "waiting for topic",
                     lambda: str(worker.stage()))
            check(worker.stage()["cause"] == "ordesr, which does not exist", worker.stage())
            check(worker.said().count('event="waiting for topic"') == 1, worker.said())
            check("no stage is running" in worker.status()["summary"], worker.status()["summary"])
            check("lag unknown" in worker.status()["summary"], worker.status()["summary"])
            check(worker.get("/readyz") is None, "it is ready")
            check(worker.get("/healthz") is not None, "it is not alive")
            check("ordesr" not in kcat(broker.address, "-L"), "it made the topic")
            # The fix that the message gives.
            produce(broker.address, "ordesr", ["a"])
            wait_for(worker.is_running, lambda: str(worker.stage()))
            check(worker.get("/readyz") is not None, "it is not ready")
            check_plain(worker.said())


COUNTS = """name: p
source: { kafka: { topics: [in] } }
steps: [ { id: c, key: $.k, aggregate: { n: count(*) } } ]
sinks: [ { kafka: { topic: out } } ]
"""


def a_topic_that_is_deleted_while_it_is_read_is_waited_for_by_name(at):
    for stage, topic in enumerate(["in", "p-c-repartition"]):
        folder = at / topic
        folder.mkdir()
        with Broker(folder, *QUICK, "--override", "num.partitions=2") as broker:
            create_topic(broker.address, "in", 2)
            produce(broker.address, "in", [{"k": number} for number in range(20)])
            with Worker(folder, COUNTS, servers=broker.address) as worker:
                at_work = lambda: worker.status()["stages"][stage]
                wait_for(lambda: at_work()["state"] == "running"
                         and at_work()["totals"]["records_in"] >= 20, lambda: str(at_work()))
                delete_topic(broker.address, topic)
                wait_for(lambda: at_work()["state"] == "waiting for topic",
                         lambda: str(at_work()), 60)
                check(at_work()["cause"] == f"{topic}, which does not exist", at_work())
                check(f"{topic}, which does not exist" in worker.said(), worker.said())
                check("another topic of that name is refused" in worker.said(), worker.said())


def the_status_is_where_it_is_asked_for(at):
    port = free_port()
    with Broker(at, "--status-port", port, "--status-address", "127.0.0.2") as broker:
        check(broker.port, broker.said())
        line = broker.process.stdout.readline()
        check(f"http://127.0.0.2:{port}/status" in line, line)
    said = onceflow("broker", "--data-dir", at / "other", "--port", 0, "--status-port", 0,
                    "--status-address", "192.0.2.1", at=at, code=1)
    check("--status-address 192.0.2.1" in said, said)


def a_brokers_probes_answer(at):
    port = free_port()
    with Broker(at, "--status-port", port) as broker:
        check(broker.port, broker.said())
        for path in ["healthz", "readyz"]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                check(answer.status == 200, path)
