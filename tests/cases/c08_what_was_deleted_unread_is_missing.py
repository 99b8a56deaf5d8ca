"""C8, D19: what was deleted before it was read is missing, and not passed over in silence."""

import json
import re
import sqlite3

from harness import (SMALL_SEGMENTS, Worker, check, cluster, consume, onceflow, produce,
                     shared_kafka, wait_for)
from harness.kafka_admin import create_topic, delete_records, move_position

SOURCE = "source: { kafka: { topics: [in], group.id: g } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"
TOPIC = f"name: p\n{SOURCE}\nsinks: [ kafka: {{ topic: out }} ]\n"
EAGER = ["--override", "log.retention.check.interval.ms=50"]


def numbers(first, last):
    """So large that each batch begins a segment of its own."""
    return [{"n": number, "pad": "x" * 3000 if number == first else ""}
            for number in range(first, last)]


def left(broker):
    return [json.loads(value)["n"] for value in consume(broker.address, "in")]


def rows(here):
    with sqlite3.connect(here / "out.db") as database:
        return [row[0] for row in database.execute("SELECT n FROM t ORDER BY n")]


def audited(at, broker, code, *arguments):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, *arguments, at=at,
                    code=code)


def ten_read_and_five_deleted_unread(at, pipeline):
    """The stage is at 10, the log begins at 15; returns the broker, which runs."""
    with cluster(at, *small_segments()) as broker:
        create_small_segments(broker)
        produce(broker.address, "in", numbers(0, 10))
        with Worker(at, pipeline, servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["totals"]["records_in"] >= 10, "ten records", 30)
            check(worker.stop() == 0, worker.said())
        produce(broker.address, "in", numbers(10, 15))
        produce(broker.address, "in", numbers(15, 16))
        return without_all_before(at, broker, 15)


def small_segments():
    return () if shared_kafka() else SMALL_SEGMENTS


def create_small_segments(broker):
    # Apache Kafka has none below 1 MiB.
    small = {} if shared_kafka() else {"segment_bytes": 4096, "retention_bytes": 1}
    create_topic(broker.address, "in", 1, **small)


def without_all_before(at, broker, offset):
    """The broker to go on with: retention takes what lies before this offset; on Apache Kafka an
    administrator does."""
    if shared_kafka():
        delete_records(broker.address, "in", 0, offset)
    else:
        check(broker.stop() == 0, broker.said())
        broker = cluster(at, *EAGER)
    wait_for(lambda: left(broker) == [offset], f"offset {offset} alone", 20)
    return broker


def the_gap_is_named_by_the_run_and_by_the_audit_and_passed_on_purpose(at):
    for name, pipeline in [("lite", LITE), ("topic", TOPIC)]:
        here = at / name
        here.mkdir()
        with ten_read_and_five_deleted_unread(here, pipeline) as broker:
            said = audited(here, broker, 1)
            check("missing: in-0 offsets 10..14 were deleted before stage" in said, said)
            check("clean" not in said, said)
            with Worker(here, None, servers=broker.address, wait=False) as worker:
                check(worker.wait(30) == 1, "it did not stop")
                check("in-0: offsets 10..14 were deleted before this stage had read them"
                      in worker.said() and "--skip-deleted" in worker.said(), worker.said())
            passed = "in-0: offsets 10..14 were deleted before this stage had read them, and are"
            said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address,
                            "--skip-deleted", at=here)
            check(passed in said, said)
            with Worker(here, None, "--skip-deleted", servers=broker.address) as worker:
                wait_for(lambda: worker.stage()["totals"]["records_in"] == 1,
                         "the record after the gap", 30)
                check(worker.stop() == 0, worker.said())
                check(re.search(r'stage=\S+ event="skipped": ' + passed, worker.said()),
                      worker.said())
            if pipeline == LITE:
                check(rows(here) == [*range(10), 15], rows(here))
            said = audited(here, broker, 0)
            check("11 input records accounted for, 5 offsets skipped by operator" in said, said)
            skipped = "skipped by operator: in-0 offsets 10..14, by onceflow run --skip-deleted"
            check(skipped in said, said)
            check("clean —" not in said, said)
            report = json.loads(audited(here, broker, 0, "--json"))
            check(report["verdict"] == "partly" and report["skipped_offsets"] == 5, report)


