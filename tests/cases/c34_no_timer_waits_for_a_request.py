"""C34: sessions and timeouts end by the broker's own timers, in silence."""

import struct
import time

from harness import Broker, check, kcat, wait_for
from harness.wire import Connection, batch, text

SESSION_S = 1
OPTIONS = ["--override", "group.min.session.timeout.ms=500"]


def three_static_groups_that_end_together_can_be_deleted_after_their_session(at):
    with Broker(at, *OPTIONS, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        connections = [Connection(broker.address) for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.join_alone(f"g{number}", "i", SESSION_S * 1000)
        for connection in connections:
            connection.socket.close()
        time.sleep(SESSION_S + 0.5)
        with Connection(broker.address) as connection:
            for number in range(3):
                error = connection.delete_group(f"g{number}")
                check(error == 0, f"DeleteGroups: error {error}")


def a_member_that_ends_while_it_joins_is_gone_after_its_session(at):
    """The rebalance it waits for would give it another session otherwise."""
    with Broker(at, *OPTIONS, "--override", "group.initial.rebalance.delay.ms=900") as broker:
        with Connection(broker.address) as connection:
            connection.send(11, 5, text("g") + struct.pack(">ii", SESSION_S * 1000, 60_000) +
                            text("") + text("i") + text("consumer") + struct.pack(">i", 1) +
                            text("range") + struct.pack(">i", 0))
            time.sleep(0.2)
        time.sleep(SESSION_S + 0.5)
        with Connection(broker.address) as connection:
            error = connection.delete_group("g")
            check(error == 0, f"DeleteGroups: error {error}")


def a_transaction_is_aborted_in_silence(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        with Connection(broker.address) as connection:
            producer = connection.init_producer("id", 1000)
            connection.produce_v12("id", "t", batch([b"open"], producer, 0, transactional=True))
        # The abort's marker is written by then: nobody has asked for anything meanwhile.
        time.sleep(2)
        with Connection(broker.address) as connection:
            check(connection.high_watermark("t") == 3, "no marker after two timeouts of silence")
            wait_for(lambda: connection.last_stable_offset("t") == 3, "the end", 2)
