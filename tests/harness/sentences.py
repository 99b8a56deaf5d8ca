"""The sentences of a page, so that a test can ask for each of them."""

import re


def sentences_of(page):
    """Of Markdown: each sentence of a paragraph or list, each row of a table. Headings, heads of
    tables and blocks of code are none."""
    page = re.sub(r"^```.*?^```$", "\n", page, flags=re.DOTALL | re.MULTILINE)
    return [sentence for block in blocks_of(page)
            for sentence in ([block] if block.startswith("|") else split(block))]


def blocks_of(page):
    """Paragraphs, items of lists and rows of tables, each on one line."""
    blocks = [""]
    for line in page.splitlines():
        if re.match(r"\|[-|: ]+$", line):
            blocks[-1] = ""  # What stands above it is the head.
        elif line.startswith("#") or not line.strip():
            blocks.append("")
        elif line.startswith(("|", "- ", "* ")):
            blocks.append(line.removeprefix("- ").removeprefix("* ").strip())
        else:
            blocks[-1] = f"{blocks[-1]} {line.strip()}".strip()
    return [block for block in blocks if block]


def split(block):
    """A full stop within back quotes ends nothing."""
    quoted = re.findall(r"`[^`]*`", block)
    parts = re.split(r"(?<=[.?!])\s+|(?<=[.?!]\*\*)\s+", re.sub(r"`[^`]*`", "\0", block))
    words = iter(quoted)
    return [re.sub("\0", lambda _: next(words), part) for part in parts]
