"""Ten amounts that sum to 31.23 give 31.23 with `type: decimal`."""

import sqlite3

from harness import Worker, audit, check, consume, produce, wait_for

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
