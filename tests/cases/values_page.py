"""docs/values.md on the real program: every column of its table that is taken, in SQLite and in
PostgreSQL, read back by the audit; every expression, in a Kafka topic. What the page says is
refused is tried in src/pipeline/values_page_test.cc, and of each type in
columns_that_people_have.py."""

import json
import re
import sqlite3
from decimal import Decimal

from harness import ROOT, Worker, audit, check, consume, produce, shared_postgres, wait_for

COLUMNS = ("value", "column", "type", "SQLite", "PostgreSQL")
SESSION = ("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1;"
           " SET client_encoding = 'UTF8';")
EXPRESSIONS = ("value", "expression", "yields")


def cells(line):
    """Of a table's line: what stands in back quotes, where it does."""
    parts = [part.replace("\\|", "|").strip()
             for part in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    return tuple(part[1:-1] if re.fullmatch("`[^`]+`", part) else part for part in parts)


def rows_of(header):
    found, rows = False, []
    for line in (ROOT / "docs/values.md").read_text().splitlines():
        if cells(line) == header:
            found = True
        elif not line.startswith("|"):
            found = False
        elif found and not line.startswith("|--"):
            rows.append(cells(line))
    check(rows, f"there is no table of {header}")
    return rows


def one_record(rows):
    """A record that holds the value of row N as member rN; rows about the value as a whole, or what
    stands beside it, are left out."""
    kept = [(value, expression.replace("$.", f"$.r{number}."), *rest)
            for number, (value, expression, *rest) in enumerate(rows)
            if "$." in expression and "value" not in expression and "key" not in expression
            and "$[" not in expression]
    numbers = [expression.split("$.r", 1)[1].split(".", 1)[0] for _, expression, *_ in kept]
    members = ",".join(f'"r{number}":{row[0]}' for number, row in zip(numbers, kept))
    return "{" + members + "}", kept


def columns_of(rows, place):
    taken = [row for row in rows if not row[place].startswith("refused")]
    record, kept = one_record(taken)
    columns = {f"c{number}": (expression, kind)
               for number, (_, expression, kind, *_) in enumerate(kept)}
    return record, columns, [row[place] for row in kept]


def quoted(expression):
    return json.dumps(expression, ensure_ascii=False)


def pipeline(sink, columns):
    lines = ["name: p", "source: { kafka: { topics: [t] } }", "sinks:", f"  - {sink}",
             "      columns:"]
    lines += [f"        {name}: {{ value: {quoted(expression)}, type: {kind} }}"
              for name, (expression, kind) in columns.items()]
    return "\n".join(lines) + "\n"


def expected(text, kind):
    if text.startswith("decimal "):
        return text.removeprefix("decimal ")
    value = json.loads(text)
    return value.encode() if kind == "bytea" and value is not None else value


def columns_of_sqlite_hold_what_the_page_says(at):
    record, columns, wanted = columns_of(rows_of(COLUMNS), 3)
    check(len(columns) > 30, len(columns))
    with Worker(at, pipeline("sqlite:\n      file: o.db\n      table: rows", columns)) as worker:
        produce(worker.address, "t", [record])

        def rows():
            with sqlite3.connect(at / "o.db") as database:
                return database.execute(f"SELECT {', '.join(columns)} FROM rows").fetchall()
        wait_for(lambda: (at / "o.db").exists() and worker.stage()["state"] == "running" and rows(),
                 lambda: f"the row: {worker.said()}")
        for stored, text, (name, (expression, kind)) in zip(rows()[0], wanted, columns.items()):
            check(stored == expected(text, kind) and
                  type(stored) in (type(expected(text, kind)), type(None)),
                  f"{name} {expression} {kind}: {stored!r} is not {text}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def as_text(name, kind):
    """SQL that writes a column of PostgreSQL in the form of the page, where that can be."""
    seconds = (f"rtrim(rtrim(to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'),"
               " '0'), '.')")
    return {"timestamptz": seconds + " || 'Z'", "bytea": f"encode({name}, 'hex')",
            "timestamp": seconds.replace(" AT TIME ZONE 'UTC'", ""),
            "boolean": f"{name}::int"}.get(kind, f"{name}::text")


def postgres_value(text, kind):
    value = expected(text, kind)
    if value is None:
        return ""
    if kind == "bytea":
        return value.hex()
    if kind == "real":
        return str(value).removesuffix(".0")
    return str(value)


def exactly(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def over_postgres(at, settings=()):
    database = shared_postgres()
    dsn = database.new_database()
    for setting in settings:
        database.query(f"ALTER DATABASE {dsn.rsplit('/', 1)[1]} SET {setting}")
    record, columns, wanted = columns_of(rows_of(COLUMNS), 4)
    sink = f"postgres:\n      dsn: '{dsn}'\n      table: rows"
    with Worker(at, pipeline(sink, columns)) as worker:
        produce(worker.address, "t", [record])
        wait_for(lambda: database.query("SELECT to_regclass('rows') IS NOT NULL", dsn) == [["t"]]
                 and database.query("SELECT 1 FROM rows", dsn), lambda: f"the row: {worker.said()}")
        selected = ", ".join(as_text(name, kind) for name, (_, kind) in columns.items())
        stored = database.query(f"{SESSION} SELECT {selected} FROM rows", dsn)[0]
        for found, text, (name, (expression, kind)) in zip(stored, wanted, columns.items()):
            if kind == "jsonb":  # its own text has spaces and other digits
                check(exactly(found or "null") == exactly(json.loads(text) or "null"), found)
            else:
                check(found == postgres_value(text, kind),
                      f"{name} {expression} {kind}: {found!r} is not {text}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def columns_of_postgres_hold_what_the_page_says(at):
    over_postgres(at)


def the_audit_reads_postgres_whatever_its_settings_are(at):
    over_postgres(
        at, ["DateStyle = 'German'", "TimeZone = 'Asia/Kathmandu'", "bytea_output = 'escape'",
             "extra_float_digits = -3", "IntervalStyle = 'sql_standard'",
             "client_encoding = 'LATIN1'"])


def expressions_yield_in_a_topic_what_the_page_says(at):
    record, kept = one_record([row for row in rows_of(EXPRESSIONS)
                               if not row[2].startswith("refused")])
    check(len(kept) > 60, len(kept))
    sets = "\n".join(f"      $.o{number}: {quoted(expression)}"
                     for number, (_, expression, _) in enumerate(kept))
    text = ("name: p\nsource: { kafka: { topics: [t] } }\n"
            f"steps:\n  - id: s\n    set:\n{sets}\n"
            "sinks: [{ kafka: { topic: out } }]\n")
    with Worker(at, text) as worker:
        produce(worker.address, "t", [record])
        wait_for(lambda: consume(worker.address, "out"), lambda: worker.said())
        found = json.loads(consume(worker.address, "out")[0], parse_int=str, parse_float=str)
        for number, (_, expression, wanted) in enumerate(kept):
            value = found[f"o{number}"]
            wanted_value = json.loads(wanted.removeprefix("decimal "), parse_int=str,
                                      parse_float=str)
            if isinstance(value, (list, dict)):  # JSON is made of JSON, which stays what it is
                wanted_value = json.loads(wanted_value, parse_int=str, parse_float=str)
            check(value == wanted_value, f"{expression}: {value!r} is not {wanted}")
        check(worker.stop() == 0, worker.said())
    audit(at)
