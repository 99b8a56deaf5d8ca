"""D18: from a damaged log `onceflow salvage` saves what can be read, at its offsets, and names what
cannot."""

import json
import re
import shutil
import struct

from harness import (SMALL_SEGMENTS, Broker, Worker, audit, check, check_plain, consume, kcat,
                     onceflow, wait_for)
from harness.damage import checkpoints, flip, journals, live_journal, segments, zero_from
from harness.kafka_admin import create_topic, move_position
from harness.rdkafka import OpenTransaction
from harness.wire import Connection

RECORDS = [f"record-{number:03}-{'x' * 500}" for number in range(100)]
PIPELINE = """name: p
source: { kafka: { topics: [t], group.id: p } }
sinks: [ { kafka: { topic: out } } ]
"""


def filled(at, ends="stop", topics=("t",)):
    with Broker(at, *SMALL_SEGMENTS) as broker:
        for topic in topics:
            create_topic(broker.address, topic, 1, segment_bytes=20_000)
            for part in range(0, len(RECORDS), 5):
                kcat(broker.address, "-P", "-t", topic, "-p", "0",
                     given="\n".join(RECORDS[part:part + 5]) + "\n")
        move_position(broker.address, "g", topics[0], 0, 42)
        if ends == "stop":
            check(broker.stop() == 0, broker.said())
        else:
            broker.kill()
    return at / "data"


def tree(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*"))
            if each.is_file() and each.name != "LOCK"}


def salvage(at, code, to="new"):
    """First the rehearsal, then for good; the report of both is the same."""
    before = tree(at / "data")
    rehearsed = json.loads(onceflow("salvage", "data", "--to", to, "--json", at=at, code=code))
    check(not (at / to).exists(), "a rehearsal writes")
    done = json.loads(onceflow("salvage", "data", "--to", to, "--execute", "--json", at=at,
                               code=code))
    check(tree(at / "data") == before, "it has changed the old directory")
    check({**rehearsed, "executed": True}["lost"] == done["lost"], f"{rehearsed}\n{done}")
    return done


def is_sound(at, to="new", salvaged=0):
    walked = json.loads(onceflow("audit", "--data-dir", to, "--json", at=at))
    check(walked["lost_offset_count"] == salvaged, walked)


def served(at, topic="t", to="new"):
    with Broker(at, name=to) as broker:
        check(broker.ready, broker.said())
        found = consume(broker.address, topic)
        kcat(broker.address, "-P", "-t", topic, "-p", "0", given="after\n")
        check(consume(broker.address, topic) == [*found, "after"], "it cannot be written to")
        broker.stop()
        return found


def lost_of(report):
    return [(each["topic"], each["from"], each["to"]) for each in report["lost"]]


def a_sound_log_is_copied_whole(at):
    for ends in ["stop", "kill"]:
        filled(at, ends)
        report = salvage(at, 0)
        check(report["lost"] == [] and report["lost_states"] == [], report)
        is_sound(at)
        check(served(at) == RECORDS, "not all")
        shutil.rmtree(at / "data")
        shutil.rmtree(at / "new")


def both_checkpoints_lost(at):
    for ends in ["stop", "kill"]:
        data = filled(at, ends)
        for path in checkpoints(data):
            path.unlink()
        with Broker(at) as broker:
            check(broker.wait() == 1 and "onceflow salvage" in broker.said(), broker.said())
        report = salvage(at, 1)
        check(report["lost"] == [], report)
        is_sound(at)
        check(served(at) == RECORDS, "not all")
        shutil.rmtree(at / "data")
        shutil.rmtree(at / "new")


def both_checkpoints_damaged(at):
    for path in checkpoints(filled(at)):
        flip(path, 40)
    report = salvage(at, 1)
    check(report["lost"] == [], report)
    check(served(at) == RECORDS, "not all")


