"""A record without a value whose row's key is made of fields deletes no other row: it is refused by
name, and each way on that the message gives helps."""

import re
import sqlite3

from harness import Worker, audit, check, onceflow, produce, wait_for

RECORDS = ['a|{"id":"a","r":"north"}', 'b|{"id":"b","r":"south"}', 'none|{"id":"none"}']


def pipeline(columns, key, steps="", more=""):
    return ("name: p\nsource: { kafka: { topics: [t] } }\n"
            + (f"steps:\n{steps}" if steps else "") +
            f"sinks:\n  - sqlite: {{ file: o.db, table: rows, mode: upsert, key: [{key}],\n"
            f"      columns: {{ {columns} }} }}\n{more}")


def rows(at, sql="SELECT v FROM rows ORDER BY v"):
    try:
        with sqlite3.connect(at / "o.db", timeout=10) as database:
            return [value for value, in database.execute(sql)]
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def refusal(at, text, records, deleted, before=("validate", "explain", "plan")):
    """What is said where the deletion is refused; nothing of the table is gone by then."""
    (at / "p.yaml").write_text(text, encoding="utf-8")
    for verb in before:
        said = onceflow(verb, "p.yaml", at=at)
        check("a record without a value, which deletes a row of table rows, is refused" in said,
              f"{verb}: {said}")
    with Worker(at, text) as worker:
        produce(worker.address, "t", records, "-K|", "-Z")
        wait_for(lambda: len(rows(at)) == len(records), lambda: f"{rows(at)}: {worker.said()}")
        there = rows(at)
        produce(worker.address, "t", [f"{deleted}|"], "-K|", "-Z", good=False)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("it has no value, so it deletes a row, and " in said, said)
    check(rows(at) == there, f"{there} became {rows(at)}")
    warned = [line for line in said.splitlines() if "WARN" in line and "is refused where" in line]
    check(len(warned) == (1 if "plan" in before else 0), said)
    return said


