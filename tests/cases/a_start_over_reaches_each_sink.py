"""`onceflow reset` with a beginning reaches the sinks that the file names at that moment. A
database of before it, and a sink that was not in the file then, are found before the results that
were made again are written beside the old ones, and by the audit; what it kept is not covered by
that, and nothing else."""

import json
import shutil
import sqlite3

from harness import (
    ROOT, Worker, audit, check, log_of, onceflow, produce, shared_postgres, wait_for)
from harness.changes import aggregate, pipeline, plan, reset

OUT = "  - kafka: { topic: out }\n"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"


def lite(file="a.db", mode=COLUMNS):
    return f"  - {{ id: lite, sqlite: {{ file: {file}, table: t, {mode} }} }}\n"


BOTH = pipeline("", OUT + lite())
ALONE = pipeline("", OUT)
WORDS = ("its position out-0@", "is not of the pipeline's newest start-over",
         "a start-over reaches each sink", "--to-current --execute")


def query(here, *statements, file="a.db"):
    with sqlite3.connect(here / file, timeout=20) as database:
        return [database.execute(each).fetchall() for each in statements][-1]


def count(at, file="a.db"):
    try:
        return query(at, "SELECT count(*) FROM t", file=file)[0][0]
    except sqlite3.OperationalError:
        return 0  # Nobody has made the table yet.


def run_to(at, text, records, reached):
    """Runs it until `reached(worker)` holds, and to an end in order."""
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", [{"n": number} for number in records])
        wait_for(lambda: reached(worker), worker.said, 60)
        check(worker.stop() == 0, worker.said())


def has_rows(at, wanted, file="a.db"):
    return lambda worker: count(at, file) == wanted


def has_commits(stage):
    return lambda worker: worker.stage(stage)["totals"]["commits"] > 0


def refused(at, text, *words):
    with Worker(at, text, wait=False) as worker:
        check(worker.wait(60) == 1, worker.said())
        said = worker.said()
    planned = plan(at, text, 1)
    for word in words:
        check(word in said and word in planned, f"{word}: {said} {planned}")
    judged = audit(at, "--allow-foreign", code=1)
    check("altered: table t: the position " in judged and "to the last row" not in judged and
          "not of the pipeline's newest start-over" in judged, judged)
    report = json.loads(audit(at, "--allow-foreign", "--json", code=1))
    check(report["verdict"] == "findings" and
          any("newest start-over" in each["text"] for each in report["findings"]), report)
    return said


def copy(at, name, to):
    for end in ("", "-wal", "-shm"):
        (at / (to + end)).unlink(missing_ok=True)
    with sqlite3.connect(at / name) as before, sqlite3.connect(at / to) as after:
        before.backup(after)


def a_database_restored_from_before_it_is_refused_and_the_fixes_help(at):
    run_to(at, BOTH, range(5), has_rows(at, 5))
    copy(at, "a.db", "before.db")
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, BOTH, [], has_rows(at, 5))
    copy(at, "a.db", "after.db")
    copy(at, "before.db", "a.db")
    refused(at, BOTH, *WORDS)
    check(count(at) == 5, count(at))
    # The database of after it.
    copy(at, "after.db", "a.db")
    run_to(at, BOTH, [5], has_rows(at, 6))
    # From now on, with the rows as they are.
    copy(at, "before.db", "a.db")
    said = reset(at, "--to-current", "--execute")
    check("table t keeps its rows, and gets the results from now on" in said, said)
    run_to(at, BOTH, [6], has_rows(at, 6))
    check("skipped by operator: out-0" in audit(at, "--allow-foreign"), "what was passed over")
    # Once more, with this sink.
    copy(at, "before.db", "a.db")
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, BOTH, [], has_rows(at, 7))


def an_earlier_versions_database_goes_on_and_says_it_from_then_on(at):
    run_to(at, BOTH, range(5), has_rows(at, 5))
    bare = "UPDATE onceflow_positions SET topic_id = substr(topic_id, 1, 22)"
    query(at, bare)
    run_to(at, BOTH, [5], has_rows(at, 6))
    copy(at, "a.db", "before.db")
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, BOTH, [], has_rows(at, 6))
    copy(at, "before.db", "a.db")
    refused(at, BOTH, *WORDS)


