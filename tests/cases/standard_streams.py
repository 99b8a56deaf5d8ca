"""Standard streams that are closed, full, broken or read by nobody: none becomes a file of ours, no
work counts as done that was not, and nobody waits for them."""

import fcntl
import os
import resource
import signal
import subprocess
import time

from harness import (ONCEFLOW, Broker, Worker, check, consume, free_port, onceflow, produce,
                     wait_for)

F_SETPIPE_SZ = 1031
ROWS = """name: p
source: { kafka: { topics: [t] } }
sinks: [ { sqlite: { file: o.db, table: rows } } ]
"""
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def closing(*numbers):
    """As `0<&- 1>&- 2>&-`."""
    def close():
        for number in numbers:
            os.close(number)
    return close


def ended(*arguments, at, closed=(), seconds=60, **streams):
    """Its exit code, and what it said on standard error."""
    done = subprocess.run([ONCEFLOW, *map(str, arguments)], cwd=at, timeout=seconds, check=False,
                          preexec_fn=closing(*closed),
                          **{**QUIET, "stderr": subprocess.PIPE, **streams})
    return done.returncode, (done.stderr or b"").decode()


def streams_of(pid):
    return [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]


def closed_ones_are_not_taken_by_files_of_ours(at):
    with Broker(at) as broker:
        produce(broker.address, "t", ["a"])
        on = ["-b", broker.address, "-t"]
        code, said = ended("cat", "-P", *on, "u", at=at, closed=[0])
        check(code == 2 and "standard input is closed" in said, f"{code}: {said}")
        check(consume(broker.address, "u") == [], "something was produced")
        code, said = ended("cat", "-C", *on, "t", "-e", at=at, closed=[1])
        check(code == 2 and "standard output is closed" in said, f"{code}: {said}")
        code, said = ended("cat", "-P", *on, "u", at=at, closed=[1, 2])
        check(code == 0, f"{code}: {said}")
        (at / "p.yaml").write_text(ROWS)
        for numbers in [[0], [1], [2], [1, 2], [0, 1, 2]]:
            for arguments in [["run", "p.yaml", "--bootstrap.servers", broker.address],
                              ["broker", "--data-dir", "other", "--port", 0]]:
                with subprocess.Popen([ONCEFLOW, *map(str, arguments)], cwd=at,
                                      preexec_fn=closing(*numbers), **QUIET) as process:
                    try:
                        wait_for(lambda: len(os.listdir(f"/proc/{process.pid}/fd")) > 5, "files")
                        found = streams_of(process.pid)
                        check(found == ["/dev/null"] * 3, f"{arguments[0]}, {numbers}: {found}")
                    finally:
                        process.kill()


def what_cannot_be_read_is_not_the_end(at):
    with Broker(at) as broker, open("/proc/self/mem", "rb") as fails:
        on = ["cat", "-P", "-b", broker.address, "-t", "u"]
        directory = os.open(at, os.O_RDONLY)
        writes = os.open(at / "w", os.O_WRONLY | os.O_CREAT)
        for stdin, why in [(directory, "Is a directory"), (fails, "Input/output error"),
                           (writes, "Bad file descriptor")]:
            code, said = ended(*on, at=at, stdin=stdin)
            check(code == 1 and f"cannot read standard input: {why}" in said, f"{code}: {said}")
        check(consume(broker.address, "u") == [], "something was produced")
        check(onceflow(*on, given="a\nno line end") == "", "it said something")
        check(consume(broker.address, "u") == ["a", "no line end"], consume(broker.address, "u"))


def what_cannot_be_written_is_not_done(at):
    with Broker(at) as broker, open("/dev/full", "wb") as full:
        produce(broker.address, "t", ["a", "b"])
        with Worker(at, ROWS, servers=broker.address) as worker:
            wait_for(lambda: worker.stage()["totals"]["records_out"] == 2, worker.said)
            check(worker.stop() == 0, worker.said())
        on = ["--bootstrap.servers", broker.address]
        for words in [["cat", "-C", "-t", "t", "-e", *on],
                      ["cat", "-C", "-t", "t", "-e", "-J", *on],
                      ["cat", "-C", "-t", "t", *on],  # at once: there is no end
                      ["audit", "p.yaml", *on], ["audit", "p.yaml", "--json", *on],
                      ["plan", "p.yaml", *on], ["plan", "p.yaml", "--json", *on],
                      ["validate", "p.yaml"], ["explain", "p.yaml"],
                      ["reset", "p.yaml", "--to-earliest", "--keep-rows", *on],
                      ["--help"], ["--version"], ["run", "--help"],
                      ["sim", "--seeds", "1"]]:
            code, said = ended(*words, at=at, stdout=full)
            check(code == 1 and "cannot write standard output: No space left on device" in said,
                  f"{words}: {code}: {said}")
            if words[0] != "sim":
                some = ["-c", "1"] if words[0] == "cat" else []
                code, said = ended(*words, *some, at=at)
                check(code == 0 and said == "", f"{words}: {code}: {said}")


