"""D6, D13: answers that nobody takes are within the bound, whoever asks for them and how often."""

import time

from harness import Broker, check, wait_for
from harness.hostile import (MIB, closed_for, fetch, fill, honest_beside, memory_comes_free,
                             open_socket, send_all_there_is_room_for)

SMALL_WINDOW = 4096


def forty_readers_of_twenty_large_fetches(at):
    with Broker(at, shows=True) as broker:
        fill(broker.address, "full", 70, 900_000)
        with honest_beside(broker):
            sockets = [open_socket(broker.address, SMALL_WINDOW) for _ in range(40)]
            for each in sockets:
                send_all_there_is_room_for(each, fetch("full", 50 * MIB) * 20)
            time.sleep(4)
        for each in sockets:
            each.close()
        memory_comes_free(broker)


def three_hundred_with_eighty_small_requests(at):
    with Broker(at, shows=True) as broker:
        fill(broker.address, "full", 70, 900_000)
        with honest_beside(broker):
            sockets = [open_socket(broker.address, SMALL_WINDOW) for _ in range(300)]
            for each in sockets:
                send_all_there_is_room_for(each, fetch("full", MIB) * 80)
            time.sleep(4)
        wait_for(lambda: closed_for(broker, "unread answer") > 0, "one of them to be closed", 20)
        for each in sockets:
            each.close()
        memory_comes_free(broker)


def fetches_that_wait_and_are_all_answered_at_once(at):
    """Parked until records come, then every one of them has its answer made in one turn."""
    with Broker(at, shows=True) as broker:
        fill(broker.address, "full", 1, 10)
        sockets = [open_socket(broker.address, SMALL_WINDOW) for _ in range(200)]
        for each in sockets:
            send_all_there_is_room_for(each, fetch("full", 50 * MIB, 30_000, 40 * MIB))
        with honest_beside(broker):
            fill(broker.address, "full", 50, 900_000)
            time.sleep(3)
        for each in sockets:
            each.close()
        memory_comes_free(broker)


def a_reader_that_is_slow_gets_all_of_it(at):
    """Beside others that do not read at all: it is within its share, and goes on."""
    with Broker(at, shows=True) as broker:
        fill(broker.address, "full", 70, 900_000)
        with honest_beside(broker):
            slow = open_socket(broker.address, 256 * 1024)
            send_all_there_is_room_for(slow, fetch("full", 2 * MIB))
            sockets = [open_socket(broker.address, SMALL_WINDOW) for _ in range(200)]
            for each in sockets:
                send_all_there_is_room_for(each, fetch("full", MIB) * 80)
            got, ends_at = 0, time.monotonic() + 8
            while got < 900_000 and time.monotonic() < ends_at:
                time.sleep(0.2)
                try:
                    part = slow.recv(60_000)
                except BlockingIOError:
                    continue
                check(part, f"the slow reader was closed after {got} bytes")
                got += len(part)
        check(got >= 900_000, f"only {got} bytes came")


def two_thousand_heartbeats_each_that_nobody_reads(at):
    """Small answers too, in their sum."""
    with Broker(at, shows=True) as broker, honest_beside(broker):
        request = b"\x00\x00\x00\x0f\x00\x12\x00\x00\x00\x00\x00\x07\x00\x05hello"
        sockets = [open_socket(broker.address, SMALL_WINDOW) for _ in range(300)]
        for each in sockets:
            send_all_there_is_room_for(each, request * 2000, seconds=0.2)
        time.sleep(2)
