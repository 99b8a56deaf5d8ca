"""Tables that people empty, replace and restore: each record is a row once, or the stage stops and
its choices help."""

import re
import sqlite3
import subprocess

from harness import (Broker, Worker, audit, check, consume, onceflow, produce, shared_postgres,
                     wait_for)
from harness.kafka_admin import create_topic

SOURCE = "source: { kafka: { topics: [in], group.id: g } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"
OURS = ("DELETE FROM onceflow_positions", "DELETE FROM onceflow_receipts")


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def query(here, *statements):
    with sqlite3.connect(here / "out.db", timeout=10) as database:
        return [database.execute(each).fetchall() for each in statements][-1]


def rows(here, table="t"):
    try:
        return sorted(row[0] for row in query(here, f"SELECT n FROM {table}"))
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def has_rows(here, count):
    wait_for(lambda: len(rows(here)) == count, lambda: f"{count} rows, but {rows(here)}", 40)


def refused(here, text=None, *words):
    with Worker(here, text, wait=False) as worker:
        check(worker.wait(40) == 1, "it did not stop")
        for word in words:
            check(word in worker.said(), f"{word}: {worker.said()}")
        return worker.said()


def fill(here, text, count=10):
    """`count` rows from two partitions, and an end in order."""
    with Worker(here, text) as worker:
        create_topic(worker.address, "in", 2)
        produce(worker.address, "in", numbers(0, count // 2), "-p", 0)
        produce(worker.address, "in", numbers(count // 2, count), "-p", 1)
        has_rows(here, count)
        check(worker.stop() == 0, worker.said())


def goes_on(here, text=None, count=11):
    with Worker(here, text) as worker:
        produce(worker.address, "in", [{"n": 1000}], "-p", 0)
        has_rows(here, count)
        check(worker.stop() == 0, worker.said())


def our_tables_lost_while_it_is_stopped_and_the_rows_are_kept(at):
    fill(at, LITE)
    query(at, *OURS)
    refused(at, LITE, "table t has rows of topic in, ", "DELETE FROM \"t\" WHERE "
            "substr(onceflow_source, 1, 3) = 'in/'; or",
            "--to-earliest --keep-rows --execute, or --to-latest")
    check(len(rows(at)) == 10, rows(at))
    onceflow("reset", "p.yaml", "--data-dir", "data", "--to-latest", "--keep-rows", "--execute",
             at=at)
    goes_on(at)


def our_tables_lost_while_it_runs_and_the_rows_are_taken_away(at):
    with Worker(at, LITE) as worker:
        create_topic(worker.address, "in", 2)
        produce(worker.address, "in", numbers(0, 10), "-p", 0)
        has_rows(at, 10)
        query(at, *OURS)
        produce(worker.address, "in", numbers(10, 14), "-p", 0, good=False)
        check(worker.wait(40) == 1, "it did not stop")
        check("table t has rows of topic in" in worker.said(), worker.said())
    check(rows(at) == list(range(10)), rows(at))
    query(at, "DELETE FROM \"t\" WHERE substr(onceflow_source, 1, 3) = 'in/'")
    with Worker(at, None) as worker:
        has_rows(at, len(set(rows(at))) or 14)
        wait_for(lambda: rows(at)[-1:] in ([9], [13]), "the last row", 40)
        check(worker.stop() == 0, worker.said())
    check(len(rows(at)) == len(set(rows(at))), rows(at))


def our_tables_dropped_and_all_written_again_on_purpose(at):
    fill(at, LITE)
    query(at, "DROP TABLE onceflow_positions", "DROP TABLE onceflow_receipts")
    refused(at, LITE, "table t has rows of topic in")
    said = onceflow("reset", "p.yaml", "--data-dir", "data", "--to-earliest", "--delete-rows",
                    "--execute", at=at)
    check("delete 10 rows of table t" in said, said)
    goes_on(at)
    audit(at)


def rows_behind_an_internal_topic_are_kept_when_it_is_said(at):
    two = (f"name: p\n{SOURCE}\nsinks:\n  - sqlite: {{ file: out.db, table: t, {COLUMNS} }}\n"
           f"  - sqlite: {{ file: out.db, table: u, {COLUMNS} }}\n")
    fill(at, two)
    wait_for(lambda: query(at, "SELECT count(*) FROM u") == [(10,)], "10 rows of u")
    query(at, *OURS)
    refused(at, two, "has rows of topic p-")
    onceflow("reset", "p.yaml", "--data-dir", "data", "--to-latest", "--keep-rows", "--execute",
             at=at)
    goes_on(at, two)


def a_table_that_another_one_has_replaced_is_put_back_or_given_up(at):
    fill(at, LITE)
    with Worker(at, None) as worker:
        wait_for(worker.is_running, "a running stage")
        query(at, "ALTER TABLE t RENAME TO old", "CREATE TABLE t (n INTEGER, onceflow_source TEXT)")
        produce(worker.address, "in", [{"n": 77}], "-p", 0, good=False)
        check(worker.wait(40) == 1, "it did not stop")
        for word in ["table t may be another one than rows were written to", "is not in it",
                     "UPDATE onceflow_positions SET table_id = 'any' WHERE pipeline = 'p' AND "
                     "stage = 'sqlite'"]:
            check(word in worker.said(), f"{word}: {worker.said()}")
    check(rows(at) == [], rows(at))
    query(at, "DROP TABLE t", "ALTER TABLE old RENAME TO t")
    goes_on(at, None, 12)
    query(at, "DROP TABLE t", "CREATE TABLE t (n INTEGER, onceflow_source TEXT)")
    refused(at, None, "table t ")
    query(at, "UPDATE onceflow_positions SET table_id = 'any' WHERE pipeline = 'p' AND "
          "stage = 'sqlite'")
    goes_on(at, None, 1)


def a_postgresql_that_is_dumped_and_restored_goes_on_and_a_replaced_table_does_not(at):
    server = shared_postgres()
    old, new = server.new_database(), server.new_database()

    def pipeline(dsn):
        return f"name: p\n{SOURCE}\nsinks: [ postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} ]\n"

    def has(dsn, count):
        wait_for(lambda: server.query("SELECT count(*), count(DISTINCT n) FROM t", dsn)
                 == [[str(count)] * 2], f"{count} rows", 40)

    with Worker(at, pipeline(old)) as worker:
        create_topic(worker.address, "in", 1)
        produce(worker.address, "in", numbers(0, 10))
        wait_for(lambda: server.query("SELECT to_regclass('t') IS NOT NULL", old) == [["t"]],
                 "a table")
        has(old, 10)
        check(worker.stop() == 0, worker.said())
    server.query("CREATE TABLE beside (n int)", new)  # so that the ids are others
    dump = subprocess.run(["pg_dump", old], check=True, capture_output=True)
    subprocess.run(["psql", "-q", new], input=dump.stdout, check=True, capture_output=True)
    with Worker(at, pipeline(new)) as worker:
        produce(worker.address, "in", numbers(10, 12))
        has(new, 12)
        check("it was restored or copied, and the stage goes on with it" in worker.said(),
              worker.said())
        server.query("ALTER TABLE t RENAME TO o; CREATE TABLE t (LIKE o INCLUDING ALL)", new)
        produce(worker.address, "in", numbers(12, 13), good=False)
        check(worker.wait(40) == 1, "it did not stop")
        check("table t is another one than rows were written to up to in/0@12" in worker.said(),
              worker.said())
    server.query("DROP TABLE t; ALTER TABLE o RENAME TO t", new)
    with Worker(at, pipeline(new)) as worker:
        wait_for(worker.is_running, "a running stage")
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_sqlite_table_that_is_emptied_and_compacted_goes_on(at):
    fill(at, LITE)
    query(at, "DELETE FROM t")
    with sqlite3.connect(at / "out.db", isolation_level=None) as database:
        database.execute("VACUUM")
    with Worker(at, None) as worker:
        produce(worker.address, "in", numbers(10, 12), "-p", 0)
        has_rows(at, 2)
        check("is not in it any more; the tables of the file were changed once" in worker.said(),
              worker.said())
        query(at, "DELETE FROM t")
        with sqlite3.connect(at / "out.db", isolation_level=None) as database:
            database.execute("VACUUM")
        produce(worker.address, "in", numbers(12, 13), "-p", 0)
        has_rows(at, 1)
        check(worker.stop() == 0, worker.said())
    said = audit(at, code=1)
    check("missing: table t" in said and "doubled" not in said, said)


def rows_of_two_pipelines_in_one_table_are_each_ones_own(at):
    def part(name, topic):
        folder = at / name
        folder.mkdir()
        text = (LITE.replace("name: p", f"name: {name}").replace("group.id: g", f"group.id: {name}")
                .replace("out.db", f"'{at / 'out.db'}'").replace("[in]", f"[{topic}]"))
        return folder, text

    with Broker(at) as broker:
        for number, topic in enumerate(["in", "in2"]):
            create_topic(broker.address, topic, 1)
            produce(broker.address, topic, numbers(5 * number, 5 * number + 5))
        for count, (folder, text) in zip([5, 10], [part("p", "in"), part("q", "in2")]):
            with Worker(folder, text, servers=broker.address) as worker:
                has_rows(at, count)
                check(worker.stop() == 0, worker.said())
        for name, other in [("p", "q"), ("q", "p")]:
            said = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at / name)
            check(f"table t: 5 rows of pipeline {other}" in said, said)
        query(at, "INSERT INTO t SELECT * FROM t WHERE n = 7")
        said = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at / "p",
                        code=1)
        check("1 foreign" in said, said)


def the_records_of_another_pipelines_rows_are_refused(at):
    """A row is known by its record alone: a lost one would look like the other's."""
    def beside(name):
        folder = at / name
        folder.mkdir()
        return folder, (LITE.replace("name: p", f"name: {name}")
                        .replace("group.id: g", f"group.id: {name}")
                        .replace("out.db", f"'{at / 'out.db'}'"))

    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        produce(broker.address, "in", numbers(0, 5))
        first, text = beside("p")
        with Worker(first, text, servers=broker.address) as worker:
            has_rows(at, 5)
            check(worker.stop() == 0, worker.said())
        second, other = beside("q")
        words = ("table t: pipeline 'p', sink sqlite, writes the records of topic in to it, too",
                 "DELETE FROM onceflow_positions WHERE pipeline = 'p' AND stage = 'sqlite'")
        with Worker(second, other, servers=broker.address, wait=False) as worker:
            check(worker.wait(40) == 1, worker.said())
            said = worker.said()
        planned = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=second,
                           code=1)
        for word in words:
            check(word in said and word in planned, f"{word}: {said} {planned}")
        check(rows(at) == list(range(5)), rows(at))
        # The fix: a table of its own.
        with Worker(second, other.replace("table: t", "table: u"),
                    servers=broker.address) as worker:
            wait_for(lambda: worker.stage("sqlite")["totals"]["records_out"] == 5, worker.said, 40)
            check(worker.stop() == 0, worker.said())
        for folder in (first, second):
            onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=folder)
        # Or the other one does not run again, and this one asks what becomes of its rows.
        third, after = beside("r")
        query(at, words[1])
        with Worker(third, after, servers=broker.address, wait=False) as worker:
            check(worker.wait(40) == 1, worker.said())
            taken = "DELETE FROM \"t\" WHERE substr(onceflow_source, 1, 3) = 'in/'"
            check(taken in worker.said(), worker.said())
        query(at, taken)
        with Worker(third, after, servers=broker.address) as worker:
            has_rows(at, 5)
            check(worker.stop() == 0, worker.said())
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=third)


