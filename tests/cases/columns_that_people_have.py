"""Tables that are there already have columns of other types than bigint and text: each keeps what
the record has, or refuses it by name, and the audit reads it back."""

import json
import re
import sqlite3

from harness import Worker, audit, check, onceflow, produce, shared_postgres, wait_for

SOURCE = "name: p\nsource: { kafka: { topics: [t] } }\n"


def postgres_sink(dsn, columns, rest=""):
    listed = ", ".join(f"{name}: {{ value: $.{name}, type: {kind} }}"
                       for name, kind in columns.items())
    return (f'{SOURCE}sinks:\n  - postgres: {{ dsn: "{dsn}", table: rows, '
            f'columns: {{ {listed} }}{rest} }}\n')


def written(at, database, dsn, pipeline, records, count):
    """Runs the pipeline until the table has so many rows."""
    with Worker(at, pipeline) as worker:
        produce(worker.address, "t", records)
        wait_for(lambda: database.query("SELECT to_regclass('rows') IS NOT NULL", dsn) == [["t"]]
                 and database.query("SELECT count(*) FROM rows", dsn) == [[str(count)]],
                 lambda: f"{count} rows: {worker.said()}")
        check(worker.stop() == 0, worker.said())


def numbers_and_booleans_keep_their_values(at):
    database = shared_postgres()
    dsn = database.new_database()
    database.query("CREATE TABLE rows (price numeric(10,2), total numeric, n numeric(6,1), "
                   "r real, paid boolean, id smallint PRIMARY KEY, onceflow_source text)", dsn)
    pipeline = postgres_sink(dsn, {"id": "integer", "price": "decimal", "total": "decimal",
                                   "n": "integer", "r": "real", "paid": "boolean"})
    written(at, database, dsn, pipeline,
            [f'{{"id":{number},"price":1.10,"total":18446744073709551615.001,"n":5,"r":0.1,'
             '"paid":true}' for number in [1, *range(4, 8)]] +
            ['{"id":2,"price":"7","total":1e-30,"n":-5,"r":1.5,"paid":false}',
             '{"id":3}'], 7)
    rows = database.query("SELECT id, price, total, n, r, paid FROM rows ORDER BY id", dsn)
    check(rows[:2] == [["1", "1.10", "18446744073709551615.001", "5.0", "0.1", "t"],
                       ["2", "7.00", "0." + "0" * 29 + "1", "-5.0", "1.5", "f"]], rows)
    audit(at)
    changes = ["price = 1.11", "total = total + 0.001", "n = 5.5", "r = 0.1000001", "paid = false"]
    for number, change in zip([1, *range(4, 8)], changes):
        database.query(f"UPDATE rows SET {change} WHERE id = {number}", dsn)
    said = audit(at, code=1)
    check(said.count("is not what was written") == len(changes), said)


def json_beside_the_key_of_an_upsert_is_whole(at):
    database = shared_postgres()
    dsn = database.new_database()
    pipeline = postgres_sink(dsn, {"id": "integer", "j": "json", "b": "jsonb"},
                             ", mode: upsert, key: [id]")
    nested = '{"z":[1,2.50,{"y":null}],"a":"ü\\"\\\\,{}"}'
    written(at, database, dsn, pipeline,
            [f'{{"id":{number},"j":{value},"b":{value}}}' for number, value in
             [(1, nested), (2, "[]"), (1, '"first"'), (3, "{}"), (1, nested), (4, "null"),
              (5, "1.0")]], 5)
    rows = database.query("SELECT j::text = '" + nested + "', b = '" + nested + "'::jsonb"
                          " FROM rows WHERE id = 1", dsn)
    check(rows == [["t", "t"]], rows)
    check("not covered" not in audit(at), "json is not covered")
    database.query("UPDATE rows SET j = '[ ]' WHERE id = 2", dsn)
    database.query("UPDATE rows SET b = '{\"a\": 1}' WHERE id = 3", dsn)
    database.query("UPDATE rows SET b = NULL WHERE id = 5", dsn)
    said = audit(at, code=1)
    check(said.count("is not what was written") == 3, said)