def a_sink_that_was_not_in_the_file_then_is_refused_when_it_comes_back(at):
    run_to(at, BOTH, range(5), has_rows(at, 5))
    (at / "p.yaml").write_text(ALONE, encoding="utf-8")
    reset(at, "--to-earliest", "--execute")
    run_to(at, ALONE, [], has_commits("kafka"))
    refused(at, BOTH, *WORDS)
    check(count(at) == 5, count(at))
    said = reset(at, "--to-earliest", "--keep-rows", "--execute")
    check("keep 5 rows of table t" in said, said)
    run_to(at, BOTH, [], has_rows(at, 10))  # as kept rows are, beside what comes again
    said = audit(at, "--allow-foreign")
    check("table t: 5 rows, of out/0/0 to out/0/4, kept from before the stage was begun anew"
          in said, said)


def a_file_that_was_another_one_then_is_refused_when_it_comes_back(at):
    run_to(at, BOTH, range(5), has_rows(at, 5))
    other = pipeline("", OUT + lite("b.db"))
    run_to(at, other, [], has_rows(at, 5, "b.db"))
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, other, [], has_rows(at, 5, "b.db"))
    refused(at, BOTH, *WORDS)


def a_postgres_sink_that_was_not_in_the_file_then_is_refused(at):
    server = shared_postgres()
    dsn = server.new_database()
    sink = f"postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}"
    text = pipeline("", OUT + f"  - {{ id: pg, {sink} }}\n")

    def rows():
        try:
            return server.query("SELECT count(*)::int FROM t", dsn)[0][0]
        except Exception:  # The table is not there yet.
            return 0

    run_to(at, text, range(5), lambda worker: int(rows()) == 5)
    (at / "p.yaml").write_text(ALONE, encoding="utf-8")
    reset(at, "--to-earliest", "--execute")
    run_to(at, ALONE, [], has_commits("kafka"))
    refused(at, text, *WORDS)
    check(int(rows()) == 5, rows())
    said = reset(at, "--to-earliest", "--keep-rows", "--execute")
    run_to(at, text, [], lambda worker: int(rows()) == 10)
    said = audit(at, "--allow-foreign")
    check("table t: 5 rows, of out/0/0 to out/0/4, kept from before" in said, said)
    check("of other writers" not in said, said)
    server.query("INSERT INTO t SELECT * FROM t LIMIT 1", dsn)
    said = audit(at, "--allow-foreign")
    check("table t: 1 row of other writers" in said, said)


def a_log_restored_from_before_it_is_refused(at):
    run_to(at, BOTH, range(5), has_rows(at, 5))
    log = at / log_of(at)[log_of(at).index("--data-dir") + 1]
    shutil.copytree(log, at / "before")
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, BOTH, [], has_rows(at, 5))
    shutil.rmtree(log)
    shutil.copytree(at / "before", log)
    refused(at, BOTH, *WORDS, "or the log was restored from before it")
    check(count(at) == 5, count(at))
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, BOTH, [], has_rows(at, 5))


def a_lone_sink_goes_on_where_its_rows_are(at):
    text = pipeline("", lite())
    run_to(at, text, range(5), has_rows(at, 5))
    copy(at, "a.db", "before.db")
    reset(at, "--to-latest", "--keep-rows", "--execute")
    run_to(at, text, [5], has_rows(at, 6))
    copy(at, "before.db", "a.db")
    refused(at, text, "its position in-0@5", "--to-current --execute")
    reset(at, "--to-current", "--execute")
    run_to(at, text, [], has_rows(at, 6))
    check(query(at, "SELECT n FROM t ORDER BY n") == [(n,) for n in range(6)], "each once")


# What a reset keeps

KEPT = pipeline(aggregate("n: count(*)"), lite(mode="columns: { k: $.k, n: { value: $.n, type: "
                                                    "integer } }"))