def a_delete_that_a_message_prints_takes_its_own_rows_alone(at):
    """`_` of a topic's name is no pattern, and large letters are not small ones."""
    def rows_of(name, topic):
        return f"name: {name}\nsource: {{ kafka: {{ topics: [{topic}] }} }}\n" \
               f"sinks: [ sqlite: {{ file: out.db, table: order, {COLUMNS} }} ]\n"
    def written():
        try:
            return [row[0] for row in query(at, 'SELECT onceflow_source FROM "order"')]
        except sqlite3.OperationalError:
            return []  # Nobody has made the table yet.
    topics = (("p", "a_b"), ("q", "a-b"), ("r", "A_b"))
    for name, topic in topics:
        with Worker(at, rows_of(name, topic)) as worker:
            create_topic(worker.address, topic, 1)
            produce(worker.address, topic, numbers(0, 2))
            wait_for(lambda: len(written()) == 2 * topics.index((name, topic)) + 2, worker.said)
            check(worker.stop() == 0, worker.said())
    query(at, "DELETE FROM onceflow_positions WHERE pipeline = 'p'",
          "DELETE FROM onceflow_receipts WHERE pipeline = 'p'")
    with Worker(at, rows_of("p", "a_b"), wait=False) as worker:
        check(worker.wait(40) == 1, worker.said())
        said = worker.said()
    printed = said[said.index("DELETE FROM "):].partition(";")[0]
    query(at, printed)
    check(sorted(written()) == ["A_b/0/0", "A_b/0/1", "a-b/0/0", "a-b/0/1"], printed)