def a_damaged_batch_leaves_a_hole(at):
    data = filled(at)
    path = segments(data, "t")[1]
    for place in [200, 20]:  # in a record, in a header
        content = path.read_bytes()
        first, = struct.unpack(">q", content[:8])
        last = first + struct.unpack(">i", content[23:27])[0]
        flip(path, place)
        report = salvage(at, 1, f"new-{place}")
        check(lost_of(report) == [("t", first, last)], report)
        check(path.name in report["lost"][0]["cause"], report)
        is_sound(at, f"new-{place}", last + 1 - first)
        check(served(at, to=f"new-{place}") == RECORDS[:first] + RECORDS[last + 1:], "not the rest")
        path.write_bytes(content)


def a_state_that_lost_records_is_to_be_begun_anew(at):
    data = filled(at, topics=("t", "p-k-changelog"))
    flip(segments(data, "t")[1], 200)
    check(not salvage(at, 1, "new-1")["notes"], "a note on a topic that keeps no state")
    flip(segments(data, "p-k-changelog")[1], 200)
    notes = salvage(at, 1, "new-2")["notes"]
    check(len(notes) == 1 and notes[0].startswith("p-k-changelog keeps an aggregate"), notes)
    check("onceflow reset FILE --to-earliest" in notes[0], notes)


def bytes_in_the_middle_are_overwritten(at):
    """More than one batch, and no length in between that can be trusted."""
    path = segments(filled(at), "t")[1]
    content = bytearray(path.read_bytes())
    content[3000:9000] = b"\xa5" * 6000
    path.write_bytes(content)
    report = salvage(at, 1)
    check(len(report["lost"]) == 1, report)
    _, first, last = lost_of(report)[0]
    check(served(at) == RECORDS[:first] + RECORDS[last + 1:], "not the rest")
    is_sound(at, salvaged=last + 1 - first)


def a_missing_and_a_cut_segment(at):
    data = filled(at)
    first, last = segments(data, "t")[0], segments(data, "t")[-1]
    begins = int(segments(data, "t")[1].stem)
    first.unlink()
    last.write_bytes(last.read_bytes()[:3000])
    report = salvage(at, 1)
    check(lost_of(report)[0] == ("t", 0, begins - 1) and lost_of(report)[1][2] == 99, report)
    found = served(at)
    check(found == RECORDS[begins:lost_of(report)[1][1]], "not the rest")


def an_exchanged_segment_is_not_taken(at):
    data = filled(at, topics=("t", "u"))
    one, other = segments(data, "t")[0], segments(data, "u")[1]
    one.write_bytes(other.read_bytes())
    report = salvage(at, 1)
    check(lost_of(report)[0][:2] == ("t", 0), report)
    check("does not hold what was written" in report["lost"][0]["cause"], report)
    check(served(at, "u") == RECORDS, "the other topic")


def damaged_indexes_lose_nothing(at):
    data = filled(at)
    for path in data.rglob("*.index"):
        path.write_bytes(b"nonsense")
    report = salvage(at, 0)
    check(report["lost"] == [], report)
    check(served(at) == RECORDS, "not all")


def a_lost_end_of_the_journal_gives_no_offset_again(at):
    data = filled(at, "kill")
    path, place = live_journal(data)
    zero_from(path, 0)
    report = salvage(at, 1)
    check(report["lost"] or report["lost_states"], report)
    with Broker(at, name="new") as broker:
        topics = kcat(broker.address, "-L")
        if '"t"' in topics:
            with Connection(broker.address) as connection:
                check(connection.high_watermark("t") > 100, "an offset is given again")
        broker.stop()


def the_end_of_an_active_partition_is_left_out(at):
    data = filled(at)
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", "-p", "0", given="lost-1\nlost-2\n")
        broker.kill()
    zero_from(*live_journal(data))
    report = salvage(at, 1)
    check(lost_of(report)[0][:2] == ("t", 100) and lost_of(report)[0][2] > 101, report)
    check(served(at) == RECORDS, "not all that can be read")


def groups_keep_their_offsets_and_topics_their_ids(at):
    data = filled(at, "kill")
    with Broker(at) as broker:
        before = broker_facts(broker)
        broker.stop()
    flip(segments(data, "t")[0], 100)
    salvage(at, 1)
    with Broker(at, name="new") as broker:
        after = broker_facts(broker)
        broker.stop()
    check(before == after, f"{before}\n{after}")


