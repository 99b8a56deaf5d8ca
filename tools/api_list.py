#!/usr/bin/env python3
"""Makes the part of LIMITS.md that names the APIs of Kafka which the broker does not have.

    tools/api_list.py     writes it; `./x check` compares

The truth is src/broker/api_table.cc, for what there is, and tools/kafka_apis.txt, for the rest.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE, TABLE, KNOWN = "LIMITS.md", "src/broker/api_table.cc", "tools/kafka_apis.txt"
BEGIN = "<!-- made by tools/api_list.py: begin -->\n"
END = "<!-- made by tools/api_list.py: end -->\n"


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def known_apis(text):
    """(key, name, what its absence means) of each line."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, name, *absence = (part.strip() for part in line.split(" : "))
            yield int(key), name, absence[0] if absence else None


def make_list(known, table):
    """The part of the page. An API that is missing and says nothing about it is an error."""
    handled = set(re.findall(r"&handle_(\w+)\b", table))
    lines = []
    for key, name, absence in known_apis(known):
        if snake(name) not in handled:
            if absence is None:
                raise ValueError(f"{KNOWN}: {name} is not in {TABLE}; say what that means")
            lines.append(f"| {name} | {key} | {absence} |\n")
    return "| not there | key | what to know |\n|---|---|---|\n" + "".join(lines)


def with_list(page, known, table):
    """The page with its part made anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for the list between '{BEGIN.strip()}' and "
                         f"'{END.strip()}'")
    return before + begin + make_list(known, table) + end + after


def main():
    read = {path: (ROOT / path).read_text(encoding="utf-8") for path in (PAGE, KNOWN, TABLE)}
    (ROOT / PAGE).write_text(with_list(read[PAGE], read[KNOWN], read[TABLE]), encoding="utf-8")


if __name__ == "__main__":
    main()