def another_table_in_the_file_gets_what_comes_once_that_is_said(at):
    behind_a_topic = LITE.replace("[ sqlite", "[ kafka: { topic: o }, sqlite")
    for folder, text in ((at / "lone", LITE), (at / "behind", behind_a_topic)):
        folder.mkdir()
        fill(folder, text)
        other = text.replace("table: t,", "table: t2,")
        refused(folder, other, "reset p.yaml", "--to-current")
        onceflow("reset", "p.yaml", "--data-dir", "data", "--to-current", "--execute", at=folder)
        with Worker(folder, other) as worker:
            produce(worker.address, "in", [{"n": 1000}], "-p", 0)
            wait_for(lambda here=folder: rows(here, "t2") == [1000], worker.said)
            check(worker.stop() == 0, worker.said())
        check(len(rows(folder)) == 10, rows(folder))
        said = onceflow("audit", "p.yaml", "--data-dir", "data", at=folder)
        check("or in another table" in said and "1 row verified in the table" in said, said)


def a_database_that_is_lost_is_not_covered_by_the_audit(at):
    behind_a_topic = LITE.replace("[ sqlite", "[ kafka: { topic: out }, sqlite")
    for folder, text, code, verdict in ((at / "lone", LITE, 2, "nothing to judge"),
                                        (at / "behind", behind_a_topic, 0, "1 part not covered")):
        folder.mkdir()
        fill(folder, text)
        (folder / "out.db").unlink()
        said = onceflow("audit", "p.yaml", "--data-dir", "data", at=folder, code=code)
        check("the database of stage sqlite has neither table t nor a receipt" in said, said)
        check(verdict in said and "to the last row" not in said, said)


