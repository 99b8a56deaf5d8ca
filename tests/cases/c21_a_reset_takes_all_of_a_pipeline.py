"""C21: `onceflow reset` begins a pipeline anew: groups, internal topics, receipts and positions in
databases together, rehearsed first, refused while a worker lives, repeated after a failure."""

import sqlite3

from harness import Worker, audit, check, log_of, onceflow, produce, shared_kafka, wait_for
from harness.changes import aggregate, pipeline, refused, reset, run, values

ROWS = "  - sqlite: { file: a.db, table: t, columns: { x: { value: $.x, type: integer } } }\n"
STEP = 'steps:\n  - { id: half, where: "$.x %% 2 = %d" }\nsinks:'
LONE = pipeline("", ROWS)
TOTALS = pipeline(aggregate("n: count(*)"))


def rows(folder):
    try:
        with sqlite3.connect(folder / "a.db") as database:
            return [x for x, in database.execute("SELECT x FROM t ORDER BY onceflow_source")]
    except sqlite3.OperationalError:
        return []


def run_rows(at, records, count, text=LONE):
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", records)
        wait_for(lambda: len(rows(at)) >= count, f"{count} rows", 60)
        check(worker.stop() == 0, f"it ends in order: {worker.said()}")
    return rows(at)


def a_rehearsal_says_all_and_does_nothing(at):
    run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    said = reset(at, "--to-earliest")
    for words in ("would reset", "delete topic p-k-changelog", "delete topic p-k-repartition",
                  "delete topic p-receipts", "delete group g", "group g: go on at in-0@0",
                  "topic out keeps its records", "nothing was done; --execute does it"):
        check(words in said, f"{words}: {said}")
    run(at, TOTALS, [{"k": "a"}], '{"k":"a","n":4}')
    audit(at)


def a_state_begins_anew(at):
    run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    said = reset(at, "--to-earliest", "--execute")
    check("done: onceflow run" in said, said)
    run(at, TOTALS, [{"k": "a"}], '{"k":"a","n":4}')
    audit(at, "--allow-foreign")


def a_pipeline_begins_with_what_comes_now(at):
    run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    reset(at, "--to-latest", "--execute")
    run(at, TOTALS, [{"k": "a"}], '{"k":"a","n":1}')


def a_table_is_filled_again_once(at):
    run_rows(at, [{"x": x} for x in (1, 2, 3)], 3)
    said = reset(at, "--to-earliest", "--execute", code=1)
    check("table t has 3 rows" in said and "--delete-rows, or --keep-rows" in said, said)
    said = reset(at, "--to-earliest", "--delete-rows", "--execute")
    check("delete 3 rows of table t" in said and rows(at) == [], f"{said}")
    check(run_rows(at, [{"x": 4}], 4) == [1, 2, 3, 4], f"each once: {rows(at)}")
    audit(at)


def rows_of_another_pipeline_stay(at):
    """Two pipelines may write other topics to one table: each one's reset takes its own rows."""
    texts = {"p": pipeline(sinks=ROWS, group="p", name="p"),
             "q": pipeline(sinks=ROWS, group="q", name="q").replace("[in]", "[in2]")}
    for name, topic, count in (("p", "in", 5), ("q", "in2", 10)):
        with Worker(at, texts[name]) as worker:
            produce(worker.address, topic, [{"x": x} for x in range(count - 5, count)])
            wait_for(lambda: len(rows(at)) == count, f"{count} rows", 60)
            check(worker.stop() == 0, worker.said())
    (at / "p.yaml").write_text(texts["p"], encoding="utf-8")
    words = "delete 5 of 10 rows of table t (those that receipts of this pipeline know of; " \
            "pipeline 'q', sink sqlite writes it, too)"
    said = reset(at, "--to-earliest", "--delete-rows")
    check(words in said and len(rows(at)) == 10, said)
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    check(sorted(rows(at)) == [5, 6, 7, 8, 9], f"{rows(at)}")
    run_rows(at, [], 10, texts["p"])
    check(sorted(rows(at)) == list(range(10)), f"{rows(at)}")
    (at / "q.yaml").write_text(texts["q"], encoding="utf-8")
    onceflow("audit", "q.yaml", *log_of(at), at=at)
    audit(at)
    # After q's reset nothing names the table of q any more: its receipts and rows still count.
    onceflow("reset", "q.yaml", *log_of(at), "--to-latest", "--keep-rows", "--execute", at=at)
    said = reset(at, "--to-earliest", "--delete-rows")
    check("delete 5 of 10 rows" in said, said)


