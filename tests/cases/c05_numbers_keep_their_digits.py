"""C5: numbers beyond 64 bits and beyond doubles keep their digits, or are refused by name."""

import re
import sqlite3

from harness import Worker, audit, check, consume, onceflow, produce, wait_for
from harness.changes import refused

SOURCE = "name: p\nsource: { kafka: { topics: [t] } }\n"
IDS = ["18446744073709551615", "18446744073709551614", "-9223372036854775809", "1e400",
       "0.1000000000000000055511151231257827", "0.1"]


def groups_keep_numbers_apart(at):
    text = SOURCE + """steps:
  - id: by
    key: $.id
    aggregate: { n: count(*), least: min($.id), most: max($.id) }
sinks:
  - kafka: { topic: out }
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", [f'{{"id":{each}}}' for each in IDS])
        values = wait_for(lambda: (found := consume(worker.address, "out", "-f", "%k %s\n")) and
                          len(found) == len(IDS) and found, "six groups")
        for each in IDS:
            digits = "1e+400" if each == "1e400" else each
            check(f'{digits} {{"id":"{digits}","n":1,"least":{digits},"most":{digits}}}' in values,
                  f"{each}: {values}")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def text_columns_and_set_keep_them(at):
    text = SOURCE + """steps:
  - id: copy
    set: { $.copy: $.id }
sinks:
  - sqlite: { file: out.db, table: rows, columns: { id: $.id, copy: $.copy, whole: value } }
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", [f'{{"id":{each}}}' for each in IDS])
        wait_for(lambda: len(rows(at)) == len(IDS), "six rows")
        check(worker.stop() == 0, worker.said())
    found = rows(at)
    check(("18446744073709551615", "18446744073709551615",
           '{"id":18446744073709551615,"copy":18446744073709551615}') in found, found)
    check(all(a == b for a, b, _ in found), found)
    audit(at)


def they_are_compared_exactly(at):
    text = SOURCE + """steps:
  - id: big
    where: "$.id > 18446744073709551 and $.id <> $.other"
sinks:
  - sqlite: { file: out.db, table: rows, columns: { id: $.id, a: $.other, b: value } }
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", [
            '{"id":18446744073709551615,"other":18446744073709551615}',
            '{"id":18446744073709551615,"other":18446744073709551614}',
            '{"id":-1e400,"other":1}'])
        wait_for(lambda: [row[:2] for row in rows(at)] ==
                 [("18446744073709551615", "18446744073709551614")], "one row")
        check(worker.stop() == 0, worker.said())


def arithmetic_refuses_them_and_the_fix_helps(at):
    text = SOURCE + """steps:
  - id: next
    set: { $.next: "EXPRESSION" }
sinks:
  - sqlite: { file: out.db, table: rows, columns: { id: $.id, a: $.next, b: value } }
"""
    with Worker(at, text.replace("EXPRESSION", "$.id + 1")) as worker:
        produce(worker.address, "t", ['{"id":9223372036854775807}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("t/0@0" in worker.said() and "leaves 64 bits" in worker.said(), worker.said())
    with Worker(at, text.replace("EXPRESSION", "cast($.id as real) + 1")) as worker:
        wait_for(lambda: len(rows(at)) == 1, "a rounded row")
        produce(worker.address, "t", ['{"id":18446744073709551615}'])
        wait_for(lambda: len(rows(at)) == 2, "another rounded row")
        check(worker.stop() == 0, worker.said())


def an_integer_that_no_double_is_never_meets_one(at):
    text = SOURCE + """sinks:
  - sqlite:
      file: out.db
      table: rows
      columns: { a: { value: "$.id + 0.5", type: TYPE }, b: $.id, c: key }
