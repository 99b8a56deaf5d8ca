"""C4: text with U+0000, half surrogate pairs and bytes that are not UTF-8 arrive whole or are
refused by name."""

import json
import re
import sqlite3

from harness import Worker, audit, check, consume, kcat, produce, shared_postgres, wait_for

SOURCE = "name: p\nsource: { kafka: { topics: [t] } }\n"
RECORDS = [r'{"id":1,"name":"ab\u0000cd"}', r'{"id":2,"name":"ab\u0000ef"}',
           '{"id":3,"name":"ab"}']
SQLITE = """sinks:
  - sqlite: { file: out.db, table: rows,
              columns: { id: { value: $.id, type: integer }, name: $.name } }
"""


def postgres_sink(dsn, name="$.name"):
    return (f'sinks:\n  - postgres: {{ dsn: "{dsn}", table: rows, columns: {{ id: '
            f'{{ value: $.id, type: integer }}, name: "{name}" }} }}\n')


def rows(folder, sql="SELECT id, name FROM rows"):
    try:
        with sqlite3.connect(folder / "out.db") as database:
            return sorted(database.execute(sql))
    except sqlite3.OperationalError:
        return []


def refusal(at, pipeline, records, *words):
    """The worker ends at a record, and says which and why."""
    with Worker(at, pipeline) as worker:
        produce(worker.address, "t", records, good=False)
        check(worker.wait() == 1, worker.said())
        for word in words:
            check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
        return worker.said()


def sqlite_holds_it_whole(at):
    with Worker(at, SOURCE + SQLITE) as worker:
        produce(worker.address, "t", RECORDS)
        wait_for(lambda: len(rows(at)) == 3, "three rows")
        check(worker.stop() == 0, worker.said())
    check(rows(at) == [(1, "ab\0cd"), (2, "ab\0ef"), (3, "ab")], rows(at))
    audit(at)
    # The hash is of the record: a cut row is found.
    with sqlite3.connect(at / "out.db") as database:
        database.execute("UPDATE rows SET name = 'ab' WHERE id = 1")
    check("altered" in audit(at, code=1), "the audit did not see a cut text")


def groups_and_topics_keep_it_apart(at):
    steps = "steps:\n  - id: by\n    key: $.name\n    aggregate: { n: count(*), m: max($.name) }\n"
    with Worker(at, SOURCE + steps + "sinks:\n  - kafka: { topic: out }\n") as worker:
        produce(worker.address, "t", RECORDS)
        values = wait_for(lambda: (found := consume(worker.address, "out")) and len(found) == 3
                          and found, "three groups")
        check(sorted(json.loads(value)["name"] for value in values)
              == ["ab", "ab\0cd", "ab\0ef"], values)
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def postgres_refuses_it_by_name_and_the_fix_helps(at):
    database = shared_postgres()
    dsn = database.new_database()
    refusal(at, SOURCE + postgres_sink(dsn), RECORDS, "step postgres", "t/0@0", "column name",
            "U+0000", "replace(…, char(0), '')")
    check(database.query("SELECT count(*) FROM rows", dsn) == [["0"]], "a cut row was written")
    with Worker(at, SOURCE + postgres_sink(dsn, "replace($.name, char(0), '')")) as worker:
        wait_for(lambda: database.query("SELECT count(*) FROM rows", dsn) == [["3"]], "three rows")
        check(worker.stop() == 0, worker.said())
    check(database.query("SELECT name FROM rows ORDER BY id", dsn)
          == [["abcd"], ["abef"], ["ab"]], "other rows")
    audit(at)


def functions_that_would_cut_it_refuse_and_the_fix_helps(at):
    step = 'steps:\n  - id: long\n    where: "length($.name) > 1"\n'
    refusal(at, SOURCE + step + SQLITE, RECORDS, "step long", "t/0@0", "U+0000", "length")
    guard = 'steps:\n  - id: whole\n    where: "instr($.name, char(0)) = 0"\n'
    with Worker(at, SOURCE + step.replace("steps:\n", guard) + SQLITE) as worker:
        wait_for(lambda: rows(at) == [(3, "ab")], "the row without U+0000")
        check(worker.stop() == 0, worker.said())
    audit(at)


def half_of_a_pair_is_refused_where_it_is_read_and_the_fix_helps(at):
    records = [r'{"id":1,"name":"\ud83d"}', r'{"id":2,"name":"\ud83d\ude00"}']
    said = refusal(at, SOURCE + SQLITE, records, "t/0@0", "$.name", "half of a surrogate pair")
    step = re.search(r"past this record alone: `(- \{ id: known, .*? \})`", said).group(1)
    with Worker(at, SOURCE + f"steps:\n  {step}\n" + SQLITE) as worker:
        wait_for(lambda: rows(at) == [(2, "\U0001f600")], lambda: f"the whole pair: {rows(at)}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def json_that_is_not_utf8_is_not_json(at):
    refusal(at, SOURCE + SQLITE, [b'{"id":1,"name":"a\xff"}'], "t/0@0",
            "malformed JSON at byte 17: a byte that is not UTF-8")
    step = 'steps:\n  - id: sound\n    where: "json_valid(value)"\n'
    with Worker(at, SOURCE + step + SQLITE) as worker:
        produce(worker.address, "t", RECORDS[2:])
        wait_for(lambda: rows(at) == [(3, "ab")], "the sound row")
        check(worker.stop() == 0, worker.said())


def a_key_that_is_not_utf8_does_not_come_to_an_aggregate(at):
    steps = "steps:\n  - id: by\n    key: key\n    aggregate: { n: count(*) }\n"
    text = SOURCE + steps + "sinks:\n  - kafka: { topic: out }\n"
    with Worker(at, text) as worker:
        kcat(worker.address, "-P", "-t", "t", "-K", ":", given=b"k\xff:{}\n", good=False)
        check(worker.wait() == 1, worker.said())
        check("t/0@0" in worker.said() and "not UTF-8" in worker.said(), worker.said())
    with Worker(at, text.replace("key: key", 'key: "hex(key)"')) as worker:
        values = wait_for(lambda: consume(worker.address, "out"), "a group")
        check(json.loads(values[0]) == {"key": "6BFF", "n": 1}, values)
        check(worker.stop() == 0, worker.said())