def broker_facts(broker):
    with Connection(broker.address) as connection:
        # Metadata of version 10 has the topics' ids; OffsetFetch of version 1 the group's offset.
        metadata = connection.call(3, 10, struct.pack(">B", 2) + b"\0" * 16 + b"\x02t" + b"\0" +
                                   struct.pack(">???", False, False, False) + b"\0", flexible=True)
        offsets = connection.call(9, 1, struct.pack(">h", 1) + b"g" + struct.pack(">i", 1) +
                                  struct.pack(">h", 1) + b"t" + struct.pack(">ii", 1, 0))
    cluster = re.search(rb"\x17([\w-]{22})", metadata).group(1)
    topic = metadata.rfind(b"\x02t") + 2
    return cluster, metadata[topic:topic + 16], offsets


def an_undecided_transaction_is_aborted(at):
    with Broker(at) as broker:
        create_topic(broker.address, "t", 1)
        open_one = OpenTransaction(broker.port, "id", "t", 3)
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        broker.kill()
        open_one.is_open = False
    zero_from(*live_journal(at / "data"))
    report = salvage(at, 1)
    check(report["lost_states"], report)
    with Broker(at, name="new") as broker:
        kcat(broker.address, "-P", "-t", "t", given="b\n")
        check(consume(broker.address, "t")[-1:] == ["b"], "readers still wait")
        broker.stop()


def the_pipelines_audit_names_lost_records_as_missing(at):
    data = filled(at)
    flip(segments(data, "t")[1], 200)
    report = salvage(at, 1)
    _, first, last = lost_of(report)[0]
    shutil.rmtree(data)
    (at / "new").rename(data)
    with Worker(at, PIPELINE) as worker:
        wait_for(lambda: len(consume(worker.address, "out")) == 100 - (last + 1 - first),
                 worker.said)
        worker.stop()
    said = audit(at, code=1)
    check("missing" in said and f"{first}..{last}" in said, said)


def what_cannot_be_done_is_said(at):
    data = filled(at)
    (at / "full").mkdir()
    (at / "full" / "file").touch()
    said = onceflow("salvage", "data", "--to", "full", "--execute", at=at, code=2)
    check("not empty" in said, said)
    said = onceflow("salvage", "nowhere", "--to", "new", at=at, code=2)
    check("nowhere" in said, said)
    with Broker(at) as broker:
        said = onceflow("salvage", "data", "--to", "new", at=at, code=2)
        check("in use" in said, said)
        broker.stop()
    (at / "empty").mkdir()
    said = onceflow("salvage", "empty", "--to", "new", "--execute", at=at, code=2)
    check("holds no log" in said, said)
    said = onceflow("audit", "--data-dir", "empty", at=at, code=2)
    check("holds no log" in said, said)
    check(not list((at / "empty").iterdir()) and not (at / "new").exists(), "something was written")
    (at / "link").symlink_to(data)
    for to in ["data/new", "data/topics/t-0/new/er", "link/new", "./data/../data/new"]:
        before = sorted(data.rglob("*"))
        said = onceflow("salvage", "data", "--to", to, "--execute", at=at, code=2)
        check("one in the other" in said, said)
        check(sorted(data.rglob("*")) == before, f"{to}: DIR has changed")
    onceflow("salvage", "link", "--to", "beside", "--execute", at=at)
    check(journals(data), data)
    check_plain(said)


def every_file_can_be_dumped(at):
    data = filled(at, "kill")
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.stat().st_size > 0:
            lines = onceflow("dump", path, "--json", at=at).splitlines()
            check(all(json.loads(line)["what"] for line in lines), path)
            check(onceflow("dump", path, at=at), f"nothing of {path}")
    flip(segments(data, "t")[0], 200)
    said = onceflow("dump", segments(data, "t")[0], at=at, code=1)
    check("checksum is wrong" in said, said)
    for name in ["x.journal", "x.log", "x.index", "checkpoint.0", "journal.durable"]:
        (at / name).write_bytes(bytes(range(256)) * 400)
        check(onceflow("dump", at / name, at=at, code=1), f"nothing of {name}")
    check(list(data.glob("checkpoint.*")), "no checkpoint")
