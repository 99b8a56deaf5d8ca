"""C18: what began at a time ends when its time is up, however often the log starts meanwhile."""

import struct
import time

from harness import Broker, check, free_port, kcat, wait_for
from harness.wire import Connection, batch, text

TIMEOUT_S = 3


def begin_transaction(address, topic, transactional_id):
    with Connection(address) as connection:
        producer = connection.init_producer(transactional_id, TIMEOUT_S * 1000)
        error = connection.produce_v12(transactional_id, topic,
                                       batch([b"open"], producer, 0, transactional=True))
        check(error == 0, f"Produce: error {error}")


def restarts_do_not_prolong_a_transaction(at):
    """No life of the log is as long as the timeout; it ends all the same, and not before."""
    port = free_port()
    began = None
    until = None
    while True:
        with Broker(at, port=port) as broker:
            check(broker.ready, broker.said())
            if began is None:
                kcat(broker.address, "-P", "-t", "t", given="first\n")
                began = time.monotonic()
                begin_transaction(broker.address, "t", "id")
                until = began + 20
            with Connection(broker.address) as connection:
                is_open = connection.last_stable_offset("t") < connection.high_watermark("t")
            age = time.monotonic() - began
            if not is_open:
                check(age >= TIMEOUT_S, f"aborted after {age:.1f} s of {TIMEOUT_S} s")
                return
            check(time.monotonic() < until, f"still open after {age:.1f} s")
            time.sleep(0.5)


def a_log_that_was_down_for_longer_aborts_when_it_starts(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        begin_transaction(broker.address, "t", "id")
    time.sleep(TIMEOUT_S)
    with Broker(at) as broker, Connection(broker.address) as connection:
        wait_for(lambda: connection.last_stable_offset("t") == connection.high_watermark("t"),
                 "end of the transaction", 2)


def restarts_do_not_keep_a_member_that_has_gone(at):
    """Its session is 2 s; the log lives for 1 s at a time."""
    port = free_port()
    began = None
    for _ in range(12):
        with Broker(at, "--override", "group.min.session.timeout.ms=500", "--override",
                    "group.initial.rebalance.delay.ms=0", port=port) as broker:
            check(broker.ready, broker.said())
            with Connection(broker.address) as connection:
                if began is None:
                    began = time.monotonic()
                    connection.join_alone("g", "i", 2000)
                elif time.monotonic() - began > 3.5:
                    answer = connection.call(15, 0, struct.pack(">i", 1) + text("g"))
                    check(b"Empty" in answer, f"the group is not empty: {answer}")
                    return
            time.sleep(1)
    check(False, "the log took too long to start")