def rows_that_a_reset_kept_are_not_covered_and_what_others_write_later_is_found(at):
    with Worker(at, KEPT) as worker:
        produce(worker.address, "in", [{"k": "a"}, {"k": "b"}, {"k": "c"}])
        wait_for(lambda: count(at) == 3, worker.said, 60)
        check(worker.stop() == 0, worker.said())
    query(at, "INSERT INTO t VALUES ('by hand', 1, 'by hand')")
    reset(at, "--to-latest", "--keep-rows", "--execute")
    with Worker(at, KEPT) as worker:
        produce(worker.address, "in", [{"k": "d"}])
        wait_for(lambda: count(at) == 5, worker.said, 60)
        check(worker.stop() == 0, worker.said())
    said = audit(at)
    check("table t: 4 rows, of p-lite-rows/0/0 to p-lite-rows/0/2, kept from before" in said,
          said)
    for row in ("('e', 1, 'p-lite-rows/0/1')", "('e', 1, 'p-lite-rows/0/77')", "('e', 1, 'x')"):
        query(at, f"INSERT INTO t (k, n, onceflow_source) VALUES {row}")
        check("1 foreign" in audit(at, code=1), f"{row} came later")
        query(at, "DELETE FROM t WHERE k = 'e'")
    check("that were kept" not in audit(at), "all four are there")
    query(at, "DELETE FROM t WHERE k = 'a'")
    said = audit(at)
    check("table t: 3 rows" in said and "of 4 that were kept; gone: p-lite-rows/0/0" in said, said)
    query(at, "DELETE FROM t WHERE k <> 'd'")
    said = audit(at)
    check("not covered: table t: 0 of 4 rows are left that were kept" in said and
          "to the last row" not in said, said)


def again(value):
    return pipeline("", lite(mode=f"columns: {{ n: {{ value: {value}, type: integer }} }}"))


def told_apart(at, change, sink_of):
    """A kept row and a new one of each record, which hold other values."""
    def has(wanted):
        return lambda worker: int(change("SELECT count(*) FROM t")[0][0]) == wanted

    run_to(at, sink_of("$.n"), range(3), has(3))
    (at / "p.yaml").write_text(sink_of("$.n + 10"), encoding="utf-8")
    reset(at, "--to-earliest", "--keep-rows", "--execute")
    run_to(at, sink_of("$.n + 10"), [], has(6))
    said = audit(at)
    check("table t: 3 rows, of in/0/0 to in/0/2, kept" in said and "3 rows verified" in said and
          "that were kept" not in said, said)
    change("DELETE FROM t WHERE n = 1")
    said = audit(at)
    check("table t: 2 rows" in said and "of 3 that were kept; gone: in/0/1" in said, said)
    change("UPDATE t SET n = 77 WHERE n = 10")
    said = audit(at, code=1)
    check("1 altered" in said and "row of in/0/0 (n=77) is not what was written" in said, said)
    change("UPDATE t SET n = 10 WHERE n = 77")
    change("UPDATE t SET n = 77 WHERE n = 2")
    said = audit(at)
    check("; not as their receipts said: in/0/2" in said, said)
    change("DELETE FROM t WHERE n = 12")
    said = audit(at, code=1)
    check("1 missing" in said and "the row of in/0/2 is not there" in said, said)
    change("DELETE FROM t WHERE n < 10 OR n = 77")
    said = audit(at, code=1)
    check("0 of 3 rows are left that were kept" in said, said)


def a_kept_row_and_a_new_one_of_the_same_record_are_told_apart_in_sqlite(at):
    def change(statement):
        return [[count(at)]] if statement.startswith("SELECT") else query(at, statement)

    told_apart(at, change, again)


def a_kept_row_and_a_new_one_of_the_same_record_are_told_apart_in_postgres(at):
    server = shared_postgres()
    dsn = server.new_database()

    def change(statement):
        try:
            return server.query(statement, dsn)
        except Exception:  # The table is not there yet.
            return [[0]]

    told_apart(at, change, lambda value: pipeline(
        "", f"  - {{ id: pg, postgres: {{ dsn: '{dsn}', table: t, columns: {{ n: {{ value: "
            f"{value}, type: integer }} }} }} }}\n"))


