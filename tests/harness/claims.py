"""Claims: functions that take a directory of their own and raise where the product breaks them."""

import pathlib
import shutil
import sys
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


def main_of_claims(claims, needs=()):
    """The main function of a suite of claims: runs those named on the command line, or all, and
    prints the sums. Without one of the commands `needs` nothing is tried, and it says so."""
    names = [claim.__name__ for claim in claims]
    if unknown := [name for name in sys.argv[1:] if name not in names]:
        sys.exit(f"no such claim: {', '.join(unknown)}")
    if missing := [command for command in needs if shutil.which(command) is None]:
        print(f"not run: there is no {' and no '.join(missing)}")
        print("0 passed, 0 failed, 1 skipped")
        return
    chosen = [claim for claim in claims if not sys.argv[1:] or claim.__name__ in sys.argv[1:]]
    passed, failed, skipped = run_claims(chosen)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)
