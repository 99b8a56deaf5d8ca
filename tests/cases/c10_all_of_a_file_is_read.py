"""C10: whatever stands in a pipeline file is used, or refused with its line."""

from harness.changes import pipeline
from harness import check, onceflow

GOOD = pipeline("  - { id: w, where: $.x > 1 }\n").encode()


def refused(at, text, line, words):
    (at / "p.yaml").write_bytes(text)
    said = onceflow("validate", "p.yaml", at=at, code=2)
    check(said.count("\n") == 1, f"one message for one mistake: {said}")
    check(said.startswith(f"p.yaml:{line}:") and words in said, f"line {line}, {words}: {said}")


def what_a_reader_of_yaml_passes_over_is_refused(at):
    lines = GOOD.count(b"\n")
    refused(at, GOOD + b"---\n" + GOOD, lines + 2, "a second document")
    refused(at, GOOD + b"...\nmore: 1\n", lines + 2, "a second document")
    refused(at, b"%YAML 1.2\n---\n" + GOOD, 1, "a directive")
    refused(at, GOOD + b"\x04 hidden: 1\n", lines + 1, "0x04")
    refused(at, GOOD.replace(b"name: p", b"name: p # \x00"), 1, "0x00")
    refused(at, GOOD + b"# \xff\n", lines + 1, "not UTF-8")
    refused(at, GOOD.replace(b"name: p", b"name: &a p"), 1, "an anchor")
    refused(at, GOOD.replace(b"name: p", b"name: !!str p"), 1, "the tag")
    refused(at, GOOD.replace(b"name: p", b"name: p\nname: q"), 2, "stands twice")
    refused(at, pipeline().encode() + b"steps:\n", 5, "`steps` in the file has no value")
    refused(at, b"", 1, "the file is empty")


def what_says_nothing_is_taken(at):
    for text in (b"\xef\xbb\xbf" + GOOD, b"---\n" + GOOD, GOOD.replace(b"\n", b"\r\n"),
                 GOOD + b"...\n", GOOD + b"# the end", b"# the begin\n\n" + GOOD):
        (at / "p.yaml").write_bytes(text)
        check("ok (1 stage" in onceflow("validate", "p.yaml", at=at), f"{text[:20]} is taken")
