"""SIGTERM, SIGINT and SIGHUP end a run of the cases, and all servers and processes it started."""

import os
import pathlib
import signal
import subprocess
import sys

from harness import check, shared_postgres, wait_for

RUN = pathlib.Path(__file__).resolve().parent / "run"


def processes_in(folder):
    """Of whoever: those that work below the folder, or have it on their command line."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            if str(folder) in command or str(folder) in os.readlink(entry / "cwd"):
                found[int(entry.name)] = command
        except (OSError, ValueError):
            continue
    return found


def ended_by(at, number, *cases):
    """Once its server and a worker run; what is left of it in `at`."""
    shared_postgres()  # so that a machine without it says so
    if signal.getsignal(number) == signal.SIG_IGN:  # as in the background of a script
        signal.signal(number, signal.default_int_handler)
    with subprocess.Popen([sys.executable, RUN, *cases], env={**os.environ, "TMPDIR": str(at)},
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            def ready():
                commands = " ".join(processes_in(at).values())
                return "postgres" in commands and "--worker" in commands
            wait_for(ready, "a server and a worker")
            run.send_signal(number)
            code = run.wait(timeout=60)
        finally:
            run.kill()
    wait_for(lambda: not processes_in(at), lambda: f"end of {processes_in(at)}", 20)
    check(code == 128 + number, f"exit code {code}")


def one_case(at):
    ended_by(at, signal.SIGTERM, "c15")


def one_case_by_the_terminal(at):
    ended_by(at, signal.SIGINT, "c17")


def cases_side_by_side(at):
    ended_by(at, signal.SIGHUP, "c15", "c17")
