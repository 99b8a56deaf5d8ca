"""A producer that does what most do, beside others that do not: how long it waits for answers."""

import struct
import threading
import time

from harness.wire import Connection, batch, text


class HonestProducer:
    """One small record each millisecond to partition 0 of `topic`, on a connection of its own,
    until the end of its block."""

    def __init__(self, address, topic="honest"):
        self.connection = Connection(address)
        records = batch([b"x" * 100])
        self.body = (text(None) + struct.pack(">hii", -1, 30_000, 1) + text(topic) +
                     struct.pack(">iii", 1, 0, len(records)) + records)
        self.waits = []
        self.failure = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._produce)
        self.connection.call(3, 1, struct.pack(">i", 1) + text(topic))  # makes the topic
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()
        self.connection.socket.close()

    def _produce(self):
        try:
            while not self._ends.is_set():
                begun = time.monotonic()
                answer = self.connection.call(0, 7, self.body)
                self.waits.append(time.monotonic() - begun)
                at = 4 + struct.unpack(">h", answer[4:6])[0] + 6 + 4
                error, = struct.unpack(">h", answer[at + 4:at + 6])
                assert error == 0, f"Produce: error {error}"
                self._ends.wait(max(0.0, 0.001 - self.waits[-1]))
        except Exception as failure:  # told by whom it disturbs
            self.failure = failure

    def measure(self, seconds):
        """(p99, worst) in seconds of what is answered from now on for so long."""
        begin = len(self.waits)
        time.sleep(seconds)
        return self.since(begin)

    def now(self):
        return len(self.waits)

    def since(self, begin):
        """(p99, worst) of all since now() gave `begin`; what waits at the moment counts too."""
        if self.failure:
            raise self.failure
        waits = sorted(self.waits[begin:])
        return waits[len(waits) * 99 // 100], waits[-1]
