"""C3: names of fields are JSON strings, however they are escaped."""

import json
import sqlite3

from harness import Worker, audit, check, consume, produce, wait_for

PIPELINE = r"""
name: p
source: { kafka: { topics: [t] } }
steps:
  - id: some
    where: '$."größe" > 1'
  - id: shape
    set: { '$.größe': "$.größe + 1", '$."a/b"': "'new'", '$.farbe': '$."f\u00e4rbe"' }
  - id: by
    key: { größe: "$.größe", slash: '$."a/b"' }
    aggregate: { n: count(*), most: 'max($."gr\u00f6\u00dfe")' }
sinks:
  - kafka: { topic: out }
  - sqlite: { file: out.db, table: rows, mode: upsert, key: [g, s],
              columns: { g: { value: '$.größe', type: integer }, s: $.slash,
                         n: { value: $.n, type: integer } } }
"""

# As json.dumps writes them, as others do, and as nobody would.
RECORDS = [
    r'{"gr\u00f6\u00dfe":3,"a\/b":"old"}',
    '{"größe":3,"a/b":"old"}',
    r'{"gr\u00F6ße":3,"\u0061\/b":"old","f\u00e4rbe":"rot"}',
    r'{"gr\u00f6\u00dfe":1}',
    r'{"größe":4,"gr\u00f6\u00dfe":9}',
    r'{"gr\u00f6\u00dfe\u0000":5}',
]


def every_step_finds_the_name(at):
    with Worker(at, PIPELINE) as worker:
        produce(worker.address, "t", RECORDS)
        wait_for(lambda: len(rows(at)) == 2, "two groups")
        results = [json.loads(value) for value in consume(worker.address, "out")]
        last = {each["größe"]: each for each in results}
        check(last[4] == {"größe": 4, "slash": "new", "n": 3, "most": 4}, last)
        check(last[5] == {"größe": 5, "slash": "new", "n": 1, "most": 5}, last)
        check(worker.stop() == 0, worker.said())
    check(rows(at) == [(4, 3), (5, 1)], rows(at))
    audit(at)


def set_replaces_and_never_adds_a_second(at):
    text = PIPELINE[:PIPELINE.index("  - id: by")] + "sinks:\n  - kafka: { topic: out }\n"
    with Worker(at, text) as worker:
        produce(worker.address, "t", RECORDS)
        values = wait_for(lambda: (found := consume(worker.address, "out")) and len(found) == 4
                          and found, "four records")
        for value in values:
            pairs = json.loads(value, object_pairs_hook=list)
            names = [name for name, _ in pairs]
            check(len(names) == len(set(names)), f"a name stands twice: {value}")
        check(r'{"gr\u00f6\u00dfe":4,"a\/b":"new","farbe":null}' in values, values)
        check(worker.stop() == 0, worker.said())


def rows(folder):
    try:
        with sqlite3.connect(folder / "out.db") as database:
            return sorted(database.execute("SELECT g, n FROM rows"))
    except sqlite3.OperationalError:
        return []
