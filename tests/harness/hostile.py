"""Clients that take memory and give nothing for it, for the cases d04 to d13."""

import contextlib
import socket
import struct
import time

from harness.claims import check, wait_for
from harness.honest import P99_MS_MAX, Honest, make_topic, produce_body, produce_once
from harness.wire import Connection, batch, text

MIB = 1 << 20
# docs/operations.md: what the process takes at most, beside the page cache.
RESIDENT_BYTES_MAX = 256 * MIB


def open_socket(address, receive_bytes=None):
    made = socket.socket()
    if receive_bytes:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    host, port = address.rsplit(":", 1)
    made.connect((host, int(port)))
    made.setblocking(False)
    return made


def header(key, version):
    return struct.pack(">hhi", key, version, 7) + text("hostile")


def half_request(address, announced_bytes, sent_bytes, key=0, seconds=3):
    """A connection that announces a request, sends as much of it as the log takes within `seconds`,
    `sent_bytes` at most, and falls silent."""
    made = open_socket(address)
    data = struct.pack(">i", announced_bytes) + header(key, 8)
    data += bytes(min(sent_bytes, MIB))
    sent, ends_at = 0, time.monotonic() + seconds
    while sent < sent_bytes and time.monotonic() < ends_at:
        try:
            sent += made.send(data[sent:] if sent < len(data) else bytes(MIB))
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
    return made


def fetch(topic, max_bytes, max_wait_ms=0, min_bytes=1):
    """A frame of a Fetch of version 4 from the beginning of a topic's only partition."""
    body = (struct.pack(">iiiib", -1, max_wait_ms, min_bytes, max_bytes, 0) +
            struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, 0, 0, max_bytes))
    request = header(1, 4) + body
    return struct.pack(">i", len(request)) + request


def send_all_there_is_room_for(made, data, seconds=2):
    ends_at = time.monotonic() + seconds
    while data and time.monotonic() < ends_at:
        try:
            data = data[made.send(data):]
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return


def fill(address, topic, count, value_bytes):
    """`count` records of one batch each."""
    body = produce_body(topic, batch([bytes(value_bytes)]))
    with Connection(address) as connection:
        make_topic(connection, topic)
        for _ in range(count):
            produce_once(connection, body)


def is_closed(made):
    """Reads all that has come."""
    try:
        while made.recv(MIB):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextlib.contextmanager
def honest_beside(broker, value_bytes=100, per_second=1000):
    """While the block lasts an honest producer goes on as if nothing were, and the log stays within
    its bound."""
    with Honest(broker.address, value_bytes, per_second) as honest:
        yield
    most = broker.memory_bytes("VmHWM")
    print(f"    honest: {honest.said()}; log at most {most / MIB:.0f} MiB resident, "
          f"{broker.metric('onceflow_broker_request_memory_bytes') / MIB:.0f} MiB of requests now")
    check(honest.closed_count == 0, "the honest connection was closed")
    check(honest.count > 0 and honest.p99_ms <= P99_MS_MAX, f"p99 {honest.p99_ms:.0f} ms")
    check(most <= RESIDENT_BYTES_MAX, f"{most / MIB:.0f} MiB resident")


def closed_for(broker, reason):
    return broker.metric('onceflow_broker_closed_for_memory_total{reason="%s"}' % reason)


def memory_comes_free(broker, seconds=5):
    wait_for(lambda: broker.metric("onceflow_broker_request_memory_bytes") < 10 * MIB,
             "memory to come free", seconds)