def enums_take_their_labels(at):
    database = shared_postgres()
    dsn = database.new_database()
    database.query("CREATE TYPE state AS ENUM ('open', 'paid')", dsn)
    database.query("CREATE TABLE rows (v state PRIMARY KEY, n bigint, onceflow_source text)", dsn)
    pipeline = postgres_sink(dsn, {"v": "text", "n": "integer"}, ", mode: upsert, key: [v]")
    written(at, database, dsn, pipeline,
            ['{"v":"open","n":1}', '{"v":"paid","n":2}', '{"v":"open","n":3}'], 2)
    check("not covered" not in audit(at), "a key of an enum is not covered")
    database.query("UPDATE rows SET n = 4 WHERE v = 'open'", dsn)
    check("altered" in audit(at, code=1), "the audit did not see the change")


def decimals_are_keys(at):
    database = shared_postgres()
    dsn = database.new_database()
    pipeline = postgres_sink(dsn, {"price": "decimal", "name": "text"},
                             ", mode: upsert, key: [price]")
    written(at, database, dsn, pipeline,
            ['{"price":1.10,"name":"a"}', '{"price":1.1,"name":"b"}', '{"price":2,"name":"c"}'], 2)
    rows = database.query("SELECT price, name FROM rows ORDER BY price", dsn)
    check(rows == [["1.1", "b"], ["2", "c"]], rows)
    check("not covered" not in audit(at), "a decimal key is not covered")


def what_a_column_would_round_or_cut_is_refused_by_name_and_the_fix_helps(at):
    database = shared_postgres()
    for number, (declared, kind, value, shown, fix) in enumerate([
            ("numeric(10,2)", "decimal", "1.005", "1.005", "numeric"),
            ("real", "real", "0.123456789", "0.123456789", "double precision"),
            ("varchar(2)", "text", '"ab "', "3 characters", "text")]):
        folder = at / str(number)
        folder.mkdir()
        dsn = database.new_database()
        database.query(f"CREATE TABLE rows (v {declared}, onceflow_source text)", dsn)
        pipeline = postgres_sink(dsn, {"v": kind})
        with Worker(folder, pipeline) as worker:
            produce(worker.address, "t", [f'{{"v":{value}}}'])
            check(worker.wait() == 1, worker.said())
            for word in ("t-0@0", "column v is ", shown, f'ALTER COLUMN "v" TYPE {fix}'):
                check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
        check(database.query("SELECT count(*) FROM rows", dsn) == [["0"]], "a row was written")
        database.query(f'ALTER TABLE "rows" ALTER COLUMN "v" TYPE {fix}', dsn)
        with Worker(folder, pipeline) as worker:
            wait_for(lambda db=dsn: database.query("SELECT count(*) FROM rows", db) == [["1"]],
                     "the row")
            check(worker.stop() == 0, worker.said())
        audit(folder)


UUID = "123e4567-e89b-12d3-a456-426614174abc"