def a_reader_that_goes_ends_cat(at):
    with Broker(at) as broker:
        produce(broker.address, "t", ["x" * 100] * 5000)
        with subprocess.Popen([ONCEFLOW, "cat", "-C", "-b", broker.address, "-t", "t"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cat:
            cat.stdout.readline()
            cat.stdout.close()
            check(cat.wait(20) == 1, cat.returncode)
            check(b"Broken pipe" in cat.stderr.read(), "it said nothing")


class FullPipe:
    """One that nobody reads, full to the last byte."""

    def __init__(self):
        self.reads, self.writes = os.pipe()
        fcntl.fcntl(self.writes, F_SETPIPE_SZ, 4096)

    def fill(self):
        # Through a description of its own, for that of the process stays as it is.
        other = os.open(f"/proc/self/fd/{self.writes}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(other, b"x")
        except BlockingIOError:
            os.close(other)

    def read(self, until, seconds=20):
        found, ends = b"", time.monotonic() + seconds
        os.set_blocking(self.reads, False)
        while until not in found and time.monotonic() < ends:
            try:
                found += os.read(self.reads, 65536)
            except BlockingIOError:
                time.sleep(0.05)
        return found.replace(b"x", b"").decode()

    def close(self):
        os.close(self.reads)
        os.close(self.writes)


def nobody_waits_for_a_log_that_nobody_reads(at):
    for name in ["stdout", "stderr"]:
        folder, pipe, port = at / name, FullPipe(), free_port()
        folder.mkdir()
        (folder / "p.yaml").write_text(ROWS)
        with Broker(folder) as broker:
            address = broker.address
            produce(address, "t", ["a"])
            pipe.fill()
            process = subprocess.Popen(
                [ONCEFLOW, "run", "p.yaml", "--bootstrap.servers", address, "--status-port",
                 str(port), "--worker", name], cwd=folder, **{**QUIET, name: pipe.writes})
            try:
                worker = Worker.__new__(Worker)  # for what its status port shows
                worker.status_port = port
                wait_for(lambda: worker.get("/healthz"), "alive")
                wait_for(lambda: worker.get("/status") and worker.is_running(), "running")
                produce(address, "t", ["b"])
                wait_for(lambda: worker.stage()["totals"]["records_out"] >= 1, "a row")
                process.send_signal(signal.SIGTERM)
                if name == "stdout":
                    check("worker stdout, 1 stage" in pipe.read(b"1 stage"), "a line was lost")
                since = time.monotonic()
                check(process.wait(20) == 0, process.returncode)
                check(time.monotonic() - since < 5, "it took too long")
            finally:
                process.kill()
                process.wait()
                pipe.close()


def a_brokers_log_goes_on_once_it_is_read(at):
    pipe = FullPipe()
    pipe.fill()
    process = subprocess.Popen([ONCEFLOW, "broker", "--data-dir", "data", "--port", "0"], cwd=at,
                               **{**QUIET, "stdout": subprocess.PIPE, "stderr": pipe.writes})
    try:
        ready = process.stdout.readline().decode()
        address = ready.split(" ready on ")[1].split()[0]
        produce(address, "t", ["a"])
        check(consume(address, "t") == ["a"], "it does not answer")
        said = pipe.read(b'event="ready"')
        check(said.index('event="starting"') < said.index('event="ready"'), said)
        process.send_signal(signal.SIGTERM)
        check(process.wait(20) == 0, process.returncode)
        check('event="stopped"' in pipe.read(b'event="stopped"'), "the last line was lost")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        pipe.close()


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (400 * 512, 400 * 512))


def a_limit_on_files_is_named(at):
    lines = "".join("y" * 100 + "\n" for _ in range(9000)).encode()
    (at / "in").write_bytes(lines)
    with Broker(at, name="whole") as broker, open(at / "in", "rb") as given:
        on = ["-b", broker.address, "-t", "t"]
        check(ended("cat", "-P", *on, at=at, stdin=given)[0] == 0, "no topic")
        with open(at / "out", "wb") as out:
            done = subprocess.run([ONCEFLOW, "cat", "-C", "-e", *on], stdout=out, check=False,
                                  stderr=subprocess.PIPE, preexec_fn=limited, timeout=60)
        check(done.returncode == 1 and b"ulimit -f, systemd's LimitFSIZE" in done.stderr,
              f"{done.returncode}: {done.stderr}")
    process = subprocess.Popen([ONCEFLOW, "broker", "--data-dir", "data", "--port", "0"], cwd=at,
                               preexec_fn=limited, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            ready = process.stdout.readline().decode()
            if " ready on " in ready:
                address = ready.split(" ready on ")[1].split()[0]
                with open(at / "in", "rb") as given:
                    subprocess.run([ONCEFLOW, "cat", "-P", "-b", address, "-t", "t"], stdin=given,
                                   check=False, timeout=20, capture_output=True)
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
        said = process.stderr.read().decode()
    check(code in (None, 1) and "ulimit -f, systemd's LimitFSIZE" in said, f"{code}: {said}")
