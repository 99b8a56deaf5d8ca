"""What all benches share: the programs, the brokers that are running, rows and their table."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KAFKA_JARS = ROOT / "build" / "kafka" / "lib"
OUT = ROOT / "build" / "bench"
PARTITIONS = 4
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program failed or a verifier said no; the text says which."""


# --------------------------------------------------------------------------------------- processes

def api_versions_answers(port, timeout=1.0):
    body = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_mb(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise Failed(f"no {key} of process {pid}")


def peak_memory_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"no peak of process {pid}")


def share_priority(pid):
    """A session is a scheduling group of its own: without this a broker in a session of its own
    would run at another priority than the programs that measure it, where ours is not the normal
    one."""
    with contextlib.suppress(OSError):
        nice = pathlib.Path("/proc/self/autogroup").read_text().split()[-1]
        if nice != pathlib.Path(f"/proc/{pid}/autogroup").read_text().split()[-1]:
            pathlib.Path(f"/proc/{pid}/autogroup").write_text(nice)


def processes_that_name(argument):
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if argument in (folder / "cmdline").read_text().split("\0"):
                yield int(folder.name)


class Broker:
    """A broker of either kind. `name` stands in the table."""

    def __init__(self, name, port, pid):
        self.name, self.port, self.pid = name, port, pid

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Bench:
    """What all benches share: programs, brokers that are running, sizes, results."""

    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build)
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "run").mkdir(exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=OUT / "run"))
        self.brokers = {}
        self.stack = contextlib.ExitStack()
        self.rows = []
        self.topics = 0
        self.last_cpu_seconds = 0.0

    def size(self, quick, normal):
        return quick if self.options.quick else normal

    # -- programs

    def prepare(self):
        if not self.options.no_build:
            subprocess.run(["cmake", "--build", str(self.build), "--target", "onceflow",
                            "bench_native", "bench_rdkafka"], check=True, stdout=sys.stderr)
        self.touch(self.size(1024, 4096))

    def touch(self, mib):
        """A virtual machine gives memory that is free back to its host, within seconds; whoever
        needs it next pays for it, which has nothing to do with what is measured."""
        self.run([self.build / "bench_native", "touch", f"mib={mib}"], timeout=60)

    def prepare_java(self):
        classes = OUT / "java"
        source = ROOT / "bench" / "java" / "Bench.java"
        if not (classes / "Bench.class").exists() or (
                (classes / "Bench.class").stat().st_mtime < source.stat().st_mtime):
            self.run(["javac", "-cp", f"{KAFKA_JARS}/*", "-d", classes, source], timeout=120)
        return ["java", "-Xmx1G", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp", f"{KAFKA_JARS}/*:{classes}", "Bench"]

    def run(self, command, timeout=180):
        command = [str(part) for part in command]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{' '.join(command[-8:])}: no end after {timeout} s") from error
        if done.returncode != 0:
            raise Failed(f"{' '.join(command[-8:])}: {done.stderr.strip()[-600:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.last_cpu_seconds = (after.ru_utime - before.ru_utime +
                                 after.ru_stime - before.ru_stime)
        return done.stdout

    def native(self, command, broker, timeout=180, **settings):
        output = self.run([self.build / "bench_native", command, f"bootstrap={broker.address}",
                           *(f"{key}={value}" for key, value in settings.items())], timeout)
        return json.loads(output) if output.strip() else None

    def rdkafka(self, command, broker, *arguments):
        return json.loads(self.run([self.build / "bench_rdkafka", command, broker.address,
                                    *arguments]))

    def java(self, command, broker, *arguments):
        return json.loads(self.run([*self.prepare_java(), command, broker.address, *arguments]))

    def sync_us(self):
        """The disk's own answer, next to which durable commits must be read."""
        file = os.open(self.directory / "sync", os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(file, bytes(1 << 20), 0)
            os.fsync(file)
            times = []
            for index in range(200):
                started = time.perf_counter()
                os.pwrite(file, b"x" * 4096, index * 4096)
                os.fdatasync(file)
                times.append((time.perf_counter() - started) * 1e6)
            return statistics.median(times)
        finally:
            os.close(file)

    # -- brokers

    def start_ours(self, name, directory, *overrides, arguments=(), wait=True):
        port = free_port()
        command = [str(self.build / "onceflow"), "broker", "--data-dir", str(directory), "--port",
                   str(port), "--override", "group.initial.rebalance.delay.ms=0", *arguments]
        for override in overrides:
            command += ["--override", override]
        with open(self.directory / "onceflow.log", "ab") as log:
            # As Kafka's: in a session of its own.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        share_priority(process.pid)
        if wait:
            deadline = time.monotonic() + 30
            while not api_versions_answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failed("onceflow broker did not start: " + (
                        self.directory / "onceflow.log").read_text()[-400:])
                time.sleep(0.002)
        return Broker(name, port, process.pid), process

    def start_kafka(self, name, *properties):
        directory = self.directory / name.replace(" ", "-")
        script = subprocess.Popen(
            [ROOT / "tests" / "kafka" / "start_kafka.sh", "--dir", directory, *properties],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        shared = set()
        while script.poll() is None:
            for pid in set(processes_that_name(f"{directory}/server.properties")) - shared:
                share_priority(pid)
                shared.add(pid)
            time.sleep(0.05)
        output, errors = script.communicate()
        if script.returncode != 0:
            raise Failed(f"Kafka did not start: {errors.strip()[-400:]}")
        port, pid, _ = output.split()
        return Broker(name, int(port), int(pid))

    def broker(self, kind):
        """One running broker a kind, started when asked for. Durability class D: `ours`, `kafka
        flush`; class P: `ours os`, `kafka`."""
        if kind in self.brokers:
            return self.brokers[kind]
        if kind.startswith("ours"):
            overrides = ["log.flush=os"] if kind == "ours os" else []
            broker, process = self.start_ours(kind, self.directory / kind.replace(" ", "-"),
                                              *overrides)
            self.stack.callback(process.wait)
            self.stack.callback(process.kill)
        else:
            properties = ["log.flush.interval.messages=1"] if kind == "kafka flush" else []
            broker = self.start_kafka(kind, *properties)
            self.stack.callback(self.stop_kafka, broker)
        self.brokers[kind] = broker
        return broker

    def stop(self, kind):
        """Before a broker that another bench needs no more eats memory and time."""
        if kind in self.brokers:
            os.kill(self.brokers.pop(kind).pid, signal.SIGKILL)

    @staticmethod
    def stop_kafka(broker):
        with contextlib.suppress(ProcessLookupError):
            os.kill(broker.pid, signal.SIGKILL)

    def new_topic(self, broker, partitions=PARTITIONS):
        self.topics += 1
        name = f"bench-{self.topics}"
        self.native("create", broker, topic=name, partitions=partitions)
        return name

    def drop_topic(self, broker, name):
        self.native("delete", broker, topic=name)

    def verify(self, broker, topic, count, altered=False):
        """Reads all that is committed: the numbers 1 to `count`, each once. Kafka answers a commit
        before its markers are written, so what is missing gets a moment to appear."""
        expected = {"count": count}
        if not altered:
            expected["sum"] = count * (count + 1) // 2
            expected["squares"] = count * (count + 1) * (2 * count + 1) // 6 % 2 ** 64
        deadline = time.monotonic() + 5
        while True:
            seen = self.native("count", broker, topic=topic)
            if all(seen[key] == value for key, value in expected.items()):
                return f"read back {count:,}"
            if seen["count"] >= count or time.monotonic() > deadline:
                raise Failed(
                    f"the verifier read {seen} of {topic} on {broker.name}, not {expected}")
            time.sleep(0.2)

    # -- results

    def row(self, bench, what, ours, peer=None, target=None, met=None, verified=""):
        row = {"bench": bench, "what": what, "ours": ours, "peer": peer, "target": target,
               "met": met, "verified": verified}
        self.rows.append(row)
        if not self.options.json:
            print(f"{bench:13} {what}: {ours}" + (f"; peer {peer}" if peer else "") +
                  (f"; target {target}: {'met' if met else 'MISSED'}" if target else "") +
                  (f"; {verified}" if verified else ""), flush=True)

    def close(self):
        self.stack.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def alternate(first, second, rounds):
    """A B B A …: what each round of each gave."""
    given = ([], [])
    for turn in range(rounds):
        for side in ((0, 1) if turn % 2 == 0 else (1, 0)):
            given[side].append((first, second)[side]())
    return given


def median_of(results, key):
    return statistics.median(result[key] for result in results)


def ratio_of(ours, peers, key="rate"):
    return statistics.median(o[key] / p[key] for o, p in zip(ours, peers))


def machine():
    model = next((line.split(":")[1].strip() for line in
                  pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    return {
        "processors": f"{os.cpu_count()} x {model}",
        "memory_gib": round(memory),
        "kernel": os.uname().release,
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "peers": "Apache Kafka, Streams and Java client 4.3.1 (-Xmx1G), librdkafka 2.0.2",
    }


def markdown(about, rows, failures):
    """What results.md holds: the machine, the command, the table."""
    lines = ["## " + about["date"], "",
             "    bench/run " + " ".join(argument for argument in about["command"]), ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in about.items()
              if key not in ("date", "command")]
    lines += ["", "| bench | what | ours | peer | target | verified |", "|---|---|---|---|---|---|"]
    for row in rows:
        target = ""
        if row["target"]:
            target = f"{row['target']}: {'met' if row['met'] else '**missed**'}"
        lines.append(f"| {row['bench']} | {row['what']} | {row['ours']} | {row['peer'] or ''} | "
                     f"{target} | {row['verified']} |")
    lines += [f"\nNo number for `{failure['bench']}`: {failure['why']}" for failure in failures]
    return "\n".join(lines) + "\n\n"
