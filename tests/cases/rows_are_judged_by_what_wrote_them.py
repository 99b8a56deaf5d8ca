"""Rows of a table are judged by the definition that wrote them; a change of what they are kept by
needs a decision, and the audit says what comes of it."""

import json
import sqlite3

from harness import Worker, audit, check, kcat, wait_for
from harness.changes import pipeline, refused, reset, run, values

COLUMNS = "id: key, mail: $.mail, n: $.n"
TOPIC = "  - kafka: { topic: %s }\n"


def users(columns=COLUMNS, mode="mode: upsert, key: [id]"):
    return pipeline("", f"  - sqlite: {{ file: a.db, table: t, columns: {{ {columns} }}, "
                        f"{mode} }}\n")


def feed(at, text, count, number):
    """Users 0..count-1 get `number`, and the worker comes to its end."""
    given = "".join(f"u{user}|{json.dumps({'mail': f'm{user}', 'n': number})}\n"
                    for user in range(count))
    with Worker(at, text) as worker:
        kcat(worker.address, "-P", "-t", "in", "-K", "|", given=given)
        wait_for(lambda: worker.stage()["totals"]["records_in"] == count, worker.said, 60)
        check(worker.stop() == 0, worker.said())


def count(at, condition="1"):
    with sqlite3.connect(at / "a.db") as database:
        return database.execute(f"SELECT count(*) FROM t WHERE {condition}").fetchone()[0]


def a_column_that_comes_or_goes_alters_nothing(at):
    feed(at, users(), 10, 1)
    feed(at, users("id: key, n: $.n"), 4, 2)
    said = audit(at)
    check("6 rows of a definition with columns that the file does not name" in said, said)
    feed(at, users("n: $.n, mail: $.mail, id: key"), 2, 3)
    said = audit(at)
    check("not covered" not in said and "10 rows verified" in said, said)
    with sqlite3.connect(at / "a.db") as database:
        database.execute("UPDATE t SET n = 'x' WHERE id = 'u9'")
    said = audit(at, code=1)
    check("1 altered" in said and "in/0/9" in said, said)


def what_rows_are_kept_by_needs_a_decision(at):
    feed(at, users(), 4, 1)
    for after in (users("id: \"'x-' || key\", mail: $.mail, n: $.n"),
                  users(mode="mode: upsert, key: [mail]"), users(mode="mode: append")):
        said = refused(at, after)
        check("rows are kept by the mode and the key before" in said, said)
    changed = users("id: \"'x-' || key\", mail: $.mail, n: $.n")
    refused(at, changed)
    reset(at, "--to-current", "--execute")
    feed(at, changed, 2, 2)
    check(count(at) == 6, "the rows of before stay")
    said = audit(at)
    check("not covered" in said and "no later record updates or deletes them" in said, said)
    refused(at, users())
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    check(count(at) == 0, "begun anew, with the rows of before gone")


def rows_of_another_mode_are_not_covered(at):
    feed(at, users(mode="mode: append"), 4, 1)
    refused(at, users("id: key, n: $.n"))
    with sqlite3.connect(at / "a.db") as database:
        database.execute("CREATE UNIQUE INDEX id ON t (id)")
    reset(at, "--to-current", "--execute")
    feed(at, users("id: key, n: $.n"), 2, 2)
    said = audit(at)
    check("2 rows of that time remain, and are not judged" in said, said)


def a_sink_that_was_taken_out_has_written_what_it_wrote(at):
    run(at, pipeline("", TOPIC % "a" + TOPIC % "b"), [{"n": 1}], '{"n": 1}', "a")
    run(at, pipeline("", TOPIC % "a"), [{"n": 2}], '{"n": 2}', "a")
    check("audit: clean" in audit(at), "topic b is there as it was left")


def results_of_before_a_reset_are_not_covered(at):
    text = pipeline()
    run(at, text, [{"n": 1}, {"n": 2}], '{"n": 2}')
    reset(at, "--to-earliest", "--execute")
    with Worker(at, text) as worker:
        wait_for(lambda: len(values(worker)) == 4, worker.said, 60)
        check(worker.stop() == 0, worker.said())
    said = audit(at)
    check("not covered: out-0: 2 records that no receipt accounts for, before the first" in said,
          said)
    audit(at, "--allow-foreign")