def an_upsert_that_took_the_place_of_a_kept_row_is_covered(at):
    def keyed(more=""):
        return pipeline("", lite(mode="mode: upsert, key: [n], columns: { n: { value: $.n, type: "
                                 f"integer }}{more} }}"))

    run_to(at, keyed(), range(3), has_rows(at, 3))
    reset(at, "--to-earliest", "--keep-rows", "--execute")
    run_to(at, keyed(), [], lambda worker: worker.stage("lite")["totals"]["records_in"] >= 3)
    said = audit(at)
    check("to the last row" in said, said)
    # Of another key it stays.
    reset(at, "--to-latest", "--keep-rows", "--execute")
    run_to(at, keyed(), [1], lambda worker: worker.stage("lite")["totals"]["records_in"] >= 1)
    said = audit(at)
    check("table t: 2 rows, of in/0/0 to in/0/2, kept" in said and "that were kept" not in said,
          said)
    query(at, "DELETE FROM t WHERE n = 0")
    said = audit(at)
    check("of 2 that were kept; gone: in/0/0" in said, said)


def delete_of_the_page(pipeline_name, sink):
    page = (ROOT / "docs/sinks.md").read_text()
    statement = page.split("```sql\nDELETE", 1)[1].split("```", 1)[0]
    return "DELETE" + statement.replace("'NAME'", f"'{pipeline_name}'").replace(
        "'SINK'", f"'{sink}'")


def keeps_the_newest_of_each_sink(at, sink, change):
    """Beside a pipeline that has written 1,500 receipts since."""
    with Worker(at, pipeline("", sink)) as worker:
        produce(worker.address, "in", [{"n": 1}, {"n": 2}])
        wait_for(lambda: has_commits("lite")(worker), worker.said, 60)
        wait_for(lambda: int(change("SELECT count(*) FROM t")[0][0]) == 2, worker.said, 60)
        check(worker.stop() == 0, worker.said())

    def ids(of):
        return [int(row[0]) for row in change("SELECT receipt_id FROM onceflow_receipts WHERE "
                                              f"pipeline = '{of}' ORDER BY receipt_id")]

    change("WITH RECURSIVE many(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < 1500) "
           "INSERT INTO onceflow_receipts (pipeline, stage, receipt) SELECT 'busy', 'lite', "
           "(SELECT receipt FROM onceflow_receipts ORDER BY receipt_id LIMIT 1) FROM many")
    quiet, busy = ids("p"), ids("busy")
    check(quiet and len(busy) == 1500, f"{len(quiet)} and {len(busy)}")
    for name in ("p", "busy"):
        change(delete_of_the_page(name, "lite"))
    check(ids("p") == quiet, f"{ids('p')} of {quiet}")
    check(ids("busy") == busy[500:], f"{len(ids('busy'))} of 1500")
    check("clean" in audit(at), "nothing of it was deleted")
    change("DELETE FROM onceflow_receipts WHERE pipeline = 'p'")
    said = audit(at)
    check("not covered: the first receipts of stage lite were deleted" in said, said)
    check("2 rows, of in/0/0 to in/0/1, whose receipts were deleted" in said, said)


def the_delete_of_the_page_keeps_the_newest_of_each_sink_in_sqlite(at):
    keeps_the_newest_of_each_sink(at, lite(), lambda statement: query(at, statement))


def the_delete_of_the_page_keeps_the_newest_of_each_sink_in_postgres(at):
    server = shared_postgres()
    dsn = server.new_database()
    keeps_the_newest_of_each_sink(
        at, f"  - {{ id: lite, postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} }}\n",
        lambda statement: server.query(statement, dsn))


def rows_whose_receipts_were_deleted_as_the_page_says_are_not_covered(at):
    text = pipeline("", lite())
    for number in range(6):
        run_to(at, text, [number], has_rows(at, number + 1))
    audit(at)
    query(at, "DELETE FROM onceflow_receipts WHERE pipeline = 'p' AND stage = 'lite' AND "
              "receipt_id <= (SELECT max(receipt_id) - 2 FROM onceflow_receipts)")
    said = audit(at)
    check("the first receipts of stage lite were deleted from onceflow_receipts" in said, said)
    check("table t: 4 rows, of in/0/0 to in/0/3, whose receipts were deleted" in said, said)
    for row in ("(7, 'in/0/1')", "(7, 'in/0/77')", "(7, 'x')"):
        query(at, f"INSERT INTO t (n, onceflow_source) VALUES {row}")
        check("1 foreign" in audit(at, code=1), row)
        query(at, "DELETE FROM t WHERE n = 7")
    query(at, "DELETE FROM t WHERE n = 5")
    check("1 missing" in audit(at, code=1), "what is covered is judged")
