"""docs/what-to-do-when.md: for each message of damage, the damage is made, the message is seen, and
what it advises helps."""

import os
import re
import shutil
import struct
import subprocess

from harness import (ROOT, SMALL_SEGMENTS, Broker, check, check_plain, consume, kcat, onceflow,
                     wait_for)
from harness.damage import (NOTE, change_last_frame, change_note, checkpoints, flip, frames,
                            journals, live_journal, segments, write_checkpoint, zero_from)
from harness.kafka_admin import create_topic
from harness.wire import Connection

PAGE = ROOT / "docs" / "what-to-do-when.md"
FIRST = [f"first-{number}-{'x' * 900}" for number in range(30)]
LAST = ["last-1", "last-2"]


def rows():
    """{message: what to do}"""
    page = PAGE.read_text(encoding="utf-8")
    table = page.split("damage.cc: begin -->\n")[1].split("<!-- made")[0]
    return {cells[0].strip(): cells[2].strip()
            for cells in (line.strip("|").split("|") for line in table.splitlines()[2:])}


def filled(at, *arguments, topics=("t",)):
    """FIRST in segments that a checkpoint knows, LAST in the journal alone; the log was killed."""
    with Broker(at, *arguments, *SMALL_SEGMENTS) as broker:
        for topic in topics:
            create_topic(broker.address, topic, 1, segment_bytes=10_000)
            kcat(broker.address, "-P", "-t", topic, "-p", "0", "-X", "batch.num.messages=3",
                 given="\n".join(FIRST) + "\n")
        broker.stop()
    with Broker(at, *arguments) as broker:
        for topic in topics:
            for value in LAST:
                kcat(broker.address, "-P", "-t", topic, "-p", "0", given=value + "\n")
        broker.kill()
    return at / "data"


def without(data, *paths):
    for path in paths or checkpoints(data):
        path.unlink()


def flip_checkpoints(data, count=2):
    for path in checkpoints(data)[:count]:
        flip(path, 40)


def truncate_checkpoint_body(data):
    for path in checkpoints(data):
        write_checkpoint(path, 2, path.read_bytes()[32:-3])


def newer_checkpoint(data):
    path = checkpoints(data)[0]
    write_checkpoint(path, 9, path.read_bytes()[32:])


def foreign_note(data):
    def change(fields):
        fields[0] ^= 1
    change_note(data, change)


def another_and_longer(data):
    """Not of its own batches: those would be a cut that a loss of power has undone."""
    path = segments(data, "t")[0]
    flip(path, 17)
    os.truncate(path, 50_000)


def foreign_journal(data):
    """Of the same sizes, but of another log."""
    at = data.parent
    with Broker(at, name="other") as broker:
        kcat(broker.address, "-P", "-t", "t", given="x\n")
        broker.kill()
    for path in journals(data):
        other = at / "other" / "journal" / path.name
        content = other.read_bytes() if other.exists() else b""
        path.write_bytes(content.ljust(path.stat().st_size, b"\0"))


def rot_inside_the_journal(data):
    """The first frame after the checkpoint; the last one is whole."""
    path, last = live_journal(data)
    position, = struct.unpack(">Q", checkpoints(data)[0].read_bytes()[40:48])
    content = path.read_bytes()
    place = next(at for at, payload in frames(path) if payload > 0 and
                 struct.unpack(">Q", content[at + 24:at + 32])[0] >= position)
    check(place <= last, "no frame after the checkpoint")
    flip(path, place + 70)


def entry_longer_than_its_frame(data):
    def change(payload):
        payload[:4] = struct.pack(">I", 1 << 30)
    change_last_frame(data, change)


def entry_of_another_topic(data):
    def change(payload):
        payload[5] ^= 1  # of the topic's id
    change_last_frame(data, change)