def rows_of_which_nobody_says_whose_they_are_are_not_taken_away(at):
    """As earlier versions let two pipelines write them."""
    texts = {name: pipeline(sinks=ROWS, group=name, name=name) for name in ("p", "q")}
    run_rows(at, [{"x": x} for x in range(3)], 3, texts["p"])
    with Worker(at, texts["q"].replace("table: t", "table: u")) as worker, \
            sqlite3.connect(at / "a.db") as database:
        wait_for(lambda: database.execute(
            "SELECT 1 FROM onceflow_positions WHERE pipeline = 'q' AND next_offset = 3").fetchall(),
            worker.said, 60)
        check(worker.stop() == 0, worker.said())
        database.execute("INSERT INTO t SELECT * FROM u")
        database.execute("UPDATE onceflow_positions SET table_id = (SELECT table_id FROM "
                         "onceflow_positions WHERE pipeline = 'p')")
        database.commit()
    (at / "p.yaml").write_text(texts["p"], encoding="utf-8")
    said = reset(at, "--to-earliest", "--delete-rows", "--execute", code=1)
    check("table t: 6 of its rows are of records that pipeline 'q', sink sqlite has written" in said
          and "the fix: --keep-rows" in said, said)
    check(len(rows(at)) == 6, f"{rows(at)}")
    said = reset(at, "--to-earliest", "--keep-rows", "--execute", code=1)
    check("the reset has ended" in said and "still refuses: stage 'sqlite'" in said, said)
    check("done:" not in said, said)


def another_pipelines_own_table_changes_nothing(at):
    run_rows(at, [{"x": x} for x in range(3)], 3)
    other = ROWS.replace("table: t", "table: T2")
    with Worker(at, pipeline(sinks=other, group="q", name="q")) as worker, \
            sqlite3.connect(at / "a.db") as database:
        wait_for(lambda: database.execute(
            "SELECT 1 FROM onceflow_positions WHERE pipeline = 'q' AND next_offset = 3").fetchall(),
                 "rows of q", 60)
        check(worker.stop() == 0, worker.said())
    with sqlite3.connect(at / "a.db") as database:
        database.execute("UPDATE onceflow_positions SET table_id = '' WHERE pipeline = 'q'")
    (at / "p.yaml").write_text(LONE, encoding="utf-8")
    said = reset(at, "--to-earliest", "--delete-rows", "--execute")
    check("delete 3 rows of table t," in said, said)


def a_table_begins_at_a_time(at):
    run_rows(at, [{"x": 1}], 1)
    reset(at, "--to-datetime", "2099-01-01T00:00:00Z", "--keep-rows", "--execute")
    check(run_rows(at, [{"x": 2}], 2) == [1, 2], f"none twice: {rows(at)}")
    said = audit(at)
    check("table t: 1 row, of in/0/0, kept from before the stage was begun anew" in said, said)
    for time, words in (("yesterday", "is not a time; the rule: it is UTC"),
                        ("2026-11-29T10:15:00+02:00", "is not a time; the rule: it is UTC"),
                        ("1969-12-31T23:59:59.999", "is before 1970"),
                        ("1969-12-31T23:59:59.998", "is before 1970"),
                        ("1900-01-01T00:00:00", "is before 1970")):
        said = onceflow("reset", "p.yaml", "--to-datetime", time, at=at, code=2)
        check(words in said, f"{time}: {said}")