def a_position_of_a_table_moved_over_the_gap_by_hand_is_a_finding(at):
    with ten_read_and_five_deleted_unread(at, LITE) as broker:
        with sqlite3.connect(at / "out.db") as database:
            database.execute("UPDATE onceflow_positions SET next_offset = 15")
        with Worker(at, None, servers=broker.address, wait=False) as worker:
            check(worker.wait(30) == 1, "it did not stop")
            check("the position is offset 15 in onceflow_positions, but the newest receipt of this "
                  "stage ended at offset 10" in worker.said(), worker.said())
        said = audited(at, broker, 1)
        check("in-0 offsets 10..14 were passed without a receipt" in said, said)


def a_position_of_a_group_moved_by_hand_is_a_finding(at):
    with ten_read_and_five_deleted_unread(at, TOPIC) as broker:
        move_position(broker.address, "g", "in", 0, 15)
        with Worker(at, None, servers=broker.address, wait=False) as worker:
            check(worker.wait(30) == 1, "it did not stop")
            check("the position is offset 15 in group 'g', but the newest receipt of this stage "
                  "ended at offset 10" in worker.said(), worker.said())
        said = audited(at, broker, 1)
        check("in-0 offsets 10..14 were passed without a receipt" in said, said)


def what_was_read_and_then_deleted_is_no_finding(at):
    with cluster(at, *small_segments()) as broker:
        create_small_segments(broker)
        produce(broker.address, "in", numbers(0, 10))
        produce(broker.address, "in", numbers(10, 11))
        with Worker(at, LITE, servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["totals"]["records_in"] >= 11, "all records", 30)
            check(worker.stop() == 0, worker.said())
        broker = without_all_before(at, broker, 10)
    with broker:
        said = audited(at, broker, 0)
        check("clean — 11 input records accounted for to the last row" in said, said)


def rows_of_a_lost_database_that_cannot_be_written_again_are_named_or_skipped(at):
    """Also of a sink that comes back, which the file did not name in between."""
    columns = "{ id: lite, sqlite: { file: out.db, table: t, " + COLUMNS + " } }"
    both = f"name: p\n{SOURCE}\nsinks: [ kafka: {{ topic: out }}, {columns} ]\n"
    for name in ("lost", "put back"):
        here = at / name.replace(" ", "-")
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 1)
            produce(broker.address, "in", numbers(0, 10))
            with Worker(here, both, servers=broker.address) as worker:
                wait_for(lambda: worker.stage("lite")["totals"]["records_in"] >= 10, "ten", 30)
                check(worker.stop() == 0, worker.said())
            for end in ("", "-wal", "-shm"):
                (here / f"out.db{end}").unlink(missing_ok=True)
            if name == "put back":
                with Worker(here, TOPIC, servers=broker.address) as worker:
                    wait_for(worker.is_running, worker.said, 30)
                    check(worker.stop() == 0, worker.said())
            delete_records(broker.address, "out", 0, 6)
            (here / "p.yaml").write_text(both, encoding="utf-8")
            flags = ["--bootstrap.servers", broker.address]
            words = ("stage 'lite': out-0: offsets 0..5 were deleted before this stage had read "
                     "them", "--skip-deleted")
            said = onceflow("plan", "p.yaml", *flags, at=here, code=1)
            check("which has read out-0 up to offset 1" in said, said)
            with Worker(here, None, servers=broker.address, wait=False) as worker:
                check(worker.wait(30) == 1, worker.said())
                for word in words:
                    check(word in said and word in worker.said(), f"{word}: {said} {worker.said()}")
            with Worker(here, None, "--skip-deleted", servers=broker.address) as worker:
                wait_for(lambda: worker.stage("lite")["totals"]["records_in"] >= 4, "four", 30)
                check(worker.stop() == 0, worker.said())
            check(rows(here) == [6, 7, 8, 9], rows(here))
            said = audited(here, broker, None, "--allow-foreign")
            check("skipped by operator: out-0 offsets 0..5" in said, said)


def the_running_audit_says_it_too(at):
    with ten_read_and_five_deleted_unread(at, LITE) as broker:
        with Worker(at, None, "--skip-deleted", "--audit.interval.ms", "100",
                    servers=broker.address) as worker:
            wait_for(lambda: worker.status()["audit"]["state"] == "partly", "its state", 30)
            check(worker.metric('onceflow_audit_state{pipeline="p",state="partly"}') == 1,
                  worker.get("/metrics"))
