"""A script of tests that is told to end (SIGTERM, SIGINT, SIGHUP) ends what it has started: the
signal becomes SystemExit in the main thread, so that every `with` block and `atexit` is run."""

import contextlib
import signal
import sys
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_waiting = []    # the signal that came within undivided()
_undivided = []  # one entry for each undivided() that the main thread is in


def end_on_signals():
    """Of the main thread, once. The exit code is 128 and the signal's number, as a shell has it."""
    for each in SIGNALS:
        if signal.getsignal(each) != signal.SIG_IGN:  # as under nohup
            signal.signal(each, _end)


def _end(number, _frame):
    for each in SIGNALS:  # What ends already is not ended again: its own end would be cut short.
        signal.signal(each, lambda *_: None)
    if _undivided:
        _waiting.append(number)
    else:
        sys.exit(128 + number)


@contextlib.contextmanager
def undivided():
    """What starts a server is not left between its start and the name under which it is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # No signal comes here.
        return
    _undivided.append(True)
    try:
        yield
    finally:
        _undivided.pop()
        if _waiting and not _undivided:
            sys.exit(128 + _waiting.pop())
