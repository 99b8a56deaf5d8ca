"""A reset that a database would refuse is refused before its first act, with all that is missing;
and it says how many records nobody will read."""

import re
import sqlite3

from harness import (Broker, Worker, audit, check, cluster, onceflow, produce, shared_postgres,
                     wait_for)
from harness.kafka_admin import create_topic

SOURCE = "source: { kafka: { topics: [in], group.id: g } }"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
LITE = f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, {COLUMNS} }} ]\n"


class Guest:
    """A user of a database of its own, with the rights that a worker needs and no other."""

    def __init__(self):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.role = "guest_" + self.dsn.rsplit("/", 1)[1]
        self.sql(f"CREATE ROLE {self.role} LOGIN; GRANT CREATE ON SCHEMA public TO {self.role}")
        dsn = self.dsn.replace("onceflow@", self.role + "@")
        self.text = (f"name: p\n{SOURCE}\n"
                     f"sinks: [ postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} ]\n")

    def sql(self, text):
        return self.server.query(text, self.dsn)

    def owns_nothing(self):
        """Its tables are another's, who has given it what a worker needs."""
        self.sql(f"REVOKE CREATE ON SCHEMA public FROM {self.role};"
                 f"REASSIGN OWNED BY {self.role} TO onceflow;"
                 f"GRANT SELECT, INSERT ON t, onceflow_receipts TO {self.role};"
                 f"GRANT SELECT, INSERT, UPDATE ON onceflow_positions TO {self.role}")

    def close(self):
        self.sql(f"DROP OWNED BY {self.role} CASCADE; DROP ROLE {self.role}")


def filled(at, broker, text, count, records):
    with Worker(at, text, servers=broker.address) as worker:
        produce(broker.address, "in", records)
        wait_for(lambda: worker.stage(worker.status()["stages"][0]["stage"])["totals"]
                 ["records_out"] >= count, worker.said, 40)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def numbers(first, last):
    return [{"n": number} for number in range(first, last)]


def reset(at, broker, *arguments, code=0):
    return onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, *arguments, at=at,
                    code=code)


def all_rights_that_are_missing_are_said_before_anything_is_done(at):
    guest = Guest()
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, guest.text, 5, numbers(0, 5))
        guest.owns_nothing()
        start_over = ("--to-earliest", "--delete-rows")
        for more in ((), ("--execute",)):
            said = reset(at, broker, *start_over, *more, code=1)
            for word in ("GRANT DELETE ON public.onceflow_receipts TO " + guest.role,
                         "GRANT DELETE ON public.t TO " + guest.role, "nothing was done"):
                check(word in said, f"{word}: {said}")
            check("has not ended" not in said, said)
        # Nothing was begun: the pipeline goes on.
        filled(at, broker, guest.text, 1, numbers(5, 6))
        check(guest.sql("SELECT count(*) FROM t") == [["6"]], "the rows")
        guest.sql(re.search(r"the fix: (GRANT .*?); nothing was done", said)[1])
        reset(at, broker, *start_over, "--execute")
        check(guest.sql("SELECT count(*) FROM t") == [["0"]], "no rows")
        filled(at, broker, guest.text, 6, [])
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)
    guest.close()


def hidden_receipts_and_positions_are_never_taken_for_none(at):
    guest = Guest()
    with cluster(at) as broker:
        flags = ("--bootstrap.servers", broker.address)
        create_topic(broker.address, "in", 1)
        filled(at, broker, guest.text, 5, numbers(0, 5))
        guest.owns_nothing()
        guest.sql(f"GRANT DELETE ON t, onceflow_receipts TO {guest.role}")
        for table in ("onceflow_positions", "onceflow_receipts"):
            fix = f"ALTER TABLE public.{table} DISABLE ROW LEVEL SECURITY"
            guest.sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
                      f"CREATE POLICY p ON {table} USING (false) WITH CHECK (true)")
            for command in (("reset", "p.yaml", "--to-earliest", "--keep-rows", "--execute"),
                            ("plan", "p.yaml"), ("run", "p.yaml")):
                said = onceflow(*command, *flags, at=at, code=1)
                check(fix in said, f"{command}: {said}")
            said = onceflow("audit", "p.yaml", *flags, at=at, code=None)
            check("row-level security" in said and "clean" not in said, said)
            guest.sql(fix)
        onceflow("audit", "p.yaml", *flags, at=at)
    guest.close()


def a_trigger_that_keeps_rows_is_found_before_anything_is_done(at):
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, LITE, 5, numbers(0, 5))
        with sqlite3.connect(at / "out.db") as database:
            database.execute("CREATE TRIGGER stays BEFORE DELETE ON t BEGIN"
                             " SELECT RAISE(ABORT, 'it stays'); END")
        said = reset(at, broker, "--to-earliest", "--delete-rows", "--execute", code=1)
        check("it stays" in said and "nothing was done" in said, said)
        filled(at, broker, LITE, 1, numbers(5, 6))
        with sqlite3.connect(at / "out.db") as database:
            database.execute("DROP TRIGGER stays")
        reset(at, broker, "--to-earliest", "--delete-rows", "--execute")


def two_keys(key, extra=""):
    return (f"name: p\n{SOURCE}\nsinks: [ sqlite: {{ file: out.db, table: t, mode: upsert,"
            f" key: [{key}], columns: {{ id: $.id, kind: $.kind{extra} }} }} ]\n")


