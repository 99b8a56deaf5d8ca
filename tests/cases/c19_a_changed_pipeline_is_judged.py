"""C19: a changed file is compared with what the pipeline keeps, before anything is written."""

import collections
import contextlib
import json
import re
import shutil
import sqlite3

from harness import (ROOT, Worker, audit, check, log_of, onceflow, produce, shared_kafka,
                     wait_for)
from harness.changes import aggregate, pipeline, plan, refused, run, run_and_say
from harness.kafka_admin import create_topic

RECORDS = [{"k": "a", "x": 1}, {"k": "b", "x": 2}, {"k": "a", "x": 3}]
TOPIC = "  - kafka: { topic: out }\n"
TABLE = "  - sqlite: { file: a.db, table: t, mode: upsert }\n"
ROWS = "  - sqlite: { file: a.db, table: t, columns: { x: $.x } }\n"
UPSERT = ("  - sqlite: { file: a.db, table: t, mode: upsert, key: [k], "
          "columns: { k: $.k, x: $.x } }\n")
WHERE = "  - { id: w, where: $.x > 0 }\n"
SUM = "s: sum($.x)"
BY_THE_RECORD = ("  - sqlite: { file: a.db, table: t, mode: upsert, key: [k], "
                 "columns: { k: \"coalesce(key, '-')\", x: $.x } }\n")
SETS = "  - { id: y, set: { $.y: $.x + 1 } }\n  - { id: x, set: { $.x: $.y } }\n"
ONE_SET = "  - { id: y, set: { $.y: $.x + 1, $.x: $.y } }\n"


def totals(steps=WHERE + aggregate(SUM), sinks=TOPIC + TABLE, **more):
    return pipeline(steps, sinks, **more)


def rows(steps=WHERE, sinks=ROWS, **more):
    return pipeline(steps, sinks, **more)