def our_two_tables_restored_without_the_rows_stop_it(at):
    """Positions and receipts that agree are not the whole database: the group knows more."""
    server = shared_postgres()
    ours = ("onceflow_positions", "onceflow_receipts")
    behind_a_topic = LITE.replace("[ sqlite", "[ kafka: { topic: out }, sqlite")
    postgres = LITE.replace("sqlite: { file: out.db", "postgres: {{ dsn: '{}'")
    for name, text in (("lone", LITE), ("behind", behind_a_topic), ("postgres", postgres)):
        here = at / name
        here.mkdir()
        dsn = server.new_database()
        is_postgres = name == "postgres"
        text = text.replace("{{", "{").replace("{}", dsn) if is_postgres else text

        def ask(*statements, where=here, database=dsn, asks_postgres=is_postgres):
            if asks_postgres:
                return server.query("; ".join(statements), database)
            return [list(map(str, row)) for row in query(where, *statements)]

        def found(asks=ask):
            try:
                return sorted(int(n) for n, in asks("SELECT n FROM t"))
            except (AssertionError, sqlite3.OperationalError):
                return []

        def feed(first, last, rows_of=found, where=here, file=text):
            with Worker(where, file) as worker:
                produce(worker.address, "in", numbers(first, last))
                wait_for(lambda: set(range(last)) <= set(rows_of()) and worker.is_running(),
                         lambda: f"{rows_of()}: {worker.said()}", 40)
                check(worker.stop() == 0, worker.said())

        def put_back(asks=ask, how="OVERRIDING SYSTEM VALUE " if is_postgres else ""):
            for each in ours:
                asks(f"DELETE FROM {each}", f"INSERT INTO {each} {how}SELECT * FROM copy_of_{each}")

        feed(0, 5)
        for each in ours:
            ask(f"CREATE TABLE copy_of_{each} AS SELECT * FROM {each}")
        feed(5, 10)
        put_back()
        words = ("table t has a row of ", "the two were restored without the rows", "DELETE FROM")
        for planned in (onceflow("plan", "p.yaml", "--data-dir", "data", at=here, code=1),
                        refused(here, None, *words)):
            for word in words:
                check(word in planned, f"{name}: {word}: {planned}")
        check(found() == list(range(10)), found())
        # The fixes: the rows that come again are taken away, ...
        said = refused(here)
        deletion = re.search(r"come again: (DELETE FROM .*? END); or", said)[1]
        ask(deletion)
        check(found() == list(range(5)), found())
        feed(10, 12)
        check(found() == list(range(12)), found())
        audit(here)
        # ... or stay, which is said once.
        put_back()
        ask(re.search(r"(UPDATE onceflow_positions SET .*? AND stage = '\w+')", refused(here))[1])
        feed(12, 13)
        check(len(found()) == 20, found())
        feed(13, 14)
        check("doubled" in audit(here, code=1), "the audit names them")


