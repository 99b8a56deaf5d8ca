"""What a log has lost is never taken for something else: not by a worker that finds it damaged, nor
by one that goes on with what `onceflow salvage` has saved, nor by the audit."""

import json
import re
import shlex
import shutil
import sqlite3
import time

from harness import Broker, Worker, audit, check, consume, onceflow, produce, wait_for
from harness.changes import plan, reset
from harness.damage import NOTE, flip, segments
from harness.kafka_admin import create_topic
from harness.rdkafka import OpenTransaction

TOTALS = """name: p
source: { kafka: { topics: [in] } }
steps: [ { id: s, key: $.k, aggregate: { n: count(*) } } ]
sinks: [ { kafka: { topic: out } }, { sqlite: { file: o.db, table: t, mode: upsert } } ]
"""
CHANGELOG = "p-s-changelog"
ROWS = """name: p
source: { kafka: { topics: [in] } }
sinks: [ { sqlite: { file: o.db, table: t, columns: { k: $.k } } } ]
"""


def table(at, rows="k, n"):
    try:
        with sqlite3.connect(at / "o.db") as database:
            return database.execute(f"SELECT {rows} FROM t ORDER BY 1").fetchall()
    except sqlite3.Error:
        return []


def count(at, commits, text=TOTALS):
    """Runs it; each commit is a list of keys, and is in the table before the next one comes."""
    totals = dict(table(at))
    with Worker(at, text) as worker:
        for keys in commits:
            produce(worker.address, "in", [{"k": key} for key in keys], "-p", "0")
            for key in keys:
                totals[key] = totals.get(key, 0) + 1
            wait_for(lambda: dict(table(at)) == totals, lambda: f"{totals} in {table(at)}")
        check(worker.stop() == 0, worker.said())
        return worker.said()


def batches(at, topic):
    """(byte, first offset) of each batch with records in the topic's first segment."""
    said = onceflow("dump", segments(at / "data", topic)[0], at=at)
    found = [(int(place), int(base)) for place, base in
             re.findall(r"^(\d+) .*batch base_offset=(\d+)", said, re.M)]
    check(found, said)
    return found


def damage(at, topic, which):
    place, _ = batches(at, topic)[which]
    flip(segments(at / "data", topic)[0], place + 75)


def salvage(here):
    """What is lost; here/data is what was saved."""
    report = json.loads(onceflow("salvage", "data", "--to", "new", "--execute", "--json", at=here,
                                 code=1))
    shutil.rmtree(here / "data")
    (here / "new").rename(here / "data")
    return [(each["topic"], each["from"], each["to"]) for each in report["lost"]]


def offsets(topic, first, last):
    """As the audit names them."""
    return f"{topic}-0 offset {first}" if first == last else f"{topic}-0 offsets {first}..{last}"


def refuses(at, words, text=TOTALS):
    said = plan(at, text, 1)
    check(words in said and "salvage" in said, said)
    with Worker(at, text, wait=False) as worker:
        check(worker.wait() == 1 and words in worker.said(), worker.said())
    return said


def typed(at, said, to):
    """The fix that `said` names; where it leaves a choice, rows are deleted."""
    fix = re.search(rf"onceflow (reset p\.yaml [^;]*{to} [^;]*?--execute)", said).group(1)
    return onceflow(*shlex.split(re.sub(r"\(.*?\)", "--delete-rows", fix)), at=at)


def a_state_that_has_lost_records_does_not_go_on(at):
    for which in [0, -1]:
        place = at / str(which)
        place.mkdir()
        count(place, [["north"] * 5 + ["south"] * 5, ["north"]])
        damage(place, CHANGELOG, which)
        lost = salvage(place)
        check([topic for topic, *_ in lost] == [CHANGELOG], lost)
        _, first, last = lost[0]
        words = f"changelog {CHANGELOG}-0 offsets {first}..{last} are lost"
        said = refuses(place, words)
        check(table(place) == [("north", 6), ("south", 5)], table(place))
        found = audit(place, code=1)
        check(f"missing: {offsets(CHANGELOG, first, last)}: lost" in found, found)
        typed(place, said, "--to-earliest")
        with Worker(place, TOTALS):
            wait_for(lambda: table(place) == [("north", 6), ("south", 5)], lambda: table(place))
        audit(place)


def a_changelog_lost_to_its_end_does_not_go_on(at):
    """The whole segment, of which nothing is left."""
    count(at, [["north"] * 5, ["south"]])
    segments(at / "data", CHANGELOG)[0].unlink()
    salvage(at)
    refuses(at, f"changelog {CHANGELOG}-0 offsets 0..")


def a_stage_goes_on_after_what_it_has_read_and_the_log_has_lost(at):
    count(at, [["north"] * 5, ["north"]])
    _, last = batches(at, "in")[-1]
    damage(at, "in", -1)
    lost = salvage(at)
    check(lost == [("in", last, last)], lost)
    said = refuses(at, f"in-0 offsets {last}..{last} have lost records")
    check("restored from an older copy" not in said, said)
    told = reset(at, "--keep-states", "--execute", code=1)
    check("still refuses" in told and "done:" not in told, told)
    told = typed(at, said, "--to-current")
    check("done:" in told and "records that the log has lost" in told, told)
    plan(at, TOTALS, 0)
    count(at, [["north"]])
    check(table(at) == [("north", 7)], table(at))
    found = audit(at, code=1)
    missing = [line for line in found.splitlines() if "missing" in line]
    check(f"missing: {offsets('in', last, last)}: lost" in found, found)
    check(not any("never accounted" in line for line in missing), found)


