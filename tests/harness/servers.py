"""The servers beside us in tests: PostgreSQL, started by tests/postgres/start_postgres.sh."""

import atexit
import functools
import itertools
import pathlib
import shutil
import subprocess
import tempfile

from harness.claims import Skipped, check
from harness.ending import undivided
from harness.processes import ROOT

SCRIPTS = ROOT / "tests" / "postgres"


class Postgres:
    """A private PostgreSQL server. Its files are in a directory of its own under /tmp, because the
    server runs as user postgres, who cannot reach what lies in root's home."""

    def __init__(self, *settings):
        if shutil.which("psql") is None:
            raise Skipped("there is no psql")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="onceflow-postgres-"))
        self.directory.chmod(0o755)
        self.settings = settings
        self.numbers = itertools.count(1)
        with undivided():
            self.start()
            atexit.register(self.close)  # if nothing else does

    def start(self):
        """Also after stop() or crash(): on the same port, with the same data."""
        started = subprocess.run(
            [SCRIPTS / "start_postgres.sh", self.directory,
             *(word for each in self.settings for word in ("-c", each))],
            check=False, capture_output=True, text=True, start_new_session=True)
        check(started.returncode == 0, f"PostgreSQL did not start: {started.stderr}")
        words = dict(line.split("=", 1) for line in started.stdout.splitlines() if "=" in line)
        self.dsn, self.pid = words["DSN"], int(words["PID"])

    def stop(self, mode="fast"):
        """mode `immediate` is a crash."""
        subprocess.run([SCRIPTS / "stop_postgres.sh", self.directory, mode], check=True,
                       capture_output=True)

    def close(self):
        atexit.unregister(self.close)
        subprocess.run([SCRIPTS / "stop_postgres.sh", self.directory, "immediate"], check=False,
                       capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def new_database(self):
        """The dsn of an empty database, so that claims share a server and nothing else."""
        name = f"case_{next(self.numbers)}"
        self.query(f"CREATE DATABASE {name}")
        return self.dsn.rsplit("/", 1)[0] + "/" + name

    def query(self, sql, dsn=None):
        """The rows, as lists of text."""
        done = subprocess.run(
            ["psql", dsn or self.dsn, "-qtAX", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-c", sql],
            check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"psql: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines() if line]


@functools.cache
def shared_postgres():
    """One server for all claims of a run, stopped at its end."""
    return Postgres("max_connections=60", "fsync=off")
