"""C4: text with U+0000, half surrogate pairs and bytes that are not UTF-8 arrive whole or are
refused by name."""

import json
import os
import re
import sqlite3
import subprocess

from harness import (Worker, audit, check, consume, kcat, onceflow, produce, shared_postgres,
                     wait_for)

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


def rows_of(file, table="rows"):
    with sqlite3.connect(file) as database:
        return sorted(database.execute(f"SELECT id, name FROM {table}"))


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
            "U+0000", '`name: "replace($.name, char(0), \'\')"`')
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


def noncharacters_are_not_taken_for_another_character(at):
    step = ("steps:\n  - id: kept\n"
            "    where: \"$.name not like '%\ufffd%' and unicode($.name) <> 65533\"\n")
    records = [r'{"id":1,"name":"\uffff"}', r'{"id":2,"name":"\ufffe"}',
               r'{"id":3,"name":"\ufffd"}']
    with Worker(at, SOURCE + step + SQLITE) as worker:
        produce(worker.address, "t", records)
        wait_for(lambda: rows(at) == [(1, "\uffff"), (2, "\ufffe")], lambda: ascii(rows(at)))
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_sqlite_file_of_another_encoding_is_refused_and_the_fix_helps(at):
    with sqlite3.connect(at / "out.db") as database:
        database.execute("PRAGMA encoding='UTF-16'")
        database.execute("CREATE TABLE rows (id INTEGER, name TEXT, onceflow_source TEXT)")
        database.execute("CREATE TABLE other AS SELECT 0 AS id, 'é' AS name")
    with Worker(at, SOURCE + SQLITE, wait=False) as worker:
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("the text in out.db is UTF-16le (PRAGMA encoding)" in said, said)
    for verb in ("plan", "reset"):
        words = onceflow(verb, "p.yaml", "--data-dir", "data",
                         *(["--to-earliest"] if verb == "reset" else []), at=at, code=1)
        check("UTF-16le" in words, words)
    # The audit compares bytes.
    words = audit(at, code=None)
    check("its text is UTF-16le" in words, words)
    fix = re.search(r"after (sqlite3 out\.db \.dump \| sqlite3 out\.db\.utf8),", said).group(1)
    subprocess.run(fix, shell=True, check=True, cwd=at)
    with Worker(at, SOURCE + SQLITE.replace("out.db", "out.db.utf8")) as worker:
        produce(worker.address, "t", [r'{"id":1,"name":"\uffff"}'])
        wait_for(lambda: rows_of(at / "out.db.utf8") == [(1, "\uffff")], worker.said)
        check(worker.stop() == 0, worker.said())
    check(rows_of(at / "out.db.utf8", "other") == [(0, "é")], "the other table")
    audit(at)


def what_is_no_file_is_refused_as_one(at):
    (at / "folder").mkdir()
    os.mkfifo(at / "pipe")
    for file, kind in (("/dev/null", "a device"), ("/dev/full", "a device"),
                       ("folder", "a directory"), ("pipe", "a pipe")):
        with Worker(at, SOURCE + SQLITE.replace("out.db", file), wait=False) as worker:
            check(worker.wait() == 1, worker.said())
            check(f"cannot open {file}: it is {kind}" in worker.said(), worker.said())


def a_postgres_database_that_changes_characters_is_refused_and_the_fix_helps(at):
    database = shared_postgres()
    dsn = database.dsn.rsplit("/", 1)[0]
    for encoding in ("EUC_JP", "MULE_INTERNAL"):
        name = f"c04_{encoding.lower()}"
        database.query(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' "
                       "TEMPLATE template0")
        with Worker(at, SOURCE + postgres_sink(f"{dsn}/{name}"), wait=False) as worker:
            check(worker.wait() == 1, worker.said())
            check(encoding in worker.said() and "a character as another one" in worker.said(),
                  worker.said())
            fix = re.search(r"CREATE DATABASE … (.*? template0)", worker.said()).group(1)
        words = audit(at, code=None)
        check("cannot judge" in words and encoding in words, words)
    database.query(f"CREATE DATABASE c04_utf8 {fix}")
    for name, encoding in (("c04_utf8", None), ("c04_latin1", "LATIN1"),
                           ("c04_ascii", "SQL_ASCII")):
        if encoding:
            database.query(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' "
                           "TEMPLATE template0")
        database.query("CREATE TABLE rows (id bigint, name text, onceflow_source text)",
                       f"{dsn}/{name}")
        here = at / name
        here.mkdir()
        with Worker(here, SOURCE + postgres_sink(f"{dsn}/{name}")) as worker:
            produce(worker.address, "t", ['{"id":1,"name":"\u00a6é"}'])
            wait_for(lambda n=name: database.query("SELECT count(*) FROM rows", f"{dsn}/{n}")
                     == [["1"]], worker.said)
            check(worker.stop() == 0, worker.said())
        audit(here)


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