def tear_the_last_frame(data):
    """As a loss of power does: the note is of before."""
    path, place = live_journal(data)
    content = path.read_bytes()
    position, = struct.unpack(">Q", content[place + 24:place + 32])

    def change(fields):
        fields[2] = fields[3] = position
    change_note(data, change)
    size, = struct.unpack(">I", content[place + 40:place + 44])
    zero_from(path, place + (64 + size + 4095) // 4096 * 4096)
    flip(path, place + 64)


def lose_what_was_not_synced(data):
    """As a loss of power does with log.flush=os: the machine's life is another one."""
    def change(fields):
        fields[1] ^= 1
    change_note(data, change)
    rot_inside_the_journal(data)


def exchange(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def edit_meta(data, before, after):
    path = data / "meta.properties"
    path.write_text(re.sub(before, after, path.read_text()))


# {message: (damage, arguments of the log)}
DAMAGES = {
    "there is data here but no checkpoint": without,
    "there is data here but no checkpoint that is whole": flip_checkpoints,
    "this checkpoint is torn or damaged; the log goes on from the one before it and the journal":
        lambda data: flip_checkpoints(data, 1),
    "the checksum of this checkpoint is right but its contents do not decode":
        truncate_checkpoint_body,
    "written by a newer version": newer_checkpoint,
    "this file of the journal is missing": lambda data: without(data, journals(data)[0]),
    "this file of the journal is too short":
        lambda data: os.truncate(journals(data)[0], journals(data)[0].stat().st_size - 4096),
    "the note of how far the journal is durable is missing":
        lambda data: without(data, data / NOTE),
    "the note of how far the journal is durable is damaged": lambda data: flip(data / NOTE, 30),
    "the note of how far the journal is durable belongs to another log": foreign_note,
    "the journal ends before what was durable": lambda data: zero_from(*live_journal(data)),
    "the journal does not hold the place where the checkpoint was written": foreign_journal,
    "the journal is damaged here, before data that is known to have been durable":
        rot_inside_the_journal,
    "a frame of the journal is whole but its entries do not decode": entry_longer_than_its_frame,
    "the journal does not fit the checkpoint": entry_of_another_topic,
    "the last frame of the journal is not whole and was cut off": tear_the_last_frame,
    "the end of the journal had not been synced and did not survive whole (log.flush=os)":
        lose_what_was_not_synced,
    "this segment is missing": lambda data: without(data, segments(data, "t")[0]),
    "this segment is too short": lambda data: os.truncate(segments(data, "t")[0], 500),
    "this segment is too long": another_and_longer,
    "this segment does not hold what was written to it":
        lambda data: exchange(segments(data, "t")[0], segments(data, "u")[0]),
    "a batch of this segment is damaged": lambda data: flip(segments(data, "t")[0], 300),
    "meta.properties was missing and has been made again":
        lambda data: without(data, data / "meta.properties"),
    "there is no cluster.id in this file": lambda data: edit_meta(data, "cluster.id.*", ""),
    "the cluster.id in this file is not that of this log":
        lambda data: edit_meta(data, "cluster.id=.*", "cluster.id=AAAAAAAAAAAAAAAAAAAAAA"),
    "the node.id in this file is no number":
        lambda data: edit_meta(data, "node.id=.*", "node.id=!"),
    "the data directory is open to other users of this machine":
        lambda data: subprocess.run(["chmod", "-R", "go+rX", data], check=True),
}


def flags_of(message):
    return ("--override", "log.flush=os") if "log.flush=os" in message else ()


def topics_of(message):
    return ("t", "u") if "does not hold what was written" in message else ("t",)


def shows(at, message, flags):
    """Whether the log starts after it."""
    with Broker(at, *flags) as broker:
        started = bool(broker.ready)
        if started:
            with Connection(broker.address) as connection:
                connection.fetch("t", 0)
            wait_for(lambda: message in broker.said(), broker.said, 10)
            broker.kill()
        else:
            check(broker.wait() == 1, broker.said())
        said = broker.said()
    check(message in said, f"no '{message}': {said}")
    check_plain(said)
    return started


def serves_all(at, flags):
    with Broker(at, *flags) as broker:
        check(consume(broker.address, "t") == FIRST + LAST, broker.said())
        broker.stop()


def follow(at, message, advice, flags):
    """What is advised, by its words."""
    data, copy = at / "data", at / "copy"
    if "onceflow salvage" in advice:
        onceflow("salvage", "data", "--to", "new", "--execute", at=at, code=None)
        onceflow("audit", "--data-dir", "new", at=at)
        with Broker(at, *flags, name="new") as broker:
            check(broker.ready, broker.said())
            broker.stop()
    if "Put the file back" in advice or "from a copy" in advice or "Start that version" in advice:
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        serves_all(at, flags)
    elif "emove the file" in advice:
        (data / "meta.properties").unlink()
        serves_all(at, flags)
    elif "chmod -R go-rwx" in advice:
        subprocess.run(["chmod", "-R", "go-rwx", data], check=True)
        with Broker(at) as broker:
            broker.stop()
            check(message not in broker.said(), broker.said())
    elif "onceflow salvage" not in advice:
        with Broker(at, *flags) as broker:
            check(broker.ready, broker.said())
            check(consume(broker.address, "t")[:len(FIRST)] == FIRST, "not what there was")
            broker.stop()


def each_row_is_seen_and_its_advice_helps(at):
    page = rows()
    check(page.keys() == DAMAGES.keys(), f"not in step: {page.keys() ^ DAMAGES.keys()}")
    wrong = []
    for number, (message, damage) in enumerate(DAMAGES.items()):
        place = at / str(number)
        place.mkdir()
        try:
            flags = flags_of(message)
            data = filled(place, *flags, topics=topics_of(message))
            shutil.copytree(data, place / "copy")
            damage(data)
            shows(place, message, flags)
            follow(place, message, page[message], flags)
        except AssertionError as error:
            wrong.append(f"{message}: {error}")
    check(not wrong, "\n".join(wrong))


def the_page_names_what_there_is(at):
    page = PAGE.read_text(encoding="utf-8")
    for command in ["salvage", "dump", "audit"]:
        check(f"onceflow {command}" in page, command)
        check("usage" in onceflow(command, "--help", at=at).lower(), command)