def a_table_goes_on_after_results_that_are_lost(at):
    """The sink's own input: what the stage before it has written."""
    count(at, [["north"] * 5, ["south"]])
    damage(at, "out", -1)
    salvage(at)
    said = refuses(at, "have lost records that this stage has read last")
    check("stage 'sqlite': out-0 offsets" in said, said)
    told = reset(at, "--to-current", "--execute")
    check("done:" in told, told)
    count(at, [["north"]])
    check(table(at) == [("north", 6), ("south", 1)], table(at))


def lost_records_that_were_not_read_are_told(at):
    count(at, [["north"] * 5])
    with Broker(at) as broker:
        for _ in range(3):
            produce(broker.address, "in", [{"k": "north"}], "-p", "0")
        broker.stop()
    _, last = batches(at, "in")[-1]
    damage(at, "in", -2)
    salvage(at)
    with Worker(at, TOTALS) as worker:
        wait_for(lambda: table(at) == [("north", 7)], lambda: table(at))
        line = next(line for line in worker.said().splitlines() if "lost records" in line)
        check("WARN" in line and f"in-0 offsets {last - 1}..{last - 1} are lost" in line, line)
    check(f"missing: {offsets('in', last - 1, last - 1)}" in audit(at, code=1), "not missing")


def what_a_pipeline_keeps_of_itself_is_missing(at):
    for topic in ["p-definitions", "p-receipts", "p-s-repartition"]:
        place = at / topic
        place.mkdir()
        count(place, [["north"] * 5, ["south"]])
        damage(place, topic, -1)
        _, first, last = salvage(place)[0]
        found = audit(place, code=1)
        check(f"missing: {offsets(topic, first, last)}: lost" in found, found)


def a_damaged_changelog_is_there(at):
    count(at, [["north"] * 5, ["north"]])
    damage(at, CHANGELOG, -1)
    said = plan(at, TOTALS, 2)
    check("KAFKA_STORAGE_ERROR" in said and f"{CHANGELOG}-0 at offset" in said, said)
    check("onceflow audit --data-dir" in said and "goes on where" not in said, said)
    with Worker(at, TOTALS) as worker:
        def stage():
            return next(each for each in worker.status()["stages"] if each["stage"] == "s")
        wait_for(lambda: "KAFKA_STORAGE_ERROR" in json.dumps(stage()), lambda: stage())
        until = time.monotonic() + 6
        while time.monotonic() < until:
            check(stage()["state"] != "waiting for topic", stage())
            time.sleep(0.2)
        check("does not exist" not in worker.said(), worker.said())
        check("what-to-do-when" in worker.said(), worker.said())


def plan_comes_to_the_damage_that_a_stage_would_read_next(at):
    count(at, [["north"]])
    with Broker(at) as broker:
        produce(broker.address, "in", [{"k": "north"}], "-p", "0")
        broker.stop()
    plan(at, TOTALS, 0)
    damage(at, "in", -1)
    said = plan(at, TOTALS, 2)
    check("stage 's-key': Fetch of in-0 at offset 1: KAFKA_STORAGE_ERROR" in said, said)
    check("onceflow audit --data-dir" in said, said)


def damage_of_one_partition_is_told_while_others_flow(at):
    with Broker(at) as broker:
        create_topic(broker.address, "in", 3)
        for partition in range(3):
            for part in range(2):
                produce(broker.address, "in", [{"k": f"{partition}-{part}"}], "-p", partition)
        broker.stop()
    damage(at, "in", 1)
    with Worker(at, ROWS) as worker:
        wait_for(lambda: len(table(at, "k")) == 5, lambda: table(at, "k"))
        wait_for(lambda: "in-0 at offset 1: KAFKA_STORAGE_ERROR" in worker.said(), worker.said)
        check("what-to-do-when" in worker.said(), worker.said())


def a_lost_marker_hides_nothing_for_ever(at):
    """Of a transaction that nothing else would end."""
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        committed = OpenTransaction(broker.port, "id", "in", 3)
        committed.commit()
        produce(broker.address, "in", [{"k": "after"}])
        broker.stop()
    said = onceflow("dump", segments(at / "data", "in")[0], at=at)
    place = int(re.search(r"^(\d+) marker", said, re.M).group(1))
    flip(segments(at / "data", "in")[0], place + 70)
    told = onceflow("salvage", "data", "--to", "new", at=at, code=1)
    check("from offset 0 on was open" in told and "it is aborted" in told, told)
    check(salvage(at) == [("in", 3, 3)], said)
    with Broker(at) as broker:
        check(consume(broker.address, "in") == ['{"k": "after"}'], "what follows is hidden")
        broker.stop()


def offsets_that_are_left_out_are_not_called_lost(at):
    """The journal is whole, and the note that says so is missing."""
    count(at, [["north"] * 5])
    (at / "data" / NOTE).unlink()
    said = onceflow("salvage", "data", "--to", "new", at=at, code=1)
    check("are lost\n" not in said and "left out" in said, said)
    report = json.loads(onceflow("salvage", "data", "--to", "new", "--json", at=at, code=1))
    check(report["lost_offset_count"] == 0 and report["left_out_offset_count"] > 0, report)
    check(all(each["left_out"] for each in report["lost"]), report)


def a_clean_audit_is_no_warning(at):
    count(at, [["north"]])
    with Worker(at, TOTALS, "--audit.interval.ms", "100") as worker:
        wait_for(lambda: 'event="audit": clean' in worker.said(), worker.said)
        line = next(line for line in worker.said().splitlines() if 'event="audit": clean' in line)
        check(" INFO " in line, line)
