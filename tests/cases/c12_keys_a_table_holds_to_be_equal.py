"""Upserts of keys that the table holds to be equal, in one commit: one row, the last record's; and
the audit says what it cannot know instead of finding fault."""

import contextlib
import re
import sqlite3

from harness import (Worker, audit, check, log_of, onceflow, produce, shared_postgres, wait_for)
from harness.kafka_admin import create_topic

NAMES = ["Bob@shop.example", "bob@shop.example", "ann@shop.example", "BOB@shop.example"]

IGNORES_CASE = ("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2',"
                " deterministic = false);")

PIPELINE = """
name: p
commit.interval.ms: 300
source: {{ kafka: {{ topics: [users] }} }}
sinks:
  - {sink}: {{ {target}, table: users, mode: upsert, key: email,
      columns: {{ email: $.email, n: {{ value: $.n, type: integer }} }} }}
"""


def postgres_pipeline(table):
    server = shared_postgres()
    dsn = server.new_database()
    server.query(table, dsn)
    return server, dsn, PIPELINE.format(sink="postgres", target=f"dsn: '{dsn}'")


def run_users(at, pipeline, names, rows):
    """The rows, once the last record is one; all records come within one commit."""
    with Worker(at, pipeline) as worker:
        create_topic(worker.address, "users", 1)
        wait_for(worker.is_running, "a running stage")
        produce(worker.address, "users", [{"email": name, "n": n} for n, name in enumerate(names)])
        wait_for(lambda: any(int(n) == len(names) - 1 for _, n in rows()), worker.said)
        found = rows()
        check("answer was lost" not in worker.said(), worker.said())
        check(worker.stop() == 0, worker.said())
    return found


def an_icu_collation_that_ignores_case(at):
    server, dsn, pipeline = postgres_pipeline(
        IGNORES_CASE +
        "CREATE TABLE users (email text COLLATE ci PRIMARY KEY, n bigint, onceflow_source text)")
    rows = run_users(at, pipeline, NAMES, lambda: server.query(
        "SELECT email, n FROM users ORDER BY n", dsn))
    check(rows == [["ann@shop.example", "2"], ["BOB@shop.example", "3"]], rows)
    said = audit(at, code=None)
    check("missing" not in said and "altered" not in said, said)
    check("to the last row" not in said and "not covered" in said, said)


def a_trigger_that_changes_keys_is_refused_and_the_file_makes_them(at):
    server, dsn, pipeline = postgres_pipeline(
        "CREATE TABLE users (email text PRIMARY KEY, n bigint, onceflow_source text);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.email = lower(NEW.email); RETURN NEW; END';"
        "CREATE TRIGGER f BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()")
    with Worker(at, pipeline) as worker:
        create_topic(worker.address, "users", 1)
        produce(worker.address, "users", [{"email": name, "n": n} for n, name in enumerate(NAMES)],
                good=False)
        check(worker.wait() == 1, worker.said())
        for words in ("refuses the row of users-0@0", "under its key there is none of this record",
                      "(the table's triggers: f)", "the fix: let the trigger"):
            check(words in worker.said(), f"{words}: {worker.said()}")
    check(server.query("SELECT count(*) FROM users", dsn) == [["0"]], "nothing was written")
    # The fix; a row's key is made of another expression, so its rows are kept by another key.
    changed = pipeline.replace("$.email", "lower($.email)")
    (at / "p.yaml").write_text(changed, encoding="utf-8")
    onceflow("reset", "p.yaml", *log_of(at), "--to-earliest", "--keep-rows", "--execute", at=at)
    with Worker(at, changed) as worker:
        wait_for(lambda: server.query("SELECT email, n FROM users ORDER BY n", dsn) ==
                 [["ann@shop.example", "2"], ["bob@shop.example", "3"]], worker.said)
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_collation_of_sqlite(at):
    database = sqlite3.connect(at / "users.db")
    database.execute("CREATE TABLE users (email TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER,"
                     " onceflow_source TEXT)")
    rows = run_users(at, PIPELINE.format(sink="sqlite", target="file: users.db"), NAMES,
                     lambda: database.execute("SELECT email, n FROM users ORDER BY n").fetchall())
    check(rows == [("ann@shop.example", 2), ("BOB@shop.example", 3)], rows)
    said = audit(at, code=None)
    check("missing" not in said and "altered" not in said, said)
    check("to the last row" not in said and "not covered" in said, said)


def keys_that_differ_are_as_they_were(at):
    server, dsn, pipeline = postgres_pipeline(
        "CREATE TABLE users (email text PRIMARY KEY, n bigint, onceflow_source text)")
    rows = run_users(at, pipeline, NAMES, lambda: server.query(
        "SELECT email, n FROM users ORDER BY n", dsn))
    check([row[1] for row in rows] == ["0", "1", "2", "3"], rows)
    check("to the last row" in audit(at), "an audit of different keys")


