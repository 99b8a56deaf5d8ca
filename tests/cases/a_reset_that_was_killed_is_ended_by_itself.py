"""`onceflow reset` killed before each of its steps: nothing runs and no other reset begins, each
says the command that ends it, and that command does."""

import fcntl
import os
import shlex
import signal
import sqlite3
import subprocess

from harness import (ONCEFLOW, Worker, audit, check, free_port, log_of, onceflow, produce,
                     wait_for)
from harness.changes import aggregate, pipeline, plan, reset

ROWS = "  - kafka: { topic: out }\n  - sqlite: { file: a.db, table: t, mode: upsert }\n"
TOTALS = pipeline(aggregate("n: count(*)"), ROWS)
OTHER = pipeline(aggregate("n: count($.v)"), ROWS, group="h")
PAGE = 4096
F_SETPIPE_SZ = 1031


def killed_before(at, step, arguments):
    """Kills the reset when it is about to do its act number `step`, from 0: it says each before it
    does it, into a pipe of one page that has room for the ones before alone. Whether there was
    such an act."""
    said = reset(at, *arguments)
    acts = [line for line in said.split("\n") if line.startswith("  ") and "note: " not in line]
    if step >= len(acts):
        return False
    first = len("resetting pipeline 'p'\n")
    room = first + sum(len(line.encode()) + 1 for line in acts[:step]) if step else 0
    reading, writing = os.pipe()
    check(fcntl.fcntl(writing, F_SETPIPE_SZ, PAGE) == PAGE, "a pipe of one page")
    os.write(writing, b"x" * (PAGE - room))
    process = subprocess.Popen([ONCEFLOW, "reset", "p.yaml", *log_of(at), *arguments, "--execute"],
                               cwd=at, stdout=writing, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_writing(process), f"its act {step}", 30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(reading)
        os.close(writing)
    return True


def is_writing(process):
    """Whether its main thread waits for room in the pipe."""
    check(process.poll() is None, f"it waits, and has not ended with {process.returncode}")
    try:
        with open(f"/proc/{process.pid}/wchan", encoding="ascii") as file:
            if "pipe_write" in file.read():
                return True
        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
            number, descriptor = (file.read().split() + ["", ""])[:2]
            return number == "1" and int(descriptor, 16) == 1
    except OSError:
        return False


def is_ended_by_itself(at, text, arguments, others, expected):
    """Kill, ask all, end it as they say, run: for every step."""
    step = 0
    while True:
        folder = at / str(step)
        folder.mkdir()
        run_totals(folder, TOTALS, [{"k": "a", "v": 2}] * 3, 3)
        (folder / "p.yaml").write_text(text, encoding="utf-8")
        if not killed_before(folder, step, arguments):
            break
        line = ending(folder, arguments)
        for other in others:
            said = reset(folder, *other, "--execute", code=1)
            check(f"the fix: {line}" in said, f"{other} before step {step}: {said}")
            said = reset(folder, *other, code=1)
            check(f"the fix: {line}" in said, f"{other} before step {step}, rehearsed: {said}")
        refused_on_log(folder, text, arguments)
        check(line in plan(folder, text, 1), f"plan names {line}")
        judged = audit(folder, code=None)
        check("a reset has not ended" in judged and "to the last row" not in judged and
              f"onceflow reset FILE {' '.join(arguments)} --execute" in judged, judged)
        changed = text.replace("$.k", "$.v")
        said = refused_on_log(folder, changed, arguments)
        check("change the file back" in said, said)
        said = reset(folder, *arguments, "--execute", code=1)
        check("change the file back" in said and line in said, said)
        (folder / "p.yaml").write_text(text, encoding="utf-8")
        onceflow(*shlex.split(line)[1:], at=folder)
        run_totals(folder, text, [{"k": "a", "v": 2}], expected)
        audit(folder, "--allow-foreign")
        step += 1
    check(step >= 2, f"{step} steps")


def ending(at, arguments, port=None):
    """The command that ends the reset, as it is named by one that was given this port."""
    words = ["onceflow", "reset", "p.yaml", *log_of(at, port), *arguments, "--execute"]
    return shlex.join(map(str, words))


def refused_on_log(at, text, arguments):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    port = free_port()
    said = onceflow("run", "p.yaml", *log_of(at, port), at=at, code=1, seconds=60)
    check("nothing runs on half of a reset" in said, said)
    check(ending(at, arguments, port) in said, said)
    return said


def run_totals(at, text, records, expected):
    """Runs the pipeline until the table holds the total of `a`."""
    def total():
        try:
            with sqlite3.connect(at / "a.db") as database:
                return database.execute("SELECT n FROM t WHERE k = 'a'").fetchall()
        except sqlite3.OperationalError:
            return []
    with Worker(at, text) as worker:
        produce(worker.address, "in", records)
        wait_for(lambda: total() == [(expected,)], lambda: f"{expected}, but {total()}", 30)
        check(worker.stop() == 0, f"it ends in order: {worker.said()}")


def starting_over_with_deleted_rows(at):
    is_ended_by_itself(at, TOTALS, ["--to-earliest", "--delete-rows"],
                       [["--to-earliest", "--keep-rows"], ["--to-latest", "--delete-rows"],
                        ["--to-current"], ["--keep-states"], ["--to-earliest"]], 4)


def starting_over_with_kept_rows(at):
    is_ended_by_itself(at, TOTALS, ["--to-earliest", "--keep-rows"],
                       [["--to-earliest", "--delete-rows"], ["--to-current"]], 4)


def starting_with_what_comes_now(at):
    is_ended_by_itself(at, TOTALS, ["--to-latest", "--delete-rows"],
                       [["--to-earliest", "--delete-rows"], ["--to-current"]], 1)


def starting_at_a_time(at):
    is_ended_by_itself(at, TOTALS, ["--to-datetime", "1970-01-01T00:00:07.000Z", "--delete-rows"],
                       [["--to-datetime", "1970-01-01T00:00:08Z", "--delete-rows"],
                        ["--to-latest", "--delete-rows"]], 4)


def going_on_with_another_state_and_group(at):
    is_ended_by_itself(at, OTHER, ["--to-current"],
                       [["--to-earliest", "--delete-rows"], ["--keep-states"]], 1)
