"""D14: ids and names that are not text are refused at the door; the others are shown escaped."""

import json
import os
import struct
import subprocess
import urllib.request

from harness import ONCEFLOW, Broker, check, kcat, onceflow
from harness.wire import Connection, text

NOT_TEXT = [b"\xff\xfe", b"group\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
STRANGE = 'a\nb"c\\d\x01\x7f{}é\U0001f600'


def offset_commit(group, member="", instance=None, metadata="m"):
    return 8, 7, (text(group) + struct.pack(">i", -1) + text(member) + text(instance) +
                  struct.pack(">i", 1) + text("t") + struct.pack(">iiqi", 1, 0, 5, -1) +
                  text(metadata))


def join(group, member="", instance=None, kind="consumer", protocol="range"):
    return 11, 5, (text(group) + struct.pack(">ii", 10_000, 10_000) + text(member) +
                   text(instance) + text(kind) + struct.pack(">i", 1) + text(protocol) +
                   struct.pack(">i", 0))


def requests(name):
    """Each with this text in one of its places."""
    return {
        "OffsetCommit, group": offset_commit(name),
        "OffsetCommit, member": offset_commit("g", member=name),
        "OffsetCommit, instance": offset_commit("g", instance=name),
        "OffsetCommit, metadata": offset_commit("g", metadata=name),
        "OffsetFetch, group": (9, 1, text(name) + struct.pack(">i", 0)),
        "JoinGroup, group": join(name),
        "JoinGroup, member": join("g", member=name),
        "JoinGroup, instance": join("g", instance=name),
        "JoinGroup, protocol type": join("g", kind=name),
        "JoinGroup, protocol": join("g", protocol=name),
        "SyncGroup, group": (14, 0, text(name) + struct.pack(">i", 1) + text("") +
                             struct.pack(">i", 0)),
        "Heartbeat, group": (12, 0, text(name) + struct.pack(">i", 1) + text("")),
        "LeaveGroup, member": (13, 0, text("g") + text(name)),
        "FindCoordinator, key": (10, 1, text(name) + b"\0"),
        "DescribeGroups, group": (15, 0, struct.pack(">i", 1) + text(name)),
        "DeleteGroups, group": (42, 0, struct.pack(">i", 1) + text(name)),
        "InitProducerId, transactional id": (22, 1, text(name) + struct.pack(">i", 5000)),
        "AddPartitionsToTxn, topic": (24, 0, text("x") + struct.pack(">qhi", 1, 0, 1) +
                                      text(name) + struct.pack(">ii", 1, 0)),
        "AddOffsetsToTxn, group": (25, 0, text("x") + struct.pack(">qh", 1, 0) + text(name)),
        "EndTxn, transactional id": (26, 0, text(name) + struct.pack(">qhb", 1, 0, 1)),
        "Metadata, topic": (3, 1, struct.pack(">i", 1) + text(name)),
        "CreateTopics, topic": (19, 2, struct.pack(">i", 1) + text(name) +
                                struct.pack(">ihii", 1, 1, 0, 0) + struct.pack(">i?", 0, False)),
        "CreateTopics, value": (19, 2, struct.pack(">i", 1) + text("new") +
                                struct.pack(">ihii", 1, 1, 0, 1) + text("retention.ms") +
                                text(name) + struct.pack(">i?", 0, False)),
        "DescribeConfigs, resource": (32, 0, struct.pack(">ib", 1, 2) + text(name) +
                                      struct.pack(">i", -1)),
        "Produce, transactional id": (0, 3, text(name) + struct.pack(">hii", -1, 1000, 0)),
        "Produce, topic": (0, 3, text(None) + struct.pack(">hii", -1, 1000, 1) + text(name) +
                           struct.pack(">i", 0)),
    }


def page(broker, path):
    """As it came, which must be UTF-8."""
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.status_port}{path}") as answer:
        return answer.read().decode("utf-8")


def is_closed(address, key, version, body):
    with Connection(address) as connection:
        try:
            connection.call(key, version, body)
        except ConnectionError:
            return True
        return False


def check_pages(broker):
    metrics = page(broker, "/metrics")
    for line in metrics.splitlines():
        check(line.startswith("#") or line.rsplit(" ", 1)[1].replace(".", "").replace("-", "")
              .replace("e", "").replace("+", "").replace("Inf", "").isdigit(), line)
    return metrics, json.loads(page(broker, "/status"))