def keys_of_these_types_are_upserted_and_deleted(at):
    """One value written in two ways is one row, and its tombstone deletes it."""
    types = {"timestamptz": ("2024-02-29T12:30:00+01:00", "2024-02-29 11:30:00.000Z"),
             "timestamp": ("2024-02-29 12:30", "2024-02-29T12:30:00"),
             "date": ("2024-02-29", "2024-02-29"), "uuid": (UUID.upper(), "{" + UUID + "}"),
             "bytea": ("größe", "größe")}
    database = shared_postgres()
    for number, (kind, (one, other)) in enumerate(types.items()):
        folder = at / str(number)
        folder.mkdir()
        dsn = database.new_database()
        columns = ("mode: upsert, key: [k], columns: {"
                   f" k: {{ value: key, type: {kind} }}, n: $.n }} }}")
        pipeline = (f"{SOURCE}sinks:\n  - postgres: {{ dsn: \"{dsn}\", table: t_{kind}, {columns}\n"
                    f"  - sqlite: {{ file: o.db, table: t_{kind}, {columns}\n")

        def rows(name=kind, where=folder, to=dsn):
            if database.query(f"SELECT to_regclass('t_{name}') IS NULL", to) == [["t"]]:
                return None
            with sqlite3.connect(where / "o.db") as lite:
                return (database.query(f"SELECT n FROM t_{name} ORDER BY n", to),
                        [list(row) for row in lite.execute(f"SELECT n FROM t_{name} ORDER BY n")])
        with Worker(folder, pipeline) as worker:
            produce(worker.address, "t", [f'{one}|{{"n":"a"}}', f'{other}|{{"n":"b"}}'], "-K", "|")
            wait_for(lambda: rows() == ([["b"]], [["b"]]),
                     lambda: f"{kind}: {rows()} {worker.said()}")
            produce(worker.address, "t", [f"{one}|"], "-K", "|", "-Z")
            wait_for(lambda: rows() == ([], []), lambda: f"{kind}: {rows()} {worker.said()}")
            check(worker.stop() == 0, worker.said())
        check("not covered" not in audit(folder), kind)


def keys_of_narrower_columns_are_upserted_and_deleted(at):
    """The values travel in wider types, and are compared in the column's: 0.1 of 4 bytes is no 0.1
    of 8."""
    types = [("real", "real", 0.1), ("smallint", "integer", -7), ("integer", "integer", -7),
             ("numeric(10,2)", "decimal", "1.10"), ("numeric(6,1)", "integer", 7),
             ("double precision", "real", 0.1), ("varchar(4)", "text", "größ"),
             ("state", "text", "open"), ("timestamptz(3)", "timestamptz",
                                         "2024-02-29T11:30:00.123Z"),
             ("timestamp(0)", "timestamp", "2024-02-29T11:30:00"), ("bigint", "integer", 1)]
    names = [f"k{number}" for number in range(len(types))]
    database = shared_postgres()
    dsn = database.new_database()
    database.query("CREATE TYPE state AS ENUM ('open', 'paid'); CREATE TABLE rows (n text, "
                   + "".join(f"{name} {declared}, " for name, (declared, *_) in zip(names, types))
                   + f"onceflow_source text, PRIMARY KEY ({', '.join(names)}))", dsn)
    columns = "".join(f"{name}: {{ value: \"key ->> '$.{name}'\", type: {kind} }}, "
                      for name, (_, kind, _) in zip(names, types))
    pipeline = (f'{SOURCE}sinks:\n  - postgres: {{ dsn: "{dsn}", table: rows, mode: upsert,'
                f" key: [{', '.join(names)}], columns: {{ {columns} n: $.n }} }}\n")
    one, other = (json.dumps({**dict(zip(names, (value for *_, value in types))), "k10": last})
                  for last in (1, 2))

    def rows():
        return database.query("SELECT n FROM rows ORDER BY n", dsn)
    with Worker(at, pipeline) as worker:
        produce(worker.address, "t", [f'{one}|{{"n":"a"}}', f'{other}|{{"n":"b"}}'], "-K", "|")
        wait_for(lambda: rows() == [["a"], ["b"]], lambda: f"{rows()} {worker.said()}")
        produce(worker.address, "t", [f'{one}|{{"n":"c"}}'], "-K", "|")
        wait_for(lambda: rows() == [["b"], ["c"]], lambda: f"{rows()} {worker.said()}")
        produce(worker.address, "t", [f"{one}|"], "-K", "|", "-Z")
        wait_for(lambda: rows() == [["b"]], lambda: f"{rows()} {worker.said()}")
        check(worker.stop() == 0, worker.said())
    check("not covered" not in audit(at), "the keys of such columns")