def a_name_that_the_sink_had_before_hides_no_rows(at):
    named = LITE.replace("[ sqlite:", "[ { id: a, sqlite:").replace("} ]", "} } ]")
    renamed = named.replace("id: a", "id: b")
    ours = ("onceflow_positions", "onceflow_receipts")

    def feed(text, first, last):
        with Worker(at, text) as worker:
            produce(worker.address, "in", numbers(first, last))
            has_rows(at, last)
            check(worker.stop() == 0, worker.said())

    feed(named, 0, 5)
    (at / "p.yaml").write_text(renamed)
    onceflow("reset", "p.yaml", "--to-current", "--execute", "--data-dir", "data", at=at)
    feed(renamed, 5, 10)
    query(at, *(f"CREATE TABLE copy_of_{each} AS SELECT * FROM {each}" for each in ours))
    feed(renamed, 10, 15)
    query(at, *(sql for each in ours for sql in (
        f"DELETE FROM {each}", f"INSERT INTO {each} SELECT * FROM copy_of_{each}")))
    refused(at, None, "table t has a row of in/0/10", "the two were restored without the rows")
    check(rows(at) == list(range(15)), rows(at))


def our_two_tables_restored_under_a_worker_stop_it(at):
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        with Worker(at, LITE, servers=broker.address) as worker:
            produce(broker.address, "in", numbers(0, 5))
            has_rows(at, 5)
            ours = ("onceflow_positions", "onceflow_receipts")
            query(at, *(f"CREATE TABLE copy_of_{each} AS SELECT * FROM {each}" for each in ours))
            produce(broker.address, "in", numbers(5, 10))
            has_rows(at, 10)
            query(at, "BEGIN IMMEDIATE", *(
                sql for each in ours for sql in (
                    f"DELETE FROM {each}", f"INSERT INTO {each} SELECT * FROM copy_of_{each}")))
            produce(broker.address, "in", numbers(10, 11))
            check(worker.wait(40) == 1, "it did not stop")
            check("were restored without the rows" in worker.said(), worker.said())
        check(rows(at) == list(range(10)), rows(at))


