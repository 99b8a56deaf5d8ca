"""C28: words that people bring from other systems are answered with what there is here."""

from harness.changes import pipeline
from harness import check, onceflow

IN_A_STEP = {
    "filter: $.x > 1": "write `where: EXPRESSION`", "map: { a: b }": "write `set:",
    "flatMap: $.list": "there is none in this version", "join: { with: b }": "there is none",
    "windowed_by: 1m": "there are none in this version", "dlq: bad": "there are none",
    "on_failure: skip": "there are none", "transform: x": "write `set:",
    "branch: []": "there is none in this version", "partition_by: $.k": "write `key: EXPRESSION`",
    "groupBy: $.k": "write `key: EXPRESSION`", "reduce: x": "write `aggregate:",
    "whre: $.x > 1": "did you mean `where`?", "qqqqqq: 1": "remove it",
}
IN_THE_FILE = {
    "sink: { kafka: { topic: o } }": "write `sinks:`", "output: o": "write `sinks:`",
    "brokers: h:1": "write `bootstrap.servers", "parallelism: 4": "start more workers",
    "sasl.mechanism: PLAIN": "plaintext", "description: x": "write it as a comment",
}
IN_A_SINK = {
    "kafka: { topic: o, key: $.k }": "a step sets it", "mysql: { table: t }": "there is none",
    "postgresql: { table: t }": "write `postgres:", "sqlite: { path: f, table: t }":
        "write `file:", "topic: o": "write `- kafka: { topic: T }`",
}


def said_of(at, text):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at, code=2)
    check(said.count("\n") == 1, f"one message for one mistake: {said}")
    return said


def every_word_has_one_answer(at):
    for key, answer in IN_A_STEP.items():
        said = said_of(at, pipeline(f"  - {{ id: a, {key} }}\n"))
        check(answer in said, f"{key}: {said}")
    for key, answer in IN_THE_FILE.items():
        text = pipeline(more=key + "\n")
        if key.startswith(("sink", "output")):
            text = text[:text.index("sinks:\n")]
        said = said_of(at, text)
        check(answer in said, f"{key}: {said}")
    for key, answer in IN_A_SINK.items():
        said = said_of(at, pipeline(sinks=f"  - {key}\n"))
        check(answer in said, f"{key}: {said}")
