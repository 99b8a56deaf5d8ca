"""C6: a key of several parts is JSON whatever the parts are."""

import json

from harness import Worker, audit, check, consume, produce, wait_for

PIPELINE = """
name: p
source: { kafka: { topics: [t] } }
steps:
  - id: by
    key: { tags: $.tags, shop: $.shop }
    aggregate: { n: count(*) }
sinks:
  - kafka: { topic: out }
"""

RECORDS = [
    {"tags": ["a", "b"], "shop": "north"},
    {"tags": {"x": [1, {"y": "],["}], "q\"": None}, "shop": ["s", []]},
    {"tags": "a,b]", "shop": "\"\\"},
    {"tags": None, "shop": 1.5},
    {"tags": [[], {}], "shop": 18446744073709551615},
    {"tags": "nul \0", "shop": "größe 😀"},
    {"tags": "", "shop": -0.30000000000000004},
]


def the_output_is_valid_and_whole(at):
    with Worker(at, PIPELINE) as worker:
        produce(worker.address, "t", RECORDS)
        # The same again, spaced and escaped in another way: no new groups.
        produce(worker.address, "t", [json.dumps(record, ensure_ascii=False, indent=1)
                                      .replace("\n", " ") for record in RECORDS])
        def last_results():
            last = {}
            for value in consume(worker.address, "out"):
                result = json.loads(value)
                last[json.dumps([result["tags"], result["shop"]])] = result
            return last if sum(each["n"] for each in last.values()) == 2 * len(RECORDS) else None
        last = wait_for(last_results, "all records")
        for record in RECORDS:
            key = json.dumps([record["tags"], record["shop"]])
            check(last[key] == {**record, "n": 2}, f"{record}: {last}")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")
