"""What passes by itself is waited for: a database that is read-only, full or restarted for a while
gets its rows without a restart, and what was not sent is not called a lost answer."""

import time

from harness import Postgres, Worker, check, produce, shared_postgres, wait_for
from harness.kafka_admin import create_topic

PIPELINE = """
name: p
source: {{ kafka: {{ topics: [in] }} }}
sinks:
  - {sink}: {{ {target}, table: t, columns: {{ v: {{ value: $.v, type: integer }} }} }}
"""


class Line:
    """A worker into PostgreSQL, with one row written."""

    def __init__(self, at):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.name = self.dsn.rsplit("/", 1)[1]
        self.worker = Worker(at, PIPELINE.format(sink="postgres", target=f"dsn: '{self.dsn}'"))
        create_topic(self.worker.address, "in", 1)
        wait_for(self.worker.is_running, "a running stage")
        self.write(1)
        self.arrives(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.__exit__()

    def write(self, value):
        produce(self.worker.address, "in", [{"v": value}])

    def count(self):
        return int(self.server.query("SELECT count(*) FROM t", self.dsn)[0][0])

    def arrives(self, count):
        wait_for(lambda: self.count() == count, self.worker.said)
        check(self.worker.is_alive(), self.worker.said())

    def waits(self, words):
        """The next row does not arrive, and the status says why."""
        self.write(2)
        wait_for(lambda: words in str(self.worker.stage().get("last_error")),
                 lambda: f"'{words}' in {self.worker.stage()}")
        check(self.worker.is_alive(), self.worker.said())
        check("answer was lost" not in str(self.worker.stage()["last_error"]),
              str(self.worker.stage()))


def read_only_with_connections_cut(at):
    with Line(at) as line:
        line.server.query(f"ALTER DATABASE {line.name} SET default_transaction_read_only = on")
        line.server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                          f" WHERE datname = '{line.name}'")
        line.waits("25006")
        line.server.query(f"ALTER DATABASE {line.name} RESET default_transaction_read_only")
        line.arrives(2)


def connections_that_are_cut_again_and_again(at):
    with Line(at) as line:
        for value in range(2, 6):
            line.server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                              f" WHERE datname = '{line.name}' AND pid <> pg_backend_pid()")
            line.write(value)
            line.arrives(value)


def a_trigger_that_fails_for_a_while(at):
    with Line(at) as line:
        line.server.query(
            "CREATE TABLE trouble (code text); INSERT INTO trouble VALUES ('53100');"
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$DECLARE c text; BEGIN"
            " SELECT code INTO c FROM trouble; IF c IS NOT NULL THEN"
            " RAISE EXCEPTION 'no space' USING ERRCODE = c; END IF; RETURN NEW; END$$;"
            "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", line.dsn)
        line.waits("53100")
        for code in ["40001", "40P01", "55P03", "57014", "53300"]:
            line.server.query(f"UPDATE trouble SET code = '{code}'", line.dsn)
            wait_for(lambda c=code: c in str(line.worker.stage().get("last_error")),
                     lambda: line.worker.said())
        line.server.query("DELETE FROM trouble", line.dsn)
        line.arrives(2)


def an_error_that_nobody_knows_is_final_after_one_repeat(at):
    with Line(at) as line:
        line.server.query(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'strange' USING ERRCODE = 'ZZ001'; END$$;"
            "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", line.dsn)
        line.write(2)
        check(line.worker.wait() == 1, line.worker.said())
        for words in ["ZZ001", "in-0@1", "strange"]:
            check(words in line.worker.said(), f"{words}: {line.worker.said()}")


def a_server_that_is_restarted(at):
    server = Postgres("fsync=off")
    try:
        pipeline = PIPELINE.format(sink="postgres", target=f"dsn: '{server.dsn}'")
        with Worker(at, pipeline) as worker:
            create_topic(worker.address, "in", 1)
            wait_for(worker.is_running, "a running stage")
            for value, mode in [(1, "fast"), (2, "immediate")]:
                server.stop(mode)
                produce(worker.address, "in", [{"v": value}])
                time.sleep(1)
                check(worker.is_alive(), worker.said())
                server.start()
                wait_for(lambda v=value: server.query("SELECT count(*) FROM t") == [[str(v)]],
                         worker.said)
            check(worker.is_alive(), worker.said())
    finally:
        server.close()
