"""A process that has little of a core, as a container's quota gives it."""

import contextlib
import os
import signal
import threading
import time


@contextlib.contextmanager
def held_to(process, share, period=0.1):
    """It runs for `share` of each period."""
    ends = threading.Event()

    def hold():
        while not ends.is_set() and process.is_alive():
            os.kill(process.process.pid, signal.SIGCONT)
            time.sleep(period * share)
            os.kill(process.process.pid, signal.SIGSTOP)
            ends.wait(period * (1 - share))
        os.kill(process.process.pid, signal.SIGCONT)
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