def a_restored_database_is_said_with_what_is_written_again(at):
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        with Worker(at, LITE, servers=broker.address) as worker:
            produce(broker.address, "in", numbers(0, 10))
            has_rows(at, 10)
            query(at, "BEGIN IMMEDIATE", *OURS, "DELETE FROM t")
            produce(broker.address, "in", numbers(10, 11))
            has_rows(at, 11)
            said = worker.said()
            check("in-0 went back from 10 to 0, with the receipts: the database was restored; "
                  "these records are written again: in-0@0..9" in said, said)
            check("another worker" not in said, said)
            check(worker.stop() == 0, worker.said())


UPSERT = ("name: p\n" + SOURCE.replace("{", "{{").replace("}", "}}")
          + "\nsteps: [{{ id: w, where: \"{where}\" }}]\nsinks: [ sqlite: {{ file: out.db, "
          "table: t, mode: upsert, key: [n], columns: {{ n: key, v: $.v }} }} ]\n")


def deletions_pass_a_where_on_fields_and_one_that_speaks_of_them_is_obeyed(at):
    for name, where, left in [
            ("field", "$.v <> 'no'", ["b"]),
            ("coalesce", "coalesce($.v, '') = 'yes'", ["b"]),
            ("not_null", "$.v is not null", ["b"]),
            ("valid", "json_valid(value)", ["a", "b"]),
            ("null_or_valid", "value is null or json_valid(value)", ["b"]),
            ("key", "key <> 'c'", ["b"]),
            ("kept_out", "value is not null and $.v <> 'no'", ["a", "b"])]:
        here = at / name
        here.mkdir()
        with Worker(here, UPSERT.format(where=where)) as worker:
            create_topic(worker.address, "in", 1)
            produce(worker.address, "in", ['a|{"v":"yes"}', 'b|{"v":"yes"}', "a|"], "-K", "|",
                    "-Z")
            produce(worker.address, "in", ['z|{"v":"yes"}'], "-K", "|")
            wait_for(lambda: "z" in rows(here), worker.said)
            check(rows(here) == [*left, "z"], f"{where}: {rows(here)}")
            check(worker.stop() == 0, worker.said())
        audit(here)


def a_foreign_record_in_the_changelog_is_named(at):
    text = (f"name: p\n{SOURCE}\nsteps: [{{ id: a, key: $.k, aggregate: {{ n: count(*) }} }}]\n"
            "sinks: [ kafka: { topic: out } ]\n")
    for name, record in [("garbage", "a|garbage"), ("tombstone", "a|")]:
        here = at / name
        here.mkdir()
        with Broker(here) as broker:
            create_topic(broker.address, "in", 1)
            with Worker(here, text, servers=broker.address) as worker:
                produce(broker.address, "in", [{"k": "a"}])
                wait_for(lambda: consume(broker.address, "out") == ['{"k":"a","n":1}'], worker.said)
                check(worker.stop() == 0, worker.said())
            produce(broker.address, "p-a-changelog", [record], "-K", "|", "-Z", "-p", 0)
            with Worker(here, None, servers=broker.address, wait=False) as worker:
                check(worker.wait(40) == 1, "it did not stop")
                for word in ["p-a-changelog-0@", "this record is not one of the pipeline's",
                             "count of key 'a'"]:
                    check(word in worker.said(), f"{word}: {worker.said()}")


def one_table_under_two_spellings_is_refused(at):
    def sinks(*each):
        text = f"name: p\n{SOURCE}\nsinks:\n" + "".join(f"  - {sink}\n" for sink in each)
        (at / "p.yaml").write_text(text, encoding="utf-8")
        said = onceflow("validate", "p.yaml", at=at, code=2)
        check("p.yaml:5: two sinks write table" in said, said)

    sinks("sqlite: { file: o.db, table: t }", "sqlite: { file: ./o.db, table: t }")
    sinks("sqlite: { file: o.db, table: t }", "sqlite: { file: a/../o.db, table: T }")
    sinks("postgres: { dsn: 'postgresql://u@h/d', table: t }",
          "postgres: { dsn: 'host=h port=5432 dbname=d user=v', table: public.t }")
    # Links are found out when the second sink claims its partitions.
    (at / "real").mkdir()
    (at / "link").symlink_to("real")
    text = (f"name: p\n{SOURCE}\nsinks:\n"
            f"  - sqlite: {{ file: real/o.db, table: t, {COLUMNS} }}\n"
            f"  - sqlite: {{ file: link/o.db, table: t, {COLUMNS} }}\n")
    with Worker(at, text, wait=False) as worker:
        wait_for(lambda: worker.get("/status"), "a status")
        create_topic(worker.address, "in", 1)
        check(worker.wait(40) == 1, "it did not stop")
        check("of this pipeline writes the records of" in worker.said(), worker.said())