# Every row of docs/changing-a-pipeline.md: (before, after, what the plan says).
ROWS_OF_THE_PAGE = {
    "an aggregate's function or argument": [
        (totals, totals(WHERE + aggregate("s: max($.x)")), "is now `aggregate s = max($.x)`"),
        (totals, totals(WHERE + aggregate("s: sum($.x*100)")), "sum($.x * 100)`")],
    "an aggregate added, removed, renamed or moved": [
        (totals, totals(WHERE + aggregate(SUM + ", n: count(*)")),
         "`aggregate n = count(*)` is new"),
        (totals, totals(WHERE + aggregate("total: sum($.x)")), "is now `aggregate total")],
    "the key of an aggregate": [
        (totals, totals(WHERE + aggregate(SUM, key="$.x")), "`key k = $.k` is now `key x = $.x`"),
        (lambda: totals(aggregate(SUM, key="{ k: $.k, l: $.x }"), TOPIC),
         totals("  - { id: p, key: $.k }\n" + aggregate(SUM, key="{ l: $.x }"), TOPIC),
         "`also key l = $.x` is now `then key l = $.x`"),
        (lambda: totals(aggregate(SUM, key='{ "a = key": $.k }'), TOPIC),
         totals(aggregate(SUM, key='{ a: "key = $.k" }'), TOPIC),
         '`key "a = key" = $.k` is now `key a = key = $.k`')],
    "a `set` or `key` before an aggregate": [
        (totals, totals(WHERE + "  - { id: v, set: { $.x: 1 } }\n" + aggregate(SUM)),
         "`set $.x = 1` is new"),
        (lambda: totals(SETS + aggregate(SUM)), totals(ONE_SET + aggregate(SUM)),
         "`then set $.x = $.y` is now `also set $.x = $.y`")],
    "the id of a step with an aggregate": [
        (totals, totals(WHERE + aggregate(SUM, id="other")), "k is now called other")],
    "a step with an aggregate added": [
        (lambda: rows(sinks=TOPIC), totals(sinks=TOPIC), "it is new, and keeps a state")],
    "a step with an aggregate removed": [
        (totals, rows(sinks=TOPIC), "it is gone, and has kept a state")],
    "`group.id`, where the first stage writes topics": [
        (totals, totals(group="other"), "group.id was g, and is now other")],
    "a further Kafka sink": [
        (totals, totals(sinks=TOPIC + TABLE + "  - kafka: { topic: more }\n"),
         "topic more is a new output")],
    "the id of a sink": [
        (lambda: rows(sinks=TOPIC), rows(sinks="  - { id: paid, kafka: { topic: out } }\n"),
         "kafka is now called paid"),
        (totals, totals(sinks=TOPIC + "  - { id: db, sqlite: { file: a.db, table: t, mode: upsert "
                                      "} }\n"), "sqlite is now called db")],
    "`mode` of a database sink": [
        (lambda: rows(sinks=ROWS), rows(sinks=UPSERT), "`mode append` is now `mode upsert`"),
        (lambda: rows(sinks=UPSERT), rows(sinks=ROWS), "`mode upsert` is now `mode append`")],
    "the `key` of an upsert, or the expression or type of a column in it": [
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("[k]", "[x]")), "key column x"),
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("[k]", "[k, x]")), "key column x"),
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("k: $.k", "k: \"'y-' || $.k\"")),
         "'y-' || $.k"),
        (lambda: rows(sinks=UPSERT),
         rows(sinks=UPSERT.replace("k: $.k", "k: { value: $.k, type: integer }")),
         "key column k integer")],
    "the table of a database sink": [
        (totals, totals(sinks=TOPIC + TABLE.replace("table: t", "table: u")),
         "table t is now u")],
    "a second sink beside a lone database sink": [
        (rows, rows(sinks=ROWS + ROWS.replace("table: t", "table: u")), "it is a new sink")],
    "a database sink beside a topic of the pipeline": [
        (totals, totals(sinks=TOPIC + TABLE + TABLE.replace("table: t", "table: u")),
         "filled from the beginning of topic out")],
    "a sink removed": [(totals, totals(sinks=TOPIC), "the sink is gone")],
    "a `where` before an aggregate": [
        (totals, totals(aggregate(SUM)), "`where $.x > 0` is gone"),
        (totals, totals(WHERE.replace("> 0", "> 1") + aggregate(SUM)), "is now `where $.x > 1`")],
    "a `where`, `set` or `key` without an aggregate after it": [
        (rows, rows("  - { id: w, where: $.x > 1 }\n"), "is now `where $.x > 1`")],
    "what a `where` does with deletions, as a table with `mode: upsert` decides": [
        (lambda: rows(sinks=TOPIC + BY_THE_RECORD), rows(sinks=TOPIC),
         "judges deletions`; it holds from the next record on; what was written before stays as it "
         "is; a record without a value does not pass unasked any more"),
        (lambda: rows(sinks=TOPIC), rows(sinks=TOPIC + BY_THE_RECORD),
         "passes deletions`; it holds from the next record on; what was written before stays as it "
         "is; a record without a value passes from now on")],
    "a column's expression, outside of an upsert's key": [
        (rows, rows(sinks=ROWS.replace("x: $.x", "x: $.y")), "rows written before stay"),
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("x: $.x", "x: $.y")),
         "rows written before stay")],
    "a column outside of an upsert's key added, removed or renamed": [
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace(", x: $.x", "")), "is gone"),
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("x: $.x", "x: $.x, y: $.y")),
         "is new"),
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("x: $.x", "z: $.x")), "is now")],
    "the order of columns": [
        (lambda: rows(sinks=UPSERT), rows(sinks=UPSERT.replace("k: $.k, x: $.x", "x: $.x, k: $.k")),
         "another order")],
    "`group.id`, where the only stage writes a database": [
        (rows, rows(group="other"), "its position is in the database")],
    "the file of an SQLite sink, the dsn of a PostgreSQL sink": [
        (rows, rows(sinks=ROWS.replace("a.db", "b.db")), "is now sqlite b.db")],
    "`auto.offset.reset`": [
        (rows, rows().replace("group.id: g", "group.id: g, auto.offset.reset: latest"),
         "`auto.offset.reset: earliest` is now `auto.offset.reset: latest`; it holds for topics")],
    "`max.message.bytes` of a Kafka sink": [
        (totals, totals(sinks=TOPIC.replace("out", "out, max.message.bytes: 2000000") + TABLE),
         "topic out is there with")],
    "a source topic added": [(rows, rows().replace("[in]", "[in, more]"), "topic more is new")],
    "a source topic removed": [
        (rows, rows().replace("[in]", "[more]"), "source topic in is gone")],
    "`guarantee`": [
        (rows, rows(more="guarantee: at_least_once\n"), "the guarantee was exactly_once")],
    "the id of a step without an aggregate": [
        (totals, totals(WHERE.replace("id: w", "id: v") + aggregate(SUM)), "run goes on")],
    "`commit.interval.ms`, comments, spacing": [
        (totals, totals("  # sums\n" + WHERE.replace("$.x > 0", "$.x>0") + aggregate(SUM),
                        more="commit.interval.ms: 50\n"), "run goes on")],
    "`name`": [(totals, totals(name="q", group="q"), "run begins")],
}


def every_row_of_the_page_is_tried(at):
    page = (ROOT / "docs" / "changing-a-pipeline.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| (.+?) \| (refused|goes on) \|", page, re.MULTILINE))
    check(set(found) == set(ROWS_OF_THE_PAGE),
          f"the page and the table differ: {set(found) ^ set(ROWS_OF_THE_PAGE)}")
    befores = collections.defaultdict(list)
    for change, verdict in found.items():
        for before, after, words in ROWS_OF_THE_PAGE[change]:
            befores[before()].append((change, verdict, after, words))
    for number, (text, changes) in enumerate(befores.items()):
        folder = at / f"before-{number}"
        folder.mkdir()
        make(folder, text)
        add_columns(folder)
        for tried, (change, verdict, after, words) in enumerate(changes):
            said = plan(folder, after, 1 if verdict == "refused" else 0)
            check(words in said, f"{change}: {said}")
            if shared_kafka() is None:
                run_does_as_planned(folder, at / f"before-{number}-{tried}", after, said)


