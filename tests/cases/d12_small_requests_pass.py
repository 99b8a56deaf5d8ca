"""D12: half requests that hold much memory go first, and small ones never wait for it."""

import time

from harness import Broker, check
from harness.hostile import (MIB, closed_for, half_request, honest_beside, is_closed,
                             memory_comes_free, open_socket)


def fourteen_that_fall_silent_after_45_mib(at):
    with Broker(at, shows=True) as broker:
        with honest_beside(broker):
            sockets = [half_request(broker.address, 65 * MIB, 45 * MIB, seconds=0.5)
                       for _ in range(14)]
            time.sleep(3)
        check(closed_for(broker, "half request") > 0, "none of them was closed")
        for each in sockets:
            each.close()
        memory_comes_free(broker)


def two_hundred_that_fall_silent_before_their_end(at):
    """A megabyte each: more together than there is."""
    with Broker(at, shows=True) as broker:
        with honest_beside(broker, 100_000, per_second=20):
            sockets = [half_request(broker.address, MIB, MIB - 100, seconds=0.2)
                       for _ in range(200)]
            time.sleep(3)
        for each in sockets:
            each.close()
        memory_comes_free(broker)


def those_that_send_a_little_each_second(at):
    """Progress, but so little that what they hold would be held for minutes."""
    with Broker(at, shows=True) as broker:
        with honest_beside(broker):
            sockets = [half_request(broker.address, 65 * MIB, 40 * MIB, seconds=0.3)
                       for _ in range(6)]
            for _ in range(10):
                for each in sockets:
                    try:
                        each.send(b"x")
                    except OSError:
                        pass
                time.sleep(0.5)
            first = [half_request(broker.address, MIB, MIB + 100, seconds=5)]
        for each in sockets + first:
            each.close()
        memory_comes_free(broker)


def a_slow_link_within_its_share_is_not_closed(at):
    """200 kB in 6 s, beside some that hold all there is."""
    with Broker(at, shows=True) as broker:
        with honest_beside(broker):
            slow = half_request(broker.address, 200_000, 1000)
            sockets = []
            for _ in range(8):
                sockets.append(half_request(broker.address, 65 * MIB, 45 * MIB, seconds=0.3))
                slow.send(bytes(10_000))
            for _ in range(10):
                slow.send(bytes(10_000))
                time.sleep(0.4)
            check(not is_closed(slow), "the slow link was closed")
        for each in sockets + [slow]:
            each.close()


def two_thousand_that_were_busy_are_cheap_when_idle(at):
    with Broker(at, shows=True) as broker:
        before = broker.memory_bytes()
        sockets = [open_socket(broker.address) for _ in range(2000)]
        request = b"\x00\x00\x40\x0f\x00\x12\x00\x00\x00\x00\x00\x07\x40\x05" + b"h" * 0x4005
        for each in sockets:
            each.send(request[:0x4013])
        time.sleep(6)
        with honest_beside(broker):
            time.sleep(1)
        each_bytes = (broker.memory_bytes() - before) / len(sockets)
        print(f"    {each_bytes:.0f} bytes an idle connection")
        check(each_bytes < 12_000, f"{each_bytes:.0f} bytes a connection")
        for each in sockets:
            each.close()