def what_these_types_cannot_hold_is_refused_and_the_fix_helps(at):
    """Each with the fix that its message gives."""
    database = shared_postgres()
    cases = [("timestamptz", "$.v", '"2024-02-29T12:30:00"', "it has no zone", "$.v || 'Z'", None),
             ("timestamptz", "$.v", "1709209800500", "it takes text alone",
              "strftime('%Y-%m-%dT%H:%M:%fZ', $.v / 1000.0, 'unixepoch')", None),
             ("timestamp", "$.v", '"2024-02-29T12:30:00Z"', "it has a zone", "$.v", "timestamptz"),
             ("date", "$.v", '"2024-02-29T12:30:00Z"', "something follows the day", "date($.v)",
              None),
             ("uuid", "$.v", '"7"', "32 hexadecimal digits", "$.v", "text"),
             ("jsonb", "$.v", '"a\\u0000b"', "U+0000", "$.v", "json"),
             ("jsonb", "$.v", '{"a":1,"a":2}', "two members", "$.v", "json")]
    for number, (kind, expression, value, says, fixed, other) in enumerate(cases):
        folder = at / str(number)
        folder.mkdir()

        def text(what, name, beside_postgres=number in (0, 5)):
            column = f'columns: {{ v: {{ value: "{what}", type: {name} }} }}'
            dsn = database.new_database()
            postgres = f"  - postgres: {{ dsn: '{dsn}', table: rows, {column} }}\n"
            return (SOURCE + "sinks:\n" + (postgres if beside_postgres else "") +
                    f"  - sqlite: {{ file: o.db, table: rows, {column} }}\n")
        with Worker(folder, text(expression, kind)) as worker:
            produce(worker.address, "t", [f'{{"v":{value}}}'], good=False)
            check(worker.wait() == 1, worker.said())
            for word in ("t/0@0", f"column v is {kind} but got ", says,
                         other or fixed):
                check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
        changed = folder / "mended"  # the columns of a table are changed by hand, or it is another
        changed.mkdir()
        with Worker(changed, text(fixed, other or kind)) as worker:
            produce(worker.address, "t", [f'{{"v":{value}}}'])
            wait_for(lambda: worker.stage("sqlite")["state"] == "running"
                     and sqlite3.connect(changed / "o.db").execute("SELECT v FROM rows").fetchall(),
                     lambda: worker.said())
            check(worker.stop() == 0, worker.said())
        audit(changed)