def a_table_behind_a_kept_topic_gets_the_new_results_alone(at):
    for mode, to in (("upsert", "--to-earliest"), ("append", "--to-earliest"),
                     ("upsert", "--to-latest")):
        folder = at / (mode + to)
        folder.mkdir()
        sink = f"  - sqlite: {{ file: a.db, table: t, mode: {mode} }}\n"
        text = pipeline(aggregate("n: count(*)"), "  - kafka: { topic: out }\n" + sink)
        counted(folder, text, [{"k": "a"}] * 2, [("a", 2)])
        changed = text.replace("key: $.k", "key: { k: \"'new ' || $.k\" }")
        (folder / "p.yaml").write_text(changed, encoding="utf-8")
        said = reset(folder, to, "--delete-rows", "--execute")
        check("delete 1 rows of table t, go on at out-0@" in said, said)
        count = 3 if to == "--to-earliest" else 1
        counted(folder, changed, [{"k": "a"}], [("new a", count)])
        audit(folder, "--allow-foreign")


def counted(at, text, records, expected):
    """Runs the pipeline until the table holds what is expected, and nothing else."""
    def totals():
        try:
            with sqlite3.connect(at / "a.db") as database:
                return sorted(database.execute("SELECT k, max(n) FROM t GROUP BY k"))
        except sqlite3.OperationalError:
            return []
    with Worker(at, text) as worker:
        produce(worker.address, "in", records)
        wait_for(lambda: totals() == expected, lambda: f"{expected}, but {totals()}", 30)
        check(worker.stop() == 0, f"it ends in order: {worker.said()}")


def nothing_is_reset_while_a_worker_lives(at):
    with Worker(at, TOTALS) as worker:
        produce(worker.address, "in", [{"k": "a"}])
        wait_for(lambda: worker.is_running(), "running", 60)
        living = ["--bootstrap.servers", worker.address]
        said = onceflow("reset", "p.yaml", "--to-earliest", "--execute", *living, at=at, code=1)
        check("group g has members" in said and "while a worker lives" in said, said)
        worker.kill()
    if shared_kafka():
        # The cluster cannot know before the session has ended.
        said = wait_for(lambda: done(onceflow("reset", "p.yaml", "--to-earliest", "--execute",
                                              *living, at=at, code=None)), "end of the session")
    else:
        # The log was that process's own: nobody is alive, and the member that is left over goes.
        said = reset(at, "--to-earliest", "--execute")
        check("which are gone" in said and "done:" in said, said)


def done(said):
    return said if "done:" in said else None


def a_reset_that_fails_before_its_first_act_has_done_nothing(at):
    run_rows(at, [{"x": 1}], 1)
    lock = sqlite3.connect(at / "a.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    said = reset(at, "--to-earliest", "--delete-rows", "--execute", code=1)
    check("nothing was done" in said, said)
    lock.execute("ROLLBACK")
    lock.close()
    check(run_rows(at, [{"x": 2}], 2) == [1, 2], f"the pipeline goes on as before: {rows(at)}")
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    check(run_rows(at, [], 2) == [1, 2], f"the rows are there once: {rows(at)}")
    audit(at)


def going_on_keeps_positions_under_another_group(at):
    first = run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    other = TOTALS.replace("group.id: g", "group.id: h")
    refused(at, other)
    said = reset(at, "--to-current", "--execute")
    check("group h: go on at in-0@3" in said, said)
    after = run(at, other, [{"k": "a"}], '{"k":"a","n":4}')
    check(len(after) == len(first) + 1, f"once: {after}")
    audit(at)


def going_on_with_a_new_topic_says_what_it_lacks(at):
    run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    another = TOTALS.replace("topic: out }", "topic: out }\n  - kafka: { topic: out2 }")
    check(another != TOTALS, TOTALS)
    refused(at, another)
    for execute in ([], ["--execute"]):
        said = reset(at, "--to-current", *execute)
        check("note: topic out2 is a new output of stage" in said and
              "it lacks the results of all records before" in said and "topic out is" not in said,
              said)


def going_on_with_a_second_table_takes_what_comes_now(at):
    run_rows(at, [{"x": 1}, {"x": 2}], 2)
    two = pipeline("", ROWS + ROWS.replace("table: t", "table: u"))
    refused(at, two)
    said = reset(at, "--to-current", "--execute")
    check("group g: go on at in-0@2" in said, said)
    check(run_rows(at, [{"x": 3}], 3, two) == [1, 2, 3], f"none twice: {rows(at)}")
