"""Claims: functions that take a directory of their own and raise where the product breaks them."""

import pathlib
import shutil
import tempfile
import time

SECONDS_MAX = 60


class Skipped(Exception):
    """This machine does not allow the claim to be tried; the text says why."""


def check(good, text):
    if not good:
        raise AssertionError(text)


def check_plain(text):
    """What a user is told is never a stack trace."""
    for word in ["terminate", "what()", "CHECK", "Sanitizer", "core dumped", "#0 "]:
        check(word not in text, f"not plain text: {text}")


def wait_for(ready, what, seconds=SECONDS_MAX):
    """The first true answer of `ready()`. `what` may be a function: it is asked at the end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what() if callable(what) else what} after {seconds} s")


def is_claim(value):
    """A function whose first argument is called `at`: the directory it may use."""
    code = getattr(value, "__code__", None)
    return code is not None and code.co_argcount == 1 and code.co_varnames[0] == "at"


def claims_of(module):
    return [value for value in vars(module).values()
            if is_claim(value) and value.__module__ == module.__name__]


def run_claims(claims, prefix="onceflow-"):
    """Runs each claim, prints a line for each, returns (passed, failed, skipped). The directory
    of a claim that failed is kept and named."""
    passed = failed = skipped = 0
    for claim in claims:
        at = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        at.chmod(0o755)
        started = time.monotonic()
        try:
            claim(at)
            passed += 1
            verdict = "ok"
        except Skipped as why:
            skipped += 1
            verdict = f"not run: {why}"
        except Exception as problem:
            failed += 1
            verdict = f"FAIL: {type(problem).__name__}: {problem} (in {at})"
        if not verdict.startswith("FAIL"):
            shutil.rmtree(at, ignore_errors=True)
        print(f"  {claim.__name__}: {verdict}, {time.monotonic() - started:.1f} s", flush=True)
    return passed, failed, skipped