def fixes_of_times_come_to_what_they_say_and_go_on_refusing(at):
    """All that the message of a record writes, typed: the row is the time that the message names,
    and what has another form is refused by the column as before."""
    cases = [("timestamptz", '"2024-01-01T00:00:00"', ["2024-01-01T00:00:00Z"]),
             ("timestamptz", "1700000000", ["2023-11-14T22:13:20Z", "1970-01-20T16:13:20Z"]),
             ("timestamptz", "1700000000.123456", ["2023-11-14T22:13:20.123456Z"]),
             ("timestamptz", "1700000000123.5", ["2023-11-14T22:13:20.1235Z"]),
             ("timestamp", "-1.000001", ["1969-12-31T23:59:58.999999"]),
             ("timestamptz", "1700000000.25", ["2023-11-14T22:13:20.25Z",
                                               "1970-01-20T16:13:20.00025Z"]),
             ("timestamptz", "1700000000123.0005", []), ("timestamptz", "true", []),
             ("timestamptz", '"01.02.2024 10:00"', []),
             ("timestamp", "1709209800500", ["2024-02-29T12:30:00.5"]),
             ("timestamp", "1e300", []), ("date", '"01.02.2024"', []),
             ("date", "19782", ["2024-02-29", "1970-01-01", "1970-01-01"]),
             ("date", '"2024-02-29 23:30:00-01:00"', ["2024-03-01"]),
             ("date", '"2024-02-29 23:30:00-01"', []), ("bytea", "5", [])]
    for number, (kind, value, times) in enumerate(cases):
        def text(column):
            return (f"{SOURCE}sinks:\n  - sqlite: {{ file: o.db, table: rows,"
                    f" columns: {{ {column} }} }}\n")
        folder = at / str(number)
        folder.mkdir()
        with Worker(folder, text(f"v: {{ value: $.v, type: {kind} }}")) as worker:
            produce(worker.address, "t", [f'{{"v":{value}}}'], good=False)
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check("`type: text`" in said or "`type: integer`, which keeps it as it is" in said, said)
        fixes = list(dict.fromkeys(re.findall(r"write `(v: .*?)`", said)))  # said twice
        check(len(fixes) == len(times), said)
        for place, (fix, time) in enumerate(zip(fixes, times)):
            check(value[0] == '"' or f"since 1970 it is {time}: write" in said, said)
            mended = folder / str(place)
            mended.mkdir()
            with Worker(mended, text(fix)) as worker:
                produce(worker.address, "t", [f'{{"v":{value}}}'])

                def rows(where=mended):
                    with sqlite3.connect(where / "o.db") as database:
                        return database.execute("SELECT v FROM rows").fetchall()
                wait_for(lambda: worker.is_running() and rows() == [(time,)], worker.said)
                others = ['"soon"', "true", *(["0.00000015"] if kind != "date" else [])]
                other = "19782" if value[0] == '"' else others[(number + place) % len(others)]
                produce(worker.address, "t", [f'{{"v":{other}}}'], good=False)
                check(worker.wait() == 1 and f"column v is {kind} but got" in worker.said(),
                      worker.said())
            check(rows() == [(time,)], rows())


def bytes_that_are_no_text_are_refused_by_sqlite_and_bytea_takes_them(at):
    sinks = "sinks: [{ sqlite: { file: o.db, table: rows%s } }]\n"
    with Worker(at, SOURCE + sinks % "") as worker:
        produce(worker.address, "t", [b"\xff\xfe|v"], "-K", "|", good=False)
        check(worker.wait() == 1, worker.said())
        for word in ("t/0@0", "column record_key would hold a byte that is not UTF-8, at byte 0",
                     "`type: bytea`"):
            check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
    folder = at / "mended"
    folder.mkdir()
    columns = ", columns: { k: { value: key, type: bytea }, v: { value: value, type: bytea } }"
    with Worker(folder, SOURCE + sinks % columns) as worker:
        produce(worker.address, "t", [b"\xff\xfe|v", b"k|\xc3"], "-K", "|")

        def rows():
            with sqlite3.connect(folder / "o.db") as database:
                return database.execute("SELECT k, v FROM rows ORDER BY onceflow_source").fetchall()
        wait_for(lambda: worker.is_running() and len(rows()) == 2, lambda: worker.said())
        check(rows() == [(b"\xff\xfe", b"v"), (b"k", b"\xc3")], rows())
        check(worker.stop() == 0, worker.said())
    audit(folder)
    with sqlite3.connect(folder / "o.db") as database:
        database.execute("UPDATE rows SET v = x'c4' WHERE v = x'c3'")
    check("is not what was written" in audit(folder, code=1), "the audit did not see the change")


def a_column_of_another_type_is_refused_at_start_and_the_fix_helps(at):
    database = shared_postgres()
    for number, (declared, kind, value, fix) in enumerate([
            ("char(5)", "text", "ab", None), ("time", "text", "12:30:00", None),
            ("interval", "text", "1 day", None), ("text[]", "text", "{a}", None),
            ("timestamptz", "text", "2024-02-29T12:30:00Z", "timestamptz"),
            ("uuid", "text", UUID, "uuid"), ("bytea", "text", "ab", "bytea")]):
        folder = at / str(number)
        folder.mkdir()
        dsn = database.new_database()
        database.query(f"CREATE TABLE rows (v {declared}, onceflow_source text)", dsn)
        with Worker(folder, postgres_sink(dsn, {"v": kind})) as worker:
            produce(worker.address, "t", [f'{{"v":"{value}"}}'], good=False)
            check(worker.wait() == 1, worker.said())
            check("column v is " in worker.said(), worker.said())
            if fix:
                check(f"give the sink's column v `type: {fix}`" in worker.said(), worker.said())
            else:
                alter = 'ALTER TABLE "rows" ALTER COLUMN "v" TYPE text'
                check(alter in worker.said(), worker.said())
                database.query(alter, dsn)
        with Worker(folder, postgres_sink(dsn, {"v": fix or kind})) as worker:
            wait_for(lambda to=dsn: database.query("SELECT count(*) FROM rows", to) == [["1"]],
                     lambda: worker.said())
            check(worker.stop() == 0, worker.said())
        audit(folder)