def add_columns(folder):
    """Those that the changed files name: "the table must have the column"."""
    if (folder / "a.db").exists():
        with contextlib.closing(sqlite3.connect(folder / "a.db")) as database:
            for column in "yz":
                database.execute(f"ALTER TABLE t ADD COLUMN {column} TEXT")


FIX = re.compile(r"onceflow reset p\.yaml .*?(--keep-states|--to-current|--to-earliest)")


def run_does_as_planned(folder, here, after, said):
    """On a copy: the same verdict, and the same ways on."""
    shutil.copytree(folder, here)
    if "run refuses" in said:
        refusal = refused(here, after)
        check(set(FIX.findall(refusal)) == set(FIX.findall(said)), f"{said}\n{refusal}")
        for line in said.partition("need a decision\n")[2].partition("\n\n")[0].splitlines():
            check(line.strip() in refusal, f"{line} is not in: {refusal}")
    else:
        with Worker(here, after) as worker:
            if "more" in after:
                create_topic(worker.address, "more", 1)
            wait_for(lambda: worker.is_running() or not worker.is_alive(), worker.said, 60)
            check(worker.is_alive(), f"{said}\n{worker.said()}")
            check(worker.stop() == 0, worker.said())
        check("run goes on where it was" in plan(here, after, 0), "it is the pipeline by now")
    shutil.rmtree(here)


def make(at, text):
    """Something is kept of the pipeline."""
    with Worker(at, text) as worker:
        produce(worker.address, "in", RECORDS)
        wait_for(lambda: all(each["totals"]["records_in"] for each in worker.status()["stages"]),
                 "records in every stage", 60)
        worker.stop()


def run_refuses_what_the_plan_refuses_and_loses_nothing(at):
    make(at, totals())
    for after in (totals(WHERE + aggregate(SUM, id="other")), totals(group="other"),
                  totals(WHERE + aggregate("s: sum($.x*100)"))):
        said = refused(at, after)
        check("keep it as it was: change the file back" in said and "--to-current" in said and
              "--to-earliest" in said, f"the ways on: {said}")
    run(at, totals(), [{"k": "a", "x": 10}], '{"k":"a","s":14}')
    audit(at)


def a_state_that_is_not_there_yet_may_be_changed(at):
    few = "  - { id: w, where: $.x > 100 }\n"
    with Worker(at, pipeline(aggregate("n: count(*)", before=few))) as worker:
        produce(worker.address, "in", [{"k": "a", "x": 1}])
        wait_for(lambda: worker.stage("k-key")["totals"]["commits"], "a commit", 60)
        worker.stop()
    changed = pipeline(aggregate("m: max($.x)", before=few))
    check("there is no state yet, and no row" in plan(at, changed, 0), "it may be changed")
    run(at, changed, [{"k": "a", "x": 200}], '{"k":"a","m":200}')
    refused(at, pipeline(aggregate("n: count(*)", before=few)))


def a_second_table_beside_a_lone_one_is_refused(at):
    make(at, rows())
    said = refused(at, rows(sinks=ROWS + ROWS.replace("table: t", "table: u")))
    check("sqlite-2: it is a new sink; its table would stay without" in said, said)


def a_change_that_is_taken_is_said(at):
    make(at, rows())
    said = run_and_say(at, rows("  - { id: w, where: $.x > 1 }\n"),
                       lambda worker: worker.is_running())
    check("`where $.x > 0` is now `where $.x > 1`" in said, f"it is said: {said}")


def a_new_table_on_a_topic_is_filled_from_its_beginning(at):
    make(at, totals())
    two = totals(sinks=TOPIC + TABLE + TABLE.replace("table: t", "table: u"))
    with Worker(at, two) as worker:
        def both():
            with sqlite3.connect(at / "a.db") as database:
                try:
                    return [database.execute(f"SELECT * FROM {table} ORDER BY k").fetchall()
                            for table in "tu"]
                except sqlite3.OperationalError:
                    return []
        wait_for(lambda: len(both()) == 2 and len(both()[1]) == 2, "two rows in the new table", 60)
        found = both()
        worker.stop()
    check([row[:2] for row in found[0]] == [row[:2] for row in found[1]], f"both: {found}")
    audit(at)


def the_plan_is_there_as_json(at):
    check(json.loads(plan_json(at, totals(), 0))["verdict"] == "begins", "nothing is kept yet")
    make(at, totals())
    said = json.loads(plan_json(at, totals(WHERE + aggregate("s: max($.x)")), 1))
    check(said["verdict"] == "refused" and said["changes"][0]["refused"], f"{said}")
    check({"stage": "k", "is": "changed", "state": "to be reset"} in said["stages"], f"{said}")


def plan_json(at, text, code):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("plan", "p.yaml", "--json", *log_of(at), at=at, code=code)
