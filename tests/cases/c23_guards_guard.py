"""C23: and, or, case, coalesce guard what follows them, as the refusal recommends."""

import sqlite3

from harness import Worker, check, consume, produce, wait_for

RECORDS = ["not json", '{"id":', "", '{"x":1}', '{"id":7}', '{"id":7}{}']


def run(at, condition, kept, records=None):
    text = f"""
name: p
source: {{ kafka: {{ topics: [t] }} }}
steps:
  - id: guarded
    where: "{condition}"
sinks:
  - kafka: {{ topic: out }}
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", [each for each in records or RECORDS if each] +
                ['{"id":"last"}'])
        values = wait_for(lambda: (found := consume(worker.address, "out")) and
                          '"last"' in found[-1] and found, "the last record")
        check(values == [*kept, '{"id":"last"}'], f"{condition}: {values}")
        check(worker.stop() == 0, worker.said())


def what_the_refusal_recommends_helps(at):
    run(at, "json_valid(value) and $.id is not null", ['{"id":7}'])


def or_guards(at):
    run(at, "not (not json_valid(value) or $.id is null)", ['{"id":7}'])


def case_and_coalesce_guard(at):
    run(at, "case when json_valid(value) then $.id is not null else 0 end and "
            "iif(json_valid(value), coalesce($.id, 0), ifnull(0, $.id)) <> 0", ['{"id":7}'])


def a_guard_that_comes_too_late_does_not(at):
    text = """
name: p
source: { kafka: { topics: [t] } }
steps: [{ id: late, where: "$.id is not null and json_valid(value)" }]
sinks: [{ kafka: { topic: out } }]
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", ["not json"], good=False)
        check(worker.wait() == 1, worker.said())
        check("t/0@0" in worker.said() and "malformed JSON" in worker.said(), worker.said())


def a_text_is_no_condition(at):
    text = """
name: p
source: { kafka: { topics: [t] } }
steps: [{ id: paid, where: $.paid }]
sinks: [{ kafka: { topic: out } }]
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", ['{"paid":true}', '{"paid":"true"}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("t/0@1: the text 'true' stands where true or false belongs" in worker.said(),
              worker.said())
        check("… = 'true'" in worker.said(), worker.said())


def what_keeps_bad_records_out_keeps_deletions(at):
    """The fix of a refusal, carried out where records without a value delete rows."""
    text = """
name: p
source: { kafka: { topics: [t] } }
steps: [{ id: sound, where: "value is null or json_valid(value)" }]
sinks: [{ sqlite: { file: o.sqlite, table: o, mode: upsert, key: [k],
                    columns: { k: key, v: value } } }]
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", ['a|{"x":1}', 'b|{"x":2}', "c|not json", "a|"], "-K|", "-Z")
        def rows():
            with sqlite3.connect(at / "o.sqlite", timeout=10) as database:
                return database.execute("SELECT k, v FROM o").fetchall()
        wait_for(lambda: worker.stage()["totals"]["records_in"] == 4, "four records")
        check(worker.stop() == 0, worker.said())
        check(rows() == [("b", '{"x":2}')], rows())