def a_fraction_that_a_column_would_round_is_refused(at):
    database = shared_postgres()
    dsn = database.new_database()
    database.query("CREATE TABLE rows (v timestamptz(3), w timestamp(0), onceflow_source text)",
                   dsn)
    pipeline = postgres_sink(dsn, {"v": "timestamptz", "w": "timestamp"})
    with Worker(at, pipeline) as worker:
        produce(worker.address, "t",
                ['{"v":"2024-02-29T12:30:00.123Z","w":"2024-02-29T12:30:00.0"}',
                 '{"v":"2024-02-29T12:30:00.1234Z"}'])
        check(worker.wait() == 1, worker.said())
        for word in ("t-0@1", "column v is timestamp(3) with time zone but got 2024-02-29T12:30:00"
                     ".1234Z", 'ALTER COLUMN "v" TYPE timestamptz'):
            check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
    database.query('ALTER TABLE "rows" ALTER COLUMN "v" TYPE timestamptz', dsn)
    with Worker(at, pipeline) as worker:
        wait_for(lambda: database.query("SELECT count(*) FROM rows", dsn) == [["2"]], "both rows")
        check(worker.stop() == 0, worker.said())
    audit(at)


AGGREGATE = """
name: p
source: { kafka: { topics: [t] } }
steps:
  - id: by
    key: %s
    aggregate: { %s }
sinks:
  - %s
"""


def what_a_table_behind_an_aggregate_cannot_take_is_refused_where_it_enters(at):
    sqlite = "sqlite: { file: o.db, table: rows%s }"
    postgres = "postgres: { dsn: 'DSN', table: rows%s }"
    day = ", mode: upsert, key: [day], columns: { day: { value: $.day, type: date } }"
    days = ", columns: { k: $.k, m: { value: $.m, type: date } }"
    ids = days.replace("date", "uuid")
    amounts = days.replace("date", "decimal")
    cases = [
        ("$.k", "m: max($.v)", sqlite % "", '{"k":"a","v":"text"}',
         ["column m is real but got the text 'text'",
          "write `m: { value: …, type: text }` in the aggregate"]),
        ("$.k", "m: max($.v)", sqlite % "", '{"k":"a","v":9007199254740993}',
         ["column m is real but got the integer 9007199254740993",
          "type: integer }` in the aggregate"]),
        ("$.k", "m: min($.v)", sqlite % "", '{"k":"a","v":18446744073709551615}',
         ["column m is real but got the number 18446744073709551615",
          "type: decimal }` in the aggregate"]),
        ("$.k", "m: max($.v)", sqlite % days, '{"k":"a","v":"29.02.2024"}',
         ["column m is date but got the text '29.02.2024'",
          "type: text }` in the sink's columns"]),
        ("$.k", "m: max($.v)", sqlite % ids, f'{{"k":"a","v":"{UUID.upper()}"}}',
         ["column m is uuid but got the text", "compare texts by their bytes", "lower("]),
        ("$.k", "m: { value: max($.v), type: text }", postgres % amounts, '{"k":"a","v":"9"}',
         ["column m is decimal but got the text '9'", "compare texts by their bytes",
          "give the aggregate `type: decimal`"]),
        ("$.k", "n: count(*)", postgres % ", mode: upsert", '{"k":"a\\u0000b"}',
         ["`k` of its key, for sink postgres: column k would hold U+0000, at byte 1"]),
        ("$.k", "n: count(*)", postgres % ", columns: { id: key }", '{"k":"a\\u0000b"}',
         ["column id would hold U+0000, at byte 1"]),
        ("{ day: $.d, s: $.s }", "n: count(*)",
         sqlite % ", columns: { day: { value: $.day, type: date } }",
         '{"d":"today","s":"x"}', ["column day is date but got the text 'today'"]),
        ("{ day: $.d }", "n: count(*)", sqlite % day, '{"d":"2024-02-30"}',
         ["`day` of its key is text: 2024-02-30, and key column day of sink sqlite is date"]),
        ("{ at: $.d }", "n: count(*)",
         sqlite % day.replace("day", "at").replace("date", "timestamptz"),
         '{"d":"2024-02-29T12:30:00+01:00"}', ["key column at of sink sqlite is timestamptz"]),
    ]
    for number, (key, aggregate, sink, record, says) in enumerate(cases):
        folder = at / str(number)
        folder.mkdir()
        if "DSN" in sink:
            sink = sink.replace("DSN", shared_postgres().new_database())
        with Worker(folder, AGGREGATE % (key, aggregate, sink)) as worker:
            produce(worker.address, "t", [record], good=False)
            check(worker.wait() == 1, worker.said())
            for word in ("step by, record t/0@0", *says):
                check(word in worker.said(), f"{word!r} is not in: {worker.said()}")