KINDS = [{"id": "1", "kind": "a"}, {"id": "1", "kind": "b"}]
WAYS = (("--to-current",), ("--to-latest", "--keep-rows"), ("--to-earliest", "--keep-rows"),
        ("--to-earliest", "--delete-rows"))


def a_table_that_run_would_refuse_is_refused_before_anything_is_done(at):
    """With all that does not fit it; the statements of the message mend it, and run begins."""
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, two_keys("id, kind"), 2, KINDS)
        (at / "p.yaml").write_text(two_keys("id", ", extra: $.extra, more: $.more"))
        for way in WAYS:
            for more in ((), ("--execute",)):
                said = reset(at, broker, *way, *more, code=1)
                fixes = re.findall(r"the fix: (ALTER TABLE .*?)(?:; \(|; run would)", said)
                check(len(fixes) == 2 and "nothing was done" in said, f"{way}: {said}")
        with sqlite3.connect(at / "out.db") as database:
            for fix in fixes:
                database.execute(fix)
        said = reset(at, broker, *WAYS[-1], "--execute", code=1)
        check("several of its rows have one key, 1" in said, said)
        fix, index, again = re.search(r"none of the rows is to stay: (DELETE .*?); (CREATE .*?); "
                                      r"and (onceflow reset p.yaml .*?);", said).groups()
        with sqlite3.connect(at / "out.db") as database:
            database.execute(fix)
            database.execute(index)
        onceflow(*again.split()[1:], at=at)
        filled(at, broker, two_keys("id", ", extra: $.extra, more: $.more"), 2, [])
        with sqlite3.connect(at / "out.db") as database:
            found = database.execute("SELECT id, kind FROM t").fetchall()
        check(found == [("1", "b")], found)
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def a_key_that_rows_of_postgres_share_is_named(at):
    server = shared_postgres()
    dsn = server.new_database()

    def text(key):
        return two_keys(key).replace("sqlite: { file: out.db", f"postgres: {{ dsn: '{dsn}'")
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, text("id, kind"), 2, KINDS)
        (at / "p.yaml").write_text(text("id"))
        for way in WAYS:
            said = reset(at, broker, *way, "--execute", code=1)
            check("several of its rows have one key, 1" in said and "nothing was done" in said,
                  f"{way}: {said}")
        fix = re.search(r"none of the rows is to stay: (DELETE .*?; CREATE .*?);", said)[1]
        server.query(fix, dsn)
        reset(at, broker, *WAYS[-1], "--execute")
        filled(at, broker, text("id"), 2, [])
        check(server.query("SELECT id, kind FROM t", dsn) == [["1", "b"]], "one row")
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def records_that_are_passed_over_are_counted(at):
    """Not their offsets: markers of transactions take some, too."""
    two = (f"name: p\n{SOURCE}\nsinks:\n  - {{ id: a, sqlite: {{ file: out.db, table: t, {COLUMNS}"
           f" }} }}\n  - {{ id: b, sqlite: {{ file: b.db, table: t, {COLUMNS} }} }}\n")
    with cluster(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, two, 5, numbers(0, 5))
        produce(broker.address, "in", numbers(5, 12))
        said = reset(at, broker, "--to-latest", "--keep-rows")
        check("in-0 offsets 5..11 (7 records): not read so far, and passed over" in said, said)
        said = reset(at, broker, "--to-datetime", "2036-01-01T00:00:00", "--keep-rows")
        check("in-0 offsets 5..11 (7 records): not read so far, and passed over" in said, said)
        for beginning in (("--to-earliest",), ("--to-datetime", "2020-01-01T00:00:00")):
            said = reset(at, broker, *beginning, "--keep-rows")
            check("passed over" not in said, said)


def tables_of_one_name_are_told_apart(at):
    two = (f"name: p\n{SOURCE}\nsinks:\n  - {{ id: a, sqlite: {{ file: a.db, table: t, {COLUMNS}"
           f" }} }}\n  - {{ id: b, sqlite: {{ file: b.db, table: t, {COLUMNS} }} }}\n")
    with Worker(at, two) as worker:
        create_topic(worker.address, "in", 1)
        produce(worker.address, "in", numbers(0, 5))
        wait_for(lambda: all(stage["totals"]["records_out"] == 5
                             for stage in worker.status()["stages"]), worker.said, 40)
        check(worker.stop() == 0, worker.said())
    for name in ("a.db", "b.db"):
        with sqlite3.connect(at / name) as database:
            database.execute("DELETE FROM t WHERE n = 3")
    said = audit(at, code=1)
    for name in ("a", "b"):
        check(f"table t (sink {name}, {name}.db)" in said, said)


def a_log_without_room_says_so(at):
    """It said that a flush was not in time."""
    with Broker(at) as broker:
        create_topic(broker.address, "in", 1)
        filled(at, broker, LITE, 3, numbers(0, 3))
        broker.stop()
    with Broker(at, "--override", f"log.free.bytes.min={1 << 50}") as broker:
        said = reset(at, broker, "--to-latest", "--delete-rows", "--execute", code=1)
        check("not in time; last: Produce to p-definitions-0" in said and
              "its disk has less free than log.free.bytes.min" in said, said)
