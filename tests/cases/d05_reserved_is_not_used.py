"""D5: a request that announces much and sends little takes nothing from the others."""

from harness import Broker
from harness.hostile import MIB, half_request, honest_beside

ANNOUNCED = 60 * MIB


def thirty_that_send_forty_bytes(at):
    with Broker(at, shows=True) as broker, honest_beside(broker):
        sockets = [half_request(broker.address, ANNOUNCED, 40) for _ in range(30)]
        wait_a_little(sockets)


def thirty_that_send_a_hundred_kilobytes(at):
    """Beside a producer whose requests are not small either."""
    with Broker(at, shows=True) as broker, honest_beside(broker, 100_000, per_second=20):
        sockets = [half_request(broker.address, ANNOUNCED, 100_000) for _ in range(30)]
        wait_a_little(sockets)


def two_hundred_that_are_almost_finished(at):
    with Broker(at, shows=True) as broker, honest_beside(broker):
        sockets = [half_request(broker.address, MIB, MIB - 100) for _ in range(200)]
        wait_a_little(sockets)


def all_kinds_of_requests_announced(at):
    with Broker(at, shows=True) as broker, honest_beside(broker):
        sockets = [half_request(broker.address, ANNOUNCED, 3 * MIB, key=key, seconds=0.2)
                   for key in (0, 1, 3, 8, 11, 14, 19)]
        wait_a_little(sockets)


def wait_a_little(sockets, seconds=3):
    import time  # pylint: disable=import-outside-toplevel
    time.sleep(seconds)
    for each in sockets:
        each.close()