"""
    with Worker(at, text.replace("TYPE", "real")) as worker:
        produce(worker.address, "t", ['{"id":9007199254740991}', '{"id":9007199254740993}'],
                good=False)
        check(worker.wait() == 1, worker.said())
        check("t/0@1" in worker.said() and "9007199254740993 meets a double" in worker.said(),
              worker.said())
    (at / "out.db").unlink()
    with Worker(at, text.replace("TYPE", "decimal").replace("name: p", "name: q")) as worker:
        wait_for(lambda: [row[0] for row in rows(at)] ==
                 ["9007199254740991.5", "9007199254740993.5"], "two exact rows")
        check(worker.stop() == 0, worker.said())


def nor_does_one_in_a_sum_or_a_mean(at):
    text = SOURCE + """steps:
  - id: by
    key: $.k
    aggregate: { result: FUNCTION }
sinks:
  - kafka: { topic: out }
"""
    records = ['{"k":"a","id":9007199254740993}', '{"k":"a","id":0.5}']
    for number, (function, said) in enumerate((("sum($.id)", "9007199254740993 would be rounded"),
                                               ("avg($.id)", "t/0@0"))):
        with Worker(at, text.replace("FUNCTION", function).replace(
                "name: p", f"name: p{number}")) as worker:
            if number == 0:
                produce(worker.address, "t", records, good=False)
            check(worker.wait() == 1, worker.said())
            check(said in worker.said() and "`type: decimal`" in worker.said(), worker.said())
    exact = "{ value: sum($.id), type: decimal }"
    with Worker(at, text.replace("FUNCTION", exact).replace("name: p", "name: q")) as worker:
        wait_for(lambda: '{"k":"a","result":9007199254740993.5}' in
                 consume(worker.address, "out"), worker.said)
        check(worker.stop() == 0, worker.said())


def a_sum_that_a_real_has_stopped_goes_on_by_digits(at):
    """With the type that the message gives, and the command: nothing is counted twice or lost."""
    text = SOURCE + """steps:
  - id: by
    key: $.k
    aggregate: { n: count(*), result: { value: sum($.id)TYPE } }
sinks:
  - kafka: { topic: out }
"""
    decimal = text.replace("TYPE", ", type: decimal")
    with Worker(at, text.replace("TYPE", "")) as worker:
        produce(worker.address, "t", ['{"k":"b","id":0.1}', '{"k":"b","id":0.2}',
                                      '{"k":"a","id":9007199254740991}', '{"k":"a","id":2}'])
        wait_for(lambda: '{"k":"a","n":2,"result":9007199254740993}' in
                 consume(worker.address, "out"), worker.said)
        produce(worker.address, "t", ['{"k":"a","id":0.5}', '{"k":"b","id":1e-20}'], good=False)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("of key 'a'" in said and "`type: decimal`" in said, said)
    command = re.search(r"`onceflow (reset [^`]*--keep-states --execute)`", said).group(1)
    refused(at, decimal)
    onceflow(*command.split(), at=at)
    with Worker(at, decimal) as worker:
        wait_for(lambda: {'{"k":"a","n":3,"result":9007199254740993.5}',
                          '{"k":"b","n":3,"result":0.30000000000000004001}'} <=
                 set(consume(worker.address, "out")), lambda: consume(worker.address, "out"))
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def a_stage_reads_the_large_reals_of_the_one_before(at):
    text = SOURCE + """steps:
  - id: by
    key: { u: $.u }
    aggregate: { mean: avg($.x), most: { value: max(cast($.x as real)), type: real } }
sinks:
  - kafka: { topic: out }
  - sqlite: { file: out.db, table: rows, mode: upsert }
"""
    with Worker(at, text) as worker:
        produce(worker.address, "t", ['{"u":"a","x":9007199254740994}',
                                      '{"u":"a","x":72057594037927936}'])
        wait_for(lambda: rows(at) == [("a", 4.053239664633446e+16, 2.0**56)], "the row of a")
        values = consume(worker.address, "out", "-f", "%s\n")
        check('"mean":4.053239664633446e+16' in values[-1], values)
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def rows(folder):
    try:
        with sqlite3.connect(folder / "out.db") as database:
            return [row[:3] for row in database.execute("SELECT * FROM rows")]
    except sqlite3.OperationalError:
        return []