def an_index_of_another_equality_is_refused_and_the_fix_helps(at):
    """By the index Bob and bob, or bob and bob with a space, are one row, by the column two;
    or the other way round."""
    for number, (column, index, compares, count) in enumerate((
            ("text", "email COLLATE ci", "collation public.ci", 4),
            ("text COLLATE ci", 'email COLLATE "C"', 'collation pg_catalog."C"', 2),
            ("text", "email bpchar_ops", "operator class pg_catalog.bpchar_ops", 4),
            ("varchar(20) PRIMARY KEY", "email bpchar_pattern_ops",
             "operator class pg_catalog.bpchar_pattern_ops", 4))):
        folder = at / str(number)
        folder.mkdir()
        server, dsn, pipeline = postgres_pipeline(
            IGNORES_CASE + f"CREATE TABLE users (email {column} NOT NULL, n bigint,"
            f" onceflow_source text); CREATE UNIQUE INDEX own ON users ({index})")
        with Worker(folder, pipeline) as worker:
            create_topic(worker.address, "users", 1)
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check(f"its unique index public.own compares column email by the {compares}" in said, said)
        server.query(re.search(r"the fix: (CREATE UNIQUE INDEX .*?; DROP INDEX [\w.]+)", said)[1],
                     dsn)
        (folder / "mended").mkdir()
        rows = run_users(folder / "mended", pipeline, NAMES,
                         lambda: server.query("SELECT email, n FROM users ORDER BY n", dsn))
        check(len(rows) == count, rows)


def indexes_that_change_no_equality_are_taken(at):
    """One of another order, and one that PostgreSQL holds to be invalid and so does not look at."""
    server, dsn, pipeline = postgres_pipeline(
        IGNORES_CASE + "CREATE TABLE users (email varchar(20), n bigint, onceflow_source text);"
        "CREATE UNIQUE INDEX ON users (email varchar_pattern_ops);"
        "INSERT INTO users VALUES ('Bob'), ('bob')")
    with contextlib.suppress(AssertionError):
        server.query("CREATE UNIQUE INDEX CONCURRENTLY own ON users (email COLLATE ci)", dsn)
    server.query("TRUNCATE users", dsn)
    check(server.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'own'::regclass", dsn)
          == [["f"]], "the index is valid")
    names = ["bob", "ann", "bob ", "bob"]
    rows = run_users(at, pipeline, names, lambda: server.query(
        "SELECT email, n FROM users ORDER BY n", dsn))
    check(rows == [["ann", "1"], ["bob ", "2"], ["bob", "3"]], rows)
    check("to the last row" in audit(at), "an audit of different keys")


def an_index_of_a_partition_is_refused_with_its_parents(at):
    server, dsn, pipeline = postgres_pipeline(
        IGNORES_CASE + "CREATE TABLE whole (email text, n bigint, onceflow_source text)"
        " PARTITION BY LIST (n); CREATE TABLE users PARTITION OF whole DEFAULT;"
        "CREATE UNIQUE INDEX own ON whole (email COLLATE ci, n)")
    pipeline = pipeline.replace("key: email", "key: [email, n]")
    with Worker(at, pipeline) as worker:
        create_topic(worker.address, "users", 1)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("its unique index public.users_email_n_idx compares column email by" in said, said)
    server.query(re.search(r"the fix: (CREATE UNIQUE INDEX .*?; DROP INDEX public.own)", said)[1],
                 dsn)
    (at / "mended").mkdir()
    rows = run_users(at / "mended", pipeline, NAMES, lambda: server.query(
        "SELECT email, n FROM users ORDER BY n", dsn))
    check(len(rows) == 4, rows)


def an_index_that_comes_while_rows_are_written_is_refused(at):
    server, dsn, pipeline = postgres_pipeline(
        IGNORES_CASE +
        "CREATE TABLE users (email text PRIMARY KEY, n bigint, onceflow_source text)")
    with Worker(at, pipeline) as worker:
        create_topic(worker.address, "users", 1)
        wait_for(worker.is_running, "a running stage")
        produce(worker.address, "users", [{"email": "Bob", "n": 0}])
        wait_for(lambda: server.query("SELECT email FROM users", dsn), worker.said)
        server.query("CREATE UNIQUE INDEX own ON users (email COLLATE ci)", dsn)
        produce(worker.address, "users", [{"email": "bob", "n": 1}], good=False)
        check(worker.wait() == 1, worker.said())
        check("its unique index public.own compares column email" in worker.said(), worker.said())
    check(server.query("SELECT email, n FROM users", dsn) == [["Bob", "0"]], "another key's row")


def an_index_of_sqlite_of_another_equality_is_refused_and_the_fix_helps(at):
    index = "CREATE UNIQUE INDEX own ON users (email COLLATE {})"
    for name, column, other, count in (("index", "TEXT NOT NULL", index.format("NOCASE"), 4),
                                       ("column", "TEXT COLLATE NOCASE", index.format("BINARY"),
                                        2),
                                       ("constraint", "TEXT, UNIQUE (email COLLATE NOCASE)", "",
                                        0)):
        folder = at / name
        (folder / "mended").mkdir(parents=True)
        pipeline = PIPELINE.format(sink="sqlite", target=f"file: '{folder}/users.db'")
        database = sqlite3.connect(folder / "users.db", isolation_level=None)
        database.executescript("CREATE TABLE users (n INTEGER, onceflow_source TEXT, "
                               f"email {column}); {other}")
        with Worker(folder, pipeline) as worker:
            create_topic(worker.address, "users", 1)
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check("compares column email by the collation" in said, said)
        if not other:
            check("make the table anew with COLLATE NOCASE at the column itself" in said, said)
            continue
        database.executescript(re.search(r"the fix: (CREATE UNIQUE INDEX .*?; DROP INDEX \S+)",
                                         said)[1].rstrip(";"))
        rows = run_users(folder / "mended", pipeline, NAMES, lambda here=database: here.execute(
            "SELECT email, n FROM users ORDER BY n").fetchall())
        check(len(rows) == count, rows)
