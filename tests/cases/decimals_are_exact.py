"""Ten amounts that sum to 31.23 give 31.23 with `type: decimal`."""

import re
import sqlite3

from harness import Worker, audit, check, consume, log_of, onceflow, produce, wait_for

AMOUNTS = ["1.13", "2.17", "3.19", "4.23", "5.29", "2.31", "3.37", "4.41", "0.10", "5.03"]
PIPELINE = """
name: p
source: { kafka: { topics: [t] } }
steps:
  - id: by
    key: $.k
    aggregate:
      n: count(*)
      total: { value: sum($.amount), type: decimal }
      mean: { value: avg($.amount), type: decimal }
      least: { value: min($.amount), type: decimal }
sinks:
  - kafka: { topic: out }
  - sqlite: { file: out.db, table: rows, mode: upsert }
"""


def rows(folder):
    try:
        with sqlite3.connect(folder / "out.db") as database:
            return database.execute("SELECT k, total, mean, least FROM rows ORDER BY k").fetchall()
    except sqlite3.OperationalError:
        return []


def sums_are_exact_over_a_restart(at):
    with Worker(at, PIPELINE) as worker:
        produce(worker.address, "t", [f'{{"k":"a","amount":{each}}}' for each in AMOUNTS[:6]])
        wait_for(lambda: rows(at) and rows(at)[0][1] == "18.32", lambda: f"18.32: {rows(at)}")
        check(worker.stop() == 0, worker.said())
    with Worker(at, PIPELINE) as worker:
        # As text, too, as many producers write decimals; and far beyond a double.
        produce(worker.address, "t", [f'{{"k":"a","amount":"{each}"}}' for each in AMOUNTS[6:]]
                + ['{"k":"b","amount":99999999999999999999.99}', '{"k":"b","amount":0.01}'])
        wait_for(lambda: len(rows(at)) == 2 and rows(at)[0][1] == "31.23" and
                 rows(at)[1][1] == "100000000000000000000", lambda: f"the sums: {rows(at)}")
        check(worker.stop() == 0, worker.said())
        check(rows(at)[0] == ("a", "31.23", "3.123", "0.1"), rows(at))
    audit(at, "--states")


def a_sum_that_leaves_64_bits_goes_on_as_its_message_says(at):
    text = """
name: p
source: {{ kafka: {{ topics: [t] }} }}
steps:
  - {{ id: by, key: $.k, aggregate: {{ s: {} }} }}
sinks:
  - kafka: {{ topic: out }}
"""
    with Worker(at, text.format("sum($.x)")) as worker:
        produce(worker.address, "t", [f'{{"k":"a","x":{2**63 - 1}}}', '{"k":"a","x":1}'],
                good=False)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("leaves 64 bits" in said, said)
    for way in ["to-earliest", "to-current"]:
        check(re.search(rf"`onceflow reset p\.yaml .*?--{way} --execute`", said), said)
    (at / "p.yaml").write_text(text.format("{ value: sum($.x), type: decimal }"), encoding="utf-8")
    onceflow("reset", "p.yaml", "--to-earliest", "--execute", *log_of(at), at=at)
    with Worker(at, None) as worker:
        wait_for(lambda: any(str(2**63) in each for each in consume(worker.address, "out")),
                 lambda: f"the sum: {consume(worker.address, 'out')}")
        check(worker.stop() == 0, worker.said())