def the_latest_of_times_in_several_forms_is_the_latest(at):
    """By bytes 12:00+02:00 comes after 11:00Z, and 11:00Z after 11:00:00.5Z."""
    sink = ("sqlite: { file: o.db, table: rows, mode: upsert, columns: { k: $.k,"
            " m: { value: $.m, type: timestamptz } } }")
    (at / "p.yaml").write_text(AGGREGATE % ("$.k", "m: max($.v)", sink), encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at, code=2)
    aggregate = re.search(r"write `(m: .*? })`", said).group(1)
    with Worker(at, AGGREGATE % ("$.k", aggregate, sink)) as worker:
        produce(worker.address, "t", [f'{{"k":"a","v":"2024-01-01T{each}"}}' for each in
                                      ("12:00:00+02:00", "11:00:00.5Z", "11:00:00Z")])

        def rows():
            with sqlite3.connect(at / "o.db") as database:
                return database.execute("SELECT m FROM rows").fetchall()
        wait_for(lambda: worker.is_running() and rows() == [("2024-01-01T11:00:00.5Z",)],
                 lambda: f"{rows()} {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def types_behind_an_aggregate_are_groups_of_their_own(at):
    sink = ("sqlite: { file: o.db, table: rows, mode: upsert, key: [at, id], columns: {"
            " at: { value: $.at, type: timestamptz }, id: { value: $.id, type: jsonb },"
            " last: { value: $.last, type: text }, n: { value: $.n, type: integer } } }")
    text = AGGREGATE % ("{ at: $.at, id: $.id }", "n: count(*), last: max($.s)", sink)
    with Worker(at, text) as worker:
        produce(worker.address, "t", [
            f'{{"at":"2024-02-29T12:30:00Z","id":{each},"s":"s{number}"}}'
            for number, each in enumerate(["7", '"7"', '{"a":1}', "[1]", "7"])])

        def rows():
            with sqlite3.connect(at / "o.db") as database:
                return database.execute("SELECT id, last, n FROM rows ORDER BY id").fetchall()
        wanted = [('"7"', "s1", 1), ("7", "s4", 2), ("[1]", "s3", 1), ('{"a":1}', "s2", 1)]
        wait_for(lambda: worker.is_running() and rows() == wanted,
                 lambda: f"{rows()} {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")
