"""Our processes as a user starts them: `onceflow broker`, `onceflow run`, and the short ones."""

import atexit
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import urllib.request

from harness.claims import SECONDS_MAX, check, wait_for
from harness.ending import undivided
from harness.kafka import QUICK, Kafka, shared_kafka

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ONCEFLOW = str(pathlib.Path(
    os.environ.get("ONCEFLOW") or ROOT / "build" / "release" / "onceflow").resolve())


def free_port():
    """Below the ports that the system gives to connections: what is free now is free when a program
    that is started takes it, unless another test has drawn the same."""
    while True:
        port = random.randrange(10000, 32000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def onceflow(*arguments, at=None, code=0, given=None, seconds=120, environment=None):
    """Runs `onceflow ...` to its end in the directory `at`; returns what it printed on both
    streams. Fails unless its exit code is `code` (None: any)."""
    done = subprocess.run([ONCEFLOW, *map(str, arguments)], cwd=at, timeout=seconds, input=given,
                          stdin=subprocess.DEVNULL if given is None else None, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          env={**os.environ, **(environment or {})})
    check(code is None or done.returncode == code, f"exit code {done.returncode}: {done.stdout}")
    return done.stdout


def log_of(at, port=None):
    """The flags that tell a command in `at` where the pipeline's log is: at/data, embedded, or the
    Apache Kafka of this run."""
    if kafka := shared_kafka():
        return ["--bootstrap.servers", kafka.of(pathlib.Path(at) / "data").address]
    return ["--data-dir", "data", *([] if port is None else ["--port", port])]


def audit(at, *arguments, code=0):
    """`onceflow audit p.yaml ...` in `at`, on the cluster of its worker."""
    return onceflow("audit", "p.yaml", *log_of(at), *arguments, at=at, code=code)


class Process:
    """A process of ours that lasts: its streams go to files, and it dies with its `with` block.
    What it shows on its status port can be read, if it has one."""

    status_port = None

    def __init__(self, arguments, at, name, environment=None):
        self.at = pathlib.Path(at)
        self.errors = open(self.at / f"{name}.stderr", "a+", encoding="utf-8", errors="replace")
        self.began_at = self.errors.tell()
        with undivided():
            self.process = subprocess.Popen(
                [ONCEFLOW, *map(str, arguments)], cwd=at, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=self.errors, text=True,
                env={**os.environ, **(environment or {})})
            atexit.register(self.process.kill)  # if nothing else does

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdout.close()
        self.errors.close()

    def kill(self):
        """kill -9, also of a stopped process."""
        self.process.kill()
        self.process.wait()
        atexit.unregister(self.process.kill)

    def stop(self, seconds=SECONDS_MAX):
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=SECONDS_MAX):
        """Its exit code, once it has ended by itself."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end after {seconds} s: {self.said()}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def is_alive(self):
        return self.process.poll() is None

    def said(self):
        """What this process has written to stderr so far."""
        self.errors.seek(self.began_at)
        return self.errors.read()

    def get(self, path, seconds=5):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}{path}",
                                        timeout=seconds) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def status(self):
        return json.loads(self.get("/status", SECONDS_MAX))

    def metric(self, name):
        """The value of the first sample whose line begins so."""
        for line in self.get("/metrics", SECONDS_MAX).splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
        return None

    def memory_bytes(self, field="VmRSS"):
        """VmRSS now, or VmHWM: the most there ever was."""
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0


# For topics with small segments, which as with Kafka are refused otherwise.
SMALL_SEGMENTS = ("--override", "segment.bytes.min=14")


class Broker(Process):
    """`onceflow broker` on `at`/NAME; ready when the constructor returns, or ended (`ready` is
    empty then). shows=True: it has a status port, which answers."""

    def __init__(self, at, *arguments, port=0, name="data", environment=None, shows=False):
        if shows:
            self.status_port = free_port()
            arguments = (*arguments, "--status-port", self.status_port)
        super().__init__(["broker", "--data-dir", str(pathlib.Path(at) / name), "--port", port,
                          *arguments], at, name, environment)
        self.ready = self.process.stdout.readline()
        self.port = (int(self.ready.split(" ready on ")[1].split()[0].rsplit(":", 1)[1])
                     if " ready on " in self.ready else 0)
        if shows:
            wait_for(lambda: self.get("/status") or not self.is_alive(), "a status")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def cluster(at, *arguments, port=0, name="data", own=False):
    """What a claim runs on that needs a log beside its workers: a `Broker`, or in a run over Apache
    Kafka the shared server, empty; with settings of its own, or `own` because the claim stops it,
    a server for itself. `arguments` are those of `Broker`."""
    kafka = shared_kafka()
    if kafka is None:
        return Broker(at, *arguments, port=port, name=name)
    settings = dict(each.split("=", 1) for each in arguments if each != "--override")
    if not own and port == 0 and settings.items() <= QUICK.items():
        return kafka.of(pathlib.Path(at) / name)
    return Kafka(pathlib.Path(at) / f"{name}-kafka", settings, port)


class Worker(Process):
    """`onceflow run` of a pipeline's text: on the log of `at`, or on `servers`.
    Ready when its status page answers; with wait=False the constructor returns at once."""

    def __init__(self, at, pipeline, *arguments, port=None, servers=None, worker="1", wait=True,
                 file="p.yaml", environment=None):
        at = pathlib.Path(at)
        if pipeline is not None:
            (at / file).write_text(pipeline, encoding="utf-8")
        self.port = port if port is not None else free_port()
        log = ["--bootstrap.servers", servers] if servers else log_of(at, self.port)
        self.address = log[1] if "--bootstrap.servers" in log else f"127.0.0.1:{self.port}"
        self.status_port = free_port()
        super().__init__(["run", file, "--worker", worker, *log, "--status-port", self.status_port,
                          *arguments], at, f"run-{worker}", environment)
        if wait:
            wait_for(lambda: self.get("/status") or not self.is_alive(), "a status")

    def stage(self, name=None):
        """One stage of /status; the only one, or the one called `name`."""
        stages = self.status()["stages"]
        return next(each for each in stages if name is None or each["stage"] == name)

    def is_running(self):
        """Whether all stages have read their positions and work."""
        stages = self.status()["stages"]
        return stages and all(each["state"] == "running" for each in stages)



def run_kcat(address, *arguments, given=None, seconds=60):
    if isinstance(given, str):
        given = given.encode()
    return subprocess.run(["kcat", "-b", address, *map(str, arguments)], input=given,
                          timeout=seconds, capture_output=True)


def kcat(address, *arguments, given=None, good=True, seconds=60):
    """What kcat printed; `given` is text or bytes for its standard input."""
    done = run_kcat(address, *arguments, given=given, seconds=seconds)
    check(not good or done.returncode == 0, f"kcat: {done.stderr[-300:]}")
    return done.stdout.decode(errors="surrogateescape")


def produce(address, topic, records, *arguments, good=True):
    """Produces records through kcat, in their order: text, bytes, or what json.dumps can write.
    good=False: the log may end with the worker that refuses one of them."""
    def encoded(record):
        if isinstance(record, bytes):
            return record
        return (record if isinstance(record, str) else json.dumps(record)).encode()
    kcat(address, "-P", "-t", topic, *arguments,
         given=b"".join(encoded(record) + b"\n" for record in records), good=good)


def consume(address, topic, *arguments):
    """The committed values of a topic, as text, partition by partition; none if nobody has made the
    topic yet."""
    done = run_kcat(address, "-C", "-t", topic, "-e", "-q", "-X", "isolation.level=read_committed",
                    *arguments)
    if b"Unknown topic or partition" in done.stderr:
        return []
    check(done.returncode == 0, f"kcat: {done.stderr[-300:]}")
    return done.stdout.decode(errors="surrogateescape").split("\n")[:-1]
