"""D4: what clients put into groups has bounds, refused by name; none is applied half."""

import contextlib
import struct

from harness import SMALL_SEGMENTS, Broker, check, consume, kcat
from harness.hostile import MIB, RESIDENT_BYTES_MAX, half_request, honest_beside, is_closed
from harness.kafka_admin import create_topic, delete_topic, set_topic_config
from harness.wire import Connection, text

QUICK = ["--override", "group.initial.rebalance.delay.ms=0"]
INVALID_REQUEST, INVALID_GROUP_ID, GROUP_MAX_SIZE_REACHED = 42, 24, 81
OFFSET_METADATA_TOO_LARGE, INVALID_COMMIT_OFFSET_SIZE, MEMBER_ID_REQUIRED = 12, 28, 79
INVALID_CONFIG, POLICY_VIOLATION = 40, 44


def ask_to_join(connection, group, metadata_bytes, client="wire", protocols=1):
    """A JoinGroup of version 2, which needs no member id."""
    body = (text(group) + struct.pack(">ii", 10_000, 1_000) + text("") + text("consumer") +
            struct.pack(">i", protocols))
    for number in range(protocols):
        body += text(f"p{number}") + struct.pack(">i", metadata_bytes) + bytes(metadata_bytes)
    request = struct.pack(">hhi", 11, 2, 7) + text(client) + body
    connection.socket.sendall(struct.pack(">i", len(request)) + request)


def answer_to_join(connection):
    """Its error."""
    return struct.unpack(">h", connection.receive()[4:6])[0]


def join(connection, *arguments, **options):
    ask_to_join(connection, *arguments, **options)
    return answer_to_join(connection)


def refused(error, create, *arguments, **options):
    try:
        create(*arguments, **options)
    except AssertionError as said:
        check(f"error {error}" in str(said), f"{said}, not {error}")
        return
    check(False, "it is not refused")


def state(broker, name):
    return broker.metric('onceflow_broker_state{state="%s"}' % name)


def metadata_of_90_mib_is_refused_before_it_is_taken(at):
    with Broker(at, *QUICK, shows=True) as broker:
        with honest_beside(broker):
            sockets = [half_request(broker.address, 90 * MIB, 90 * MIB, key=11) for _ in range(12)]
            check(all(is_closed(each) for each in sockets), "a connection is open still")
        check(state(broker, "groups") == 0, "a group was made")