def what_is_not_text_is_refused_in_every_place(at):
    with Broker(at, shows=True) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        for name in NOT_TEXT:
            for place, request in requests(name).items():
                check(is_closed(broker.address, *request), f"{place} {name}: it is answered")
        metrics, status = check_pages(broker)
        check(status["groups"] == [], status["groups"])
        check("\ufffd" not in metrics, metrics)
        check("a text is not UTF-8" in broker.said(), broker.said())
        check(broker.said().count("\n") < 40, "a line for each")


def a_client_id_that_is_not_text_is_refused(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        header = struct.pack(">hhi", 18, 0, 7) + text(b"\xff")
        connection.socket.sendall(struct.pack(">i", len(header)) + header)
        try:
            connection.receive()
        except ConnectionError:
            return
        check(False, "it is answered")


def text_with_anything_in_it_is_shown_escaped(at):
    """Kafka takes such ids, so they are taken."""
    with Broker(at, shows=True) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        with Connection(broker.address) as connection:
            for request in (offset_commit(STRANGE), (22, 1, text(STRANGE) +
                                                     struct.pack(">i", 5000))):
                connection.call(*request)
            connection.call(*join(STRANGE + "2", instance=STRANGE))
        metrics, status = check_pages(broker)
        check(STRANGE in [group["group_id"] for group in status["groups"]], status["groups"])
        check('a\\nb\\"c\\\\d' in metrics, metrics)
        is_closed(broker.address, 12, 0, b"\xff")
        check(all(line.isprintable() for line in broker.said().splitlines()), broker.said())


def a_name_of_a_request_that_fails_is_one_line(at):
    with Broker(at) as broker:
        with Connection(broker.address) as connection:
            answer = connection.call(19, 2, struct.pack(">i", 1) + text(STRANGE) +
                                     struct.pack(">ihii", 1, 1, 0, 0) +
                                     struct.pack(">i?", 0, False))
            check(b"alphanumerics" in answer, answer)
        check(len(broker.said().splitlines()) < 10, broker.said())


def the_empty_group_may_be_committed_to_and_deleted(at):
    """As with Kafka; but nobody joins it."""
    with Broker(at) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        answer = connection.call(*offset_commit(""))
        check(struct.unpack(">h", answer[-2:])[0] == 0, answer)
        check(struct.unpack(">h", connection.call(*join(""))[4:6])[0] == 24, "JoinGroup")
        answer = connection.call(42, 0, struct.pack(">i", 1) + text(""))
        check(struct.unpack(">h", answer[-2:])[0] == 0, answer)
        answer = connection.call(22, 1, text("") + struct.pack(">i", 5000))
        check(struct.unpack(">h", answer[4:6])[0] == 42, "InitProducerId")


def our_own_commands_say_it_before_they_begin(at):
    (at / "p.yaml").write_text("name: p\nsource: { kafka: { topics: [\"${env:T}\"] } }\n"
                               "sinks: [ { kafka: { topic: out } } ]\n", encoding="utf-8")
    bad = os.fsdecode(b"w\xff")
    for arguments, environment in ((["validate", "p.yaml"], {"T": bad}),
                                   (["run", "p.yaml", "--worker", bad], {"T": "t"}),
                                   (["run", "p.yaml", "--worker", "a\nb"], {"T": "t"}),
                                   (["cat", "-C", "-t", bad], {})):
        said = onceflow(*arguments, at=at, code=2, environment=environment)
        check("UTF-8" in said and "\ufffd" not in said, f"{arguments}: {said}")


def json_is_json_whatever_a_record_holds(at):
    with Broker(at) as broker:
        subprocess.run(["kcat", "-b", broker.address, "-P", "-t", "t", "-K:"], check=True,
                       input=b'k\xff\x01:v\xfe"\n')
        said = subprocess.run([ONCEFLOW, "cat", "-C", "-J", "-e", "-b", broker.address, "-t", "t"],
                              check=True, stdout=subprocess.PIPE, timeout=60).stdout
        record = json.loads(said.decode())
        check(record["key_hex"] == b"k\xff\x01".hex() and
              record["payload_hex"] == b'v\xfe"'.hex(), record)
