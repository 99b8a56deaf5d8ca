"""`onceflow cat` takes numbers whole or refuses them by name, ends where it cannot go on, and
writes JSON whatever the bytes are."""

import json
import socket
import time

from harness import Broker, check, check_plain, onceflow, produce


def refused(*arguments, word, code=2, given="x\n"):
    said = onceflow("cat", *arguments, code=code, given=given, seconds=20)
    check_plain(said)
    check(word in said, f"{arguments}: {said}")


def numbers_and_places_are_refused_by_name(at):
    del at
    for wrong in ["1x", " 1", "-5", "99999999999999999999", "latest ", "0x10", "1.0", "begin"]:
        refused("-C", "-t", "k", "-e", "-o", wrong, word=f"-o '{wrong}' must be beginning")
    for flags in [["-C", "-p", "-3"], ["-P", "-p", "-3"], ["-C", "-p", "1x"],
                  ["-C", "-p", "2147483648"], ["-C", "-c", "-5"], ["-C", "-c", "1x"],
                  ["-P", "--rate", "-1"]]:
        refused("-t", "k", *flags, word=flags[1])
    for address in ["localhost", "127.0.0.1:99999", "127.0.0.1:9092x"]:
        refused("-C", "-t", "k", "-b", address, word="bootstrap.servers")
    for flags in [["-o", ""], ["-b", ""]]:
        refused("-C", "-t", "k", *flags, word="is empty (is a variable not set?)")


def the_words_of_others_for_both_ends_are_taken(at):
    with Broker(at) as broker:
        produce(broker.address, "k", ["a", "b"])
        read = ["cat", "-C", "-b", broker.address, "-t", "k", "-e", "-o"]
        for words, want in [(("beginning", "earliest", "0"), "a\nb\n"), (("1",), "b\n"),
                            (("end", "latest", "2"), "")]:
            for word in words:
                said = onceflow(*read, word)
                check(said == want, f"{word}: {said}")
        check(onceflow(*read, "0", "-c", "1", "-p", "-1") == "a\n", "-c 1")


def a_partition_that_is_not_there_is_said_at_once(at):
    with Broker(at, "--override", "num.partitions=2") as broker:
        produce(broker.address, "k", ["a"])
        for mode in [["-P"], ["-C"], ["-C", "-e"], ["-C", "-e", "-o", "0"]]:
            refused(*mode, "-b", broker.address, "-t", "k", "-p", "2", code=1,
                    word="topic k has no partition 2: it has 2")
        refused("-C", "-e", "-b", broker.address, "-t", "none", code=1, word="none")


def a_broker_that_does_not_answer_is_said_after_some_seconds(at):
    del at
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for address in ["127.0.0.1:1", "no.such.host.invalid:9092",
                        f"127.0.0.1:{silent.getsockname()[1]}"]:
            for mode in ["-P", "-C"]:
                since = time.monotonic()
                refused(mode, "-b", address, "-t", "k", code=1,
                        word=f"nothing at {address} answers as a broker")
                check(time.monotonic() - since < 15, f"{address} took too long")


def json_is_json_whatever_the_bytes_are(at):
    with Broker(at) as broker:
        produce(broker.address, "k", [b"k1:gr\xfcn", b"\xff\x00:plain", "ü:ü"], "-K", ":")
        said = onceflow("cat", "-C", "-J", "-e", "-b", broker.address, "-t", "k")
    lines = [json.loads(line) for line in said.splitlines()]
    check([(line.get("key"), line.get("key_hex"), line.get("payload"), line.get("payload_hex"))
           for line in lines] == [("k1", None, None, "6772fc6e"), (None, "ff00", "plain", None),
                                  ("ü", None, "ü", None)], said)


def a_null_value_is_sent_and_shown(at):
    """As kcat does with -Z: a deletion, for a table with mode: upsert."""
    with Broker(at) as broker:
        place = ["-b", broker.address, "-t", "k", "-K", "|"]
        onceflow("cat", "-P", *place, "-Z", given="a|1\na|\n")
        onceflow("cat", "-P", *place, given="a|\n")
        values = [json.loads(line)["payload"] for line in
                  onceflow("cat", "-C", *place, "-e", "-J").splitlines()]
        check(values == ["1", None, ""], values)
        check(onceflow("cat", "-C", *place, "-e", "-Z") == "a|1\na|NULL\na|\n", "as NULL")