def a_member_has_a_bound(at):
    with Broker(at, *QUICK, shows=True) as broker, Connection(broker.address) as connection:
        check(join(connection, "g", MIB + 1) == INVALID_REQUEST, "one protocol beyond the bound")
        check(join(connection, "g", MIB // 2, protocols=3) == INVALID_REQUEST, "three in the sum")
        check(state(broker, "groups") == 0, "a group was made of what was refused")
        check(join(connection, "g", MIB - 100) == 0, "one within the bound")
        check(state(broker, "group_members_bytes") > MIB - 100, "the gauge does not show it")


def a_group_has_a_bound_and_so_have_all_together(at):
    with Broker(at, *QUICK, "--override", "group.max.bytes=3000000", "--override",
                "group.members.max.bytes=5000000", shows=True) as broker, \
            contextlib.ExitStack() as connections:
        # The first of a group is a member at once; the others are while its rebalance waits.
        members = []
        for number in range(8):
            members.append(connections.enter_context(Connection(broker.address)))
            ask_to_join(members[-1], f"g{number // 4}", 900_000)
        errors = [answer_to_join(member) for member in members]
        refused = GROUP_MAX_SIZE_REACHED
        check(errors == [0, 0, 0, refused, 0, 0, refused, refused], f"{errors}")
        check(state(broker, "group_members_bytes") <= 5_000_000, "more than the bound")


def ids_have_a_bound(at):
    with Broker(at, *QUICK, shows=True) as broker, Connection(broker.address) as connection:
        check(join(connection, "g" * 256, 10) == INVALID_GROUP_ID, "a long group id")
        check(join(connection, "g", 10, client="c" * 256) == INVALID_REQUEST, "a long client id")
        check(join(connection, "g" * 255, 10) == 0, "a group id at the bound")
        answer = connection.call(22, 1, text("t" * 256) + struct.pack(">i", 10_000))
        check(struct.unpack(">h", answer[4:6])[0] == INVALID_REQUEST, "a long transactional id")
        check(state(broker, "transactional_ids") == 0, "it is there all the same")


def ids_that_nobody_has_come_back_with_count(at):
    """From version 4 on a member is given its id first; some 430 bytes each were kept for the
    session, and stood in no gauge."""
    with Broker(at, *QUICK, "--override", "group.members.max.bytes=10000", shows=True) as broker, \
            Connection(broker.address) as connection:
        body = (text("g") + struct.pack(">ii", 1_800_000, 1_800_000) + text("") +
                text("consumer") + struct.pack(">i", 1) + text("range") + struct.pack(">i", 0))
        errors = [struct.unpack(">h", connection.call(11, 4, body)[4:6])[0] for _ in range(100)]
        given = errors.count(MEMBER_ID_REQUIRED)
        check(50 < given < 80, f"{given} ids were given out")
        check(errors == [MEMBER_ID_REQUIRED] * given + [GROUP_MAX_SIZE_REACHED] * (100 - given),
              f"{errors}")
        check(given * 100 < state(broker, "group_members_bytes") <= 10_000, "the gauge")


def commit(connection, group, metadata_bytes, topic="honest"):
    """The error of an OffsetCommit of version 2, without membership."""
    body = (text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) +
            text(topic) + struct.pack(">iiq", 1, 0, 5) + text("m" * metadata_bytes))
    return struct.unpack(">h", connection.call(8, 2, body)[-2:])[0]


def offsets_have_a_bound_and_those_that_are_there_still_move(at):
    with Broker(at, "--override", "group.offsets.max.bytes=10000", shows=True) as broker, \
            Connection(broker.address) as connection:
        with honest_beside(broker):  # makes its topic
            pass
        check(commit(connection, "g", 4097) == OFFSET_METADATA_TOO_LARGE, "long metadata")
        errors = [commit(connection, f"g{number}", 1000) for number in range(12)]
        check(errors[:8] == [0] * 8 and errors[-1] == INVALID_COMMIT_OFFSET_SIZE, f"{errors}")
        check(commit(connection, "g0", 1000) == 0, "an offset that is there may not move")
        check(state(broker, "group_offsets_bytes") <= 10_000, "more than the bound")
        check(broker.memory_bytes() < RESIDENT_BYTES_MAX, "memory")


def transactional_ids_have_a_bound(at):
    with Broker(at, "--override", "transactional.id.max.count=3", shows=True) as broker, \
            Connection(broker.address) as connection:
        for number in range(3):
            connection.init_producer(f"t{number}", 10_000)
        answer = connection.call(22, 1, text("t3") + struct.pack(">i", 10_000))
        check(struct.unpack(">h", answer[4:6])[0] != 0, "a fourth one")
        connection.init_producer("t0", 10_000)


def protocols_have_a_bound(at):
    with Broker(at, *QUICK) as broker, Connection(broker.address) as connection:
        check(join(connection, "g", 10, protocols=100) == 0, "a hundred")
        check(join(connection, "h", 10, protocols=101) == INVALID_REQUEST, "a hundred and one")


def settings_of_topics_have_a_bound(at):
    """One value, and all together."""
    lengthy = {"cleanup_policy": "delete," * 500 + "delete"}
    with Broker(at, "--override", "topic.configs.max.bytes=18000", shows=True) as broker:
        refused(INVALID_CONFIG, create_topic, broker.address, "long",
                follower_replication_throttled_replicas="0:1," * 2000)
        for number in range(4):
            create_topic(broker.address, f"t{number}", **lengthy)
        taken = state(broker, "topic_configs_bytes")
        check(14_000 < taken <= 18_000, f"{taken}")
        refused(POLICY_VIOLATION, create_topic, broker.address, "more", **lengthy)
        create_topic(broker.address, "plain")
        refused(POLICY_VIOLATION, set_topic_config, broker.address, "plain", "cleanup.policy",
                lengthy["cleanup_policy"])
        set_topic_config(broker.address, "t1", "cleanup.policy", "delete")
        check(state(broker, "topic_configs_bytes") < taken, "what was taken back counts")
        create_topic(broker.address, "more", **lengthy)
        delete_topic(broker.address, "t0")
        check(state(broker, "topic_configs_bytes") < taken, "what was deleted counts")


def small_segments_are_refused_as_by_kafka(at):
    with Broker(at) as broker:
        refused(INVALID_CONFIG, create_topic, broker.address, "t", segment_bytes=(1 << 20) - 1)
        create_topic(broker.address, "t", segment_bytes=1 << 20)
        broker.stop()
    with Broker(at, "--override", "log.segment.bytes=1048575") as broker:
        check(not broker.ready and "log.segment.bytes=1048575" in broker.said(), broker.said())
    with Broker(at, *SMALL_SEGMENTS, name="other") as broker:
        create_topic(broker.address, "t", segment_bytes=80)
        broker.stop()
    # One that is there already goes on, and takes other settings.
    with Broker(at, name="other") as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\nb\n")
        set_topic_config(broker.address, "t", "retention.ms", "7000")
        check(consume(broker.address, "t") == ["a", "b"], "not served")
