"""Tables that are there already have columns of other types than bigint and text: each keeps what
the record has, or refuses it by name, and the audit reads it back."""

from harness import Worker, audit, check, produce, shared_postgres, wait_for

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
            for word in ("t-0@0", "column v is ", shown, f"ALTER COLUMN v TYPE {fix}"):
                check(word in worker.said(), f"{word!r} is not in: {worker.said()}")
        check(database.query("SELECT count(*) FROM rows", dsn) == [["0"]], "a row was written")
        database.query(f"ALTER TABLE rows ALTER COLUMN v TYPE {fix}", dsn)
        with Worker(folder, pipeline) as worker:
            wait_for(lambda db=dsn: database.query("SELECT count(*) FROM rows", db) == [["1"]],
                     "the row")
            check(worker.stop() == 0, worker.said())
        audit(folder)