def goes_on(at, text, left, starts_over=False, last='z|{"id":"z","r":"east"}'):
    """With the file as the message has it."""
    (at / "p.yaml").write_text(text, encoding="utf-8")
    if starts_over:
        onceflow("reset", "p.yaml", "--data-dir", "data", "--to-earliest", "--delete-rows",
                 "--execute", at=at)
    with Worker(at, text) as worker:
        produce(worker.address, "t", [last], "-K|", "-Z")
        wait_for(lambda: rows(at) == sorted([*left, "z"]),
                 lambda: f"{rows(at)}: {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def step_of(said):
    return "  " + re.search(r"`(- \{ id: known, where: .*? \})`", said)[1] + "\n"


def column_of(said):
    return re.search(r"own key is the column's value, write `(.*?)`[;,]", said)[1]


def a_key_step_of_fields(at):
    steps = "  - { id: s, key: { id: key, r: $.r } }\n"
    columns = "k: key, v: $.id"
    said = refusal(at, pipeline(columns, "k", steps), RECORDS, "b")
    check("step sqlite, record t/0@3: " in said and "step s makes its key of `$.r`" in said, said)
    goes_on(at, pipeline(columns, "k", step_of(said) + steps), ["a", "b", "none"])


def tables_keyed_by_the_records_own(at):
    steps = "  - { id: s, key: { id: key, r: $.r } }\n"
    said = refusal(at, pipeline("k: key, v: $.id", "k", steps), RECORDS, "b")
    check("tell rows by the record's own key: leave this step out" in said, said)
    goes_on(at, pipeline("k: key, v: $.id", "k"), ["a", "none"], starts_over=True)


def a_key_step_that_stands_in_for_null(at):
    steps = "  - { id: s, key: \"coalesce($.r, 'none')\" }\n"
    records = ['north|{"id":"a","r":"north"}', 'x|{"id":"c"}']
    said = refusal(at, pipeline("k: key, v: $.id", "k", steps), records, "north")
    fixed = re.search(r"where the record's own key is the one meant, write `key: (.*?)`;", said)[1]
    goes_on(at, pipeline("k: key, v: $.id", "k", f"  - {{ id: s, key: {fixed} }}\n"), ["c"],
            starts_over=True)


def a_key_column_of_a_field(at):
    said = refusal(at, pipeline("id: $.id, v: $.id", "id"), RECORDS, "b", ("validate", "explain"))
    check("key column id is made of `$.id`" in said, said)
    check("'none'" not in said, said)
    goes_on(at, pipeline(f"{column_of(said)}, v: $.id", "id"), ["a", "none"], starts_over=True)


def a_key_column_that_stands_in_for_null(at):
    said = refusal(at, pipeline("id: \"coalesce($.id, 'none')\", v: $.id", "id"), RECORDS, "b")
    goes_on(at, pipeline(f"{column_of(said)}, v: $.id", "id"), ["a", "none"], starts_over=True)


def a_key_column_of_numbers(at):
    columns = "id: { value: $.n, type: integer }, v: $.id"
    records = ['7|{"id":"a","n":7}', '8|{"id":"b","n":8}']
    said = refusal(at, pipeline(columns, "id"), records, "8", ("validate", "explain"))
    goes_on(at, pipeline(f"{column_of(said)}, v: $.id", "id"), ["a"], starts_over=True,
            last='9|{"id":"z","n":9}')


def two_key_columns(at):
    said = refusal(at, pipeline("id: key, r: \"coalesce($.r, 'none')\", v: $.id", "id, r"), RECORDS,
                   "b")
    check("leave r out of the sink's `key`, and give the table a unique index" in said, said)
    columns = "id: key, r: \"coalesce($.r, 'none')\", v: $.id"
    rows(at, "CREATE UNIQUE INDEX of_id ON rows (id)")
    goes_on(at, pipeline(columns, "id"), ["a", "none"], starts_over=True)


def a_key_that_is_the_same_for_all_records(at):
    columns = "id: \"'all'\", v: $.id"
    (at / "p.yaml").write_text(pipeline(columns, "id"), encoding="utf-8")
    said = refusal(at, pipeline(columns, "id"), RECORDS[:1], "b")
    check("key column id is made of `'all'`, the same for other keys" in said, said)
    goes_on(at, pipeline(f"{column_of(said)}, v: $.id", "id"), ["a"], starts_over=True)


def a_key_column_of_each_records_own_time(at):
    columns = "id: key, at: { value: timestamp, type: integer }, v: $.id"
    said = refusal(at, pipeline(columns, "id, at"), RECORDS, "b")
    check("leave at out of the sink's `key`, and give the table a unique index" in said, said)
    rows(at, "CREATE UNIQUE INDEX of_id ON rows (id)")
    goes_on(at, pipeline(columns, "id"), ["a", "none"], starts_over=True)


def a_key_column_with_more_than_the_key(at):
    said = refusal(at, pipeline("id: \"coalesce($.kind, 'user') || ':' || key\", v: $.id", "id"),
                   RECORDS, "b")
    check("write `id: key`" in said, said)
    goes_on(at, pipeline(f"{column_of(said)}, v: $.id", "id"), ["a", "none"], starts_over=True)


def two_key_columns_of_a_key_of_json(at):
    columns = "id: \"coalesce($.id, key ->> '$.id')\", r: \"coalesce($.r, 'none')\", v: $.id"
    records = ['{"id":"a","r":"n"}|{"id":"a","r":"n"}', '{"id":"b","r":"s"}|{"id":"b","r":"s"}']
    said = refusal(at, pipeline(columns, "id, r"), records, records[1].split("|", 1)[0])
    fixed = re.search(r"key is JSON with this field, write `(.*?)`;", said)[1]
    columns = columns.replace("r: \"coalesce($.r, 'none')\"", fixed)
    goes_on(at, pipeline(columns, "id, r"), ["a"], starts_over=True,
            last='{"id":"z","r":"n"}|{"id":"z","r":"n"}')


def two_key_columns_that_are_both_the_whole_key(at):
    columns = "id: key, r: \"coalesce($.r, key)\", v: $.id"
    said = refusal(at, pipeline(columns, "id, r"), RECORDS, "b")
    check("key column r, made of `coalesce($.r, key)`, comes to its whole key beside" in said, said)


def in_front_of_a_topic_between(at):
    more = "  - sqlite: { file: o.db, table: other, columns: { v: $.id } }\n"
    steps = "  - { id: s, key: { id: key, r: $.r } }\n"
    said = refusal(at, pipeline("k: key, v: $.id", "k", steps, more), RECORDS, "b")
    goes_on(at, pipeline("k: key, v: $.id", "k", step_of(said) + steps, more),
            ["a", "b", "none"])


def what_tells_its_row_deletes_it(at):
    for number, (columns, key, steps) in enumerate((
            ("k: key, v: $.id", "k", ""),
            ("k: \"coalesce($.id, key)\", v: $.id", "k", ""),
            ("k: \"case when value is null then key else $.id end\", v: $.id", "k", ""),
            ("k: key, v: $.id", "k", "  - { id: s, key: \"coalesce($.id, key)\" }\n"),
            # What is made of fields is not what the row is told by, or is dropped behind it.
            ("k: key, v: $.id", "k",
             "  - { id: s, key: $.r }\n  - { id: t, key: \"'x'\" }\n"
             "  - { id: w, where: \"value is not null\" }\n"),
            ("k: key, v: $.id", "k", "  - { id: s, key: { a: topic, b: key } }\n"))):
        folder = at / str(number)
        folder.mkdir()
        text = pipeline(columns, key, steps)
        (folder / "p.yaml").write_text(text, encoding="utf-8")
        check("is refused" not in onceflow("validate", "p.yaml", at=folder), text)
        with Worker(folder, text) as worker:
            produce(worker.address, "t", [*RECORDS, "b|", 'z|{"id":"z"}'], "-K|", "-Z")
            left = ["z"] if "'x'" in steps else ["a", "none", "z"]
            wait_for(lambda: rows(folder) == left, lambda: f"{text} {rows(folder)} {worker.said()}")
            check(worker.stop() == 0, worker.said())
        audit(folder)


def a_table_that_appends_beside_it_gets_rows_and_is_told(at):
    steps = "  - { id: w, where: \"$.id <> 'x'\" }\n"
    more = "  - sqlite: { file: o.db, table: log, columns: { v: $.id } }\n"
    text = pipeline("k: key, v: $.id", "k", steps, more)
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = "table log with `mode: append` gets a row of each record without a value"
    for verb in ("validate", "explain", "plan"):
        check(said in onceflow(verb, "p.yaml", at=at), verb)
    with Worker(at, text) as worker:
        produce(worker.address, "t", [*RECORDS, "b|"], "-K|", "-Z")
        wait_for(lambda: rows(at) == ["a", "none"] and
                 rows(at, "SELECT count(*) FROM log WHERE v IS NULL") == [1],
                 lambda: f"{rows(at)} {worker.said()}")
        check(worker.stop() == 0, worker.said())
        warned = [line for line in worker.said().splitlines() if "WARN" in line and said in line]
        check(len(warned) == 1, worker.said())
    fixed = re.search(r"two pipelines, or `where: (.*?)`$", warned[0], re.M)
    check(fixed, warned[0])
    (at / "p.yaml").write_text(text.replace("\"$.id <> 'x'\"", fixed[1]), encoding="utf-8")
    check(said not in onceflow("validate", "p.yaml", at=at), fixed[1])
