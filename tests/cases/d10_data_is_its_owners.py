"""D10: what the log writes can be read by its owner alone, unless it is told otherwise."""

import os
import subprocess

from harness import Broker, check, kcat


def modes(data):
    return {oct(os.stat(path).st_mode & 0o777) for path in [data, *data.rglob("*")]
            if path.is_dir()}, {oct(os.stat(path).st_mode & 0o777) for path in data.rglob("*")
                                if path.is_file()}


def filled(at, *arguments):
    with Broker(at, *arguments) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        check(broker.stop() == 0, broker.said())
        return broker.said()


def a_new_directory_is_0700_and_its_files_0600(at):
    said = filled(at)
    check(modes(at / "data") == ({"0o700"}, {"0o600"}), modes(at / "data"))
    check("open to other users" not in said, said)


def log_dir_mode_sets_another(at):
    said = filled(at, "--override", "log.dir.mode=0750")
    check(modes(at / "data") == ({"0o750"}, {"0o640"}), modes(at / "data"))
    check("open to other users" not in said, said)


def a_mode_that_shuts_the_owner_out_is_refused(at):
    for mode in ["0500", "9", "rwx", "07000"]:
        with Broker(at, "--override", f"log.dir.mode={mode}") as broker:
            check(broker.wait() == 2 and "log.dir.mode" in broker.said(), broker.said())


def an_older_directory_is_told_of_with_the_line_that_mends_it(at):
    filled(at)
    subprocess.run(["chmod", "-R", "go+rX", at / "data"], check=True)
    said = filled(at)
    check("open to other users" in said and "mode 0755" in said, said)
    subprocess.run(["chmod", "-R", "go-rwx", at / "data"], check=True)  # as the message says
    check("open to other users" not in filled(at), "still told of")


def what_the_user_makes_keeps_its_mode(at):
    """A file of results is the user's: of a SQLite sink, say."""
    data = at / "data"
    filled(at)
    foreign = at / "results.db"
    foreign.touch()
    before = os.stat(foreign).st_mode
    filled(at)
    check(os.stat(foreign).st_mode == before and data.is_dir(), "changed")