def all_missing_topics_are_named(at):
    with Broker(at) as broker:
        with Worker(at, LITE.replace("[in]", "[orders, refunds]"),
                    servers=broker.address) as worker:
            wait_for(lambda: "orders, refunds, which do not exist" in worker.said(), worker.said)


def foreign_keys_of_sqlite_are_said_to_be_not_applied(at):
    """Of the table, and of another one to it; a table beside them has none."""
    columns = "columns: { id: { value: $.id, type: integer } }"
    def text(table):
        return (f"name: p-{table}\nsource: {{ kafka: {{ topics: [t] }} }}\n"
                f"sinks: [ sqlite: {{ file: '{at}/fk.db', table: {table}, {columns} }} ]\n")
    with sqlite3.connect(at / "fk.db") as database:
        database.executescript(
            "CREATE TABLE shops (id INTEGER PRIMARY KEY, onceflow_source TEXT);"
            "CREATE TABLE sales (id INTEGER REFERENCES Shops (id), onceflow_source TEXT);"
            "CREATE TABLE other (id INTEGER PRIMARY KEY, onceflow_source TEXT)")
    for table, warned in (("sales", "table sales has FOREIGN KEYs from it or to it (Shops)"),
                          ("shops", "table shops has FOREIGN KEYs from it or to it (sales)"),
                          ("other", None)):
        here = at / table
        here.mkdir()
        with Worker(here, text(table)) as worker:
            produce(worker.address, "t", ['{"id":7}'])
            wait_for(lambda name=table: sqlite3.connect(at / "fk.db").execute(
                f"SELECT id FROM {name}").fetchall() == [(7,)], worker.said)
            said = worker.said()
            check(worker.stop() == 0, said)
        check(warned in said if warned else "FOREIGN KEY" not in said, said)
        planned = onceflow("plan", "p.yaml", "--data-dir", "data", at=here)
        check(warned is None or warned in planned, planned)


def a_table_in_pg_temp_is_refused_with_what_helps(at):
    dsn = shared_postgres().new_database()
    text = LITE.replace("sqlite: { file: out.db, table: t", f"postgres: {{ dsn: '{dsn}', table: T")
    with Worker(at, text.replace("table: T", "table: pg_temp.t")) as worker:
        create_topic(worker.address, "in", 1)
        check(worker.wait(40) == 1, worker.said())
        said = worker.said()
    check("it is UNLOGGED or temporary" in said, said)
    check("name an ordinary table as the sink's `table`" in said and "SET LOGGED" not in said, said)
    with Worker(at, text.replace("table: T", "table: t")) as worker:
        wait_for(worker.is_running, worker.said)
        check(worker.stop() == 0, worker.said())


def a_column_with_a_new_name_keeps_its_values(at):
    fill(at, LITE)
    renamed = LITE.replace("{ n: {", "{ m: {")
    said = refused(at, renamed, "it has no column m", "else ALTER TABLE \"t\" ADD COLUMN")
    query(at, re.search(r"(ALTER TABLE \S+ RENAME COLUMN \S+ TO \S+),", said).group(1))
    with Worker(at, renamed) as worker:
        produce(worker.address, "in", [{"n": 1000}], "-p", 0)
        wait_for(lambda: query(at, "SELECT count(m) FROM t") == [(11,)], worker.said)
        check(worker.stop() == 0, worker.said())
    audit(at)
