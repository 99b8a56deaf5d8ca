"""Records without a value at a `where`: which of them delete a row of the table behind it."""

import sqlite3

from harness import Worker, audit, check, onceflow, produce, wait_for
from harness.kafka_admin import create_topic


def pipeline(where, key="key"):
    return (f"name: p\nsource: {{ kafka: {{ topics: [orders, refunds] }} }}\n"
            f"steps:\n  - {{ id: w, where: \"{where}\" }}\n"
            f"sinks:\n  - sqlite: {{ file: o.db, table: t, mode: upsert, key: [k],\n"
            f"      columns: {{ k: \"{key}\", a: {{ value: $.a, type: integer }} }} }}\n")


def rows(here):
    try:
        with sqlite3.connect(here / "o.db", timeout=10) as database:
            return sorted(key for key, in database.execute("SELECT k FROM t"))
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def left_after(at, text, deletions):
    """The rows of x and y after the deletions, each a topic and a key; z is let in after them."""
    at.mkdir(exist_ok=True)
    with Worker(at, text) as worker:
        for topic in ("orders", "refunds"):
            create_topic(worker.address, topic, 1)
        produce(worker.address, "orders", ['x|{"a":5,"id":"x"}', 'y|{"a":6,"id":"y"}'], "-K|", "-Z")
        wait_for(lambda: rows(at) == ["x", "y"], lambda: f"{rows(at)}: {worker.said()}", 40)
        for topic, key in deletions:
            produce(worker.address, topic, [f"{key}|"], "-K|", "-Z")
        produce(worker.address, "orders", ['z|{"a":7,"id":"z"}'], "-K|", "-Z")
        wait_for(lambda: worker.stage()["totals"]["records_in"] == 3 + len(deletions) and
                 "z" in rows(at), lambda: f"{rows(at)}: {worker.said()}", 40)
        check(worker.stop() == 0, worker.said())
        said = worker.said()
    audit(at)
    return [row for row in rows(at) if row != "z"], said


def a_deletion_that_no_fields_let_in_is_dropped(at):
    for number, where in enumerate((
            "topic = 'orders' and $.a > 1",
            "case topic when 'orders' then $.a > 1 else 0 end")):
        found, _ = left_after(at / str(number), pipeline(where),
                              [("refunds", "x"), ("orders", "y")])
        check(found == ["x"], f"{where}: {found}")


def however_value_is_named_it_is_obeyed(at):
    for number, where in enumerate((
            "(value) is not null and $.a > 1", "value not null and $.a > 1",
            "coalesce(value, '') <> '' and $.a > 1", "json_valid(value) and $.a > 1")):
        found, said = left_after(at / str(number), pipeline(where), [("orders", "x")])
        check(found == ["x", "y"], f"{where}: {found}")
        check("step w drops all records without a value" in said, said)


def a_key_from_the_records_own_is_its_own(at):
    found, said = left_after(at, pipeline("$.a > 1", "coalesce($.id, key)"), [("orders", "x")])
    check(found == ["y"], found)
    check("drops all" not in said, said)


def a_where_that_keeps_deletions_out_says_so(at):
    text = pipeline("$.a > 1", "$.id")
    (at / "p.yaml").write_text(text, encoding="utf-8")
    for verb in ("validate", "explain"):
        said = onceflow(verb, "p.yaml", at=at)
        check("step w drops all records without a value, so none of them deletes a row of table t"
              in said, said)
    found, said = left_after(at, text, [("orders", "x")])
    check(found == ["x", "y"], found)
    check("step w drops all records without a value" in said, said)
    # What passes is told, too, and the way that is told to keep it out helps.
    (at / "p.yaml").write_text(pipeline("$.a > 1"), encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at)
    check("write `where: value is not null and ($.a > 1)`" in said, said)
    found, _ = left_after(at / "kept", pipeline("value is not null and ($.a > 1)"),
                          [("orders", "x")])
    check(found == ["x", "y"], found)
    # So does the way to let them through.
    (at / "p.yaml").write_text(pipeline("json_valid(value) and $.a > 1"), encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at)
    check("write `where: value is null or (json_valid(value) and $.a > 1)`" in said, said)
    found, _ = left_after(at / "let", pipeline("value is null or (json_valid(value) and $.a > 1)"),
                          [("orders", "x")])
    check(found == ["y"], found)
