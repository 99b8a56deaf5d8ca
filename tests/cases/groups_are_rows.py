"""Each group of an aggregate is a row of its own in a table behind it, or is refused where it
enters."""

import re
import sqlite3

from harness import Worker, audit, check, consume, onceflow, produce, shared_postgres, wait_for

PIPELINE = """
name: p
source: {{ kafka: {{ topics: [t] }} }}
steps:
  - id: by
    key: {key}
    aggregate: {{ n: count(*) }}
sinks:
  - {sink}: {{ {target}, table: rows, mode: upsert{more} }}
"""
KEY = "{ s: $.s, d: $.d }"
TEXT_KEY = "{ s: cast($.s as text), d: $.d }"
COLUMNS = (", key: [s, d], columns: {{ s: {{ value: {value}, type: {type} }}, d: $.d,"
           " n: {{ value: $.n, type: integer }} }}")


class Sqlite:
    def __init__(self, at):
        self.file = at / "o.db"
        self.words = {"sink": "sqlite", "target": "file: o.db"}

    def rows(self):
        try:
            with sqlite3.connect(self.file) as database:
                return [tuple(map(str, row)) for row in
                        database.execute("SELECT s, d, n FROM rows ORDER BY s, d, n")]
        except sqlite3.OperationalError:
            return []


class Postgres:
    def __init__(self, _at):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.words = {"sink": "postgres", "target": f"dsn: '{self.dsn}'"}

    def rows(self):
        if self.server.query("SELECT to_regclass('rows')", self.dsn) != [["rows"]]:
            return []
        return [tuple(row) for row in
                self.server.query('SELECT s, d, n FROM rows ORDER BY s::text COLLATE "C", d, n',
                                  self.dsn)]


def refused(at, sink, bad, *says, key=KEY, more=""):
    """The record is refused by the stage that it enters, and nothing of it is behind it."""
    with Worker(at, PIPELINE.format(key=key, more=more, **sink.words)) as worker:
        produce(worker.address, "t", bad, good=False)
        check(worker.wait() == 1, worker.said())
        for each in ("step by, record t/0@0", *says):
            check(each in worker.said(), f"{each}: {worker.said()}")
    check(not sink.rows(), sink.rows())


def becomes(at, sink, values, rows, key=KEY, more=""):
    with Worker(at, PIPELINE.format(key=key, more=more, **sink.words)) as worker:
        produce(worker.address, "t", values)
        wait_for(lambda: sink.rows() == rows, lambda: f"{rows}: {sink.rows()} {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")


def what_is_not_text_is_refused_and_the_cast_helps(at, sink):
    bad = ['{"s":7,"d":"x"}']
    refused(at, sink, bad, "`s` of its key is a number: 7",
            "write `s: cast($.s as text)` in the step's key",
            "`s: { value: $.s, type: integer }`")
    becomes(at, sink, ['{"s":"7","d":"x"}', '{"s":true,"d":"x"}', '{"s":"1","d":"x"}',
                       '{"s":[1],"d":"x"}', '{"s":"[1]","d":"x"}', '{"s":{"a": 1},"d":"x"}',
                       '{"s":1.5,"d":"x"}', '{"s":"1.5","d":"x"}'],
            [("1", "x", "2"), ("1.5", "x", "2"), ("7", "x", "2"), ("[1]", "x", "2"),
             ('{"a":1}', "x", "1")], key=TEXT_KEY)


def what_is_not_text_over_sqlite(at):
    what_is_not_text_is_refused_and_the_cast_helps(at, Sqlite(at))


def what_is_not_text_over_postgres(at):
    what_is_not_text_is_refused_and_the_cast_helps(at, Postgres(at))


def lists_objects_and_truths_are_no_text(at):
    for number, (value, kind) in enumerate([("[1]", "a list or an object"),
                                            ('{"a":1}', "a list or an object"),
                                            ("true", "a number: 1"), ("1.5", "a number: 1.5"),
                                            ("18446744073709551615", "a number: 1844674")]):
        folder = at / str(number)
        folder.mkdir()
        refused(folder, Sqlite(folder), [f'{{"s":{value},"d":"x"}}'], f"`s` of its key is {kind}")


# The key, the type of its first column, and a part that it does not take.
PARTS = [
    (KEY, "text", "7"), (KEY, "text", "100000.0"), (KEY, "text", '[1, "it\'s"]'),
    (KEY, "integer", '"x"'), (KEY, "uuid", '"no \\"id\\""'), (KEY, "uuid", "7"),
    (KEY, "timestamptz", '"2024-02-29T12:30:00+01:00"'), (KEY, "decimal", "2.0"),
    ("$.s", "uuid", '"none"'), ("$.s", "uuid", "100000.0"), ("$.s", "date", "7"),
    ("{ s: lower($.s), d: $.d }", "uuid", '"NONE"'),
]
GOOD = {"text": '"a"', "integer": "7", "decimal": "2.5", "date": '"2024-02-29"',
        "uuid": '"123e4567-e89b-12d3-a456-426614174abc"', "timestamptz": '"2024-02-29T11:30:00Z"'}


def what_a_column_does_not_take_is_kept_out_by_the_step_of_the_message(at):
    for number, (key, kind, bad) in enumerate(PARTS):
        folder = at / str(number)
        folder.mkdir()
        sink = Sqlite(folder)
        more = (f", key: [{'s' if key == '$.s' else 's, d'}], columns: {{ s: {{ value: $.s, type:"
                f" {kind} }}, {'' if key == '$.s' else 'd: $.d, '}"
                "n: { value: $.n, type: integer } }")
        text = PIPELINE.format(key=key, more=more, **sink.words)
        with Worker(folder, text) as worker:
            produce(worker.address, "t", [f'{{"s":{GOOD[kind]},"d":"x"}}',
                                          f'{{"s":{bad},"d":"x"}}',
                                          f'{{"s":{GOOD[kind]},"d":"x"}}'], good=False)
            check(worker.wait() == 1, worker.said())
            step = re.search(r"`(- \{ id: known, where: \".*?\" \})`", worker.said())
            check(step, worker.said())

        def counts():
            try:
                with sqlite3.connect(sink.file) as database:
                    return database.execute("SELECT n FROM rows").fetchall()
            except sqlite3.OperationalError:
                return []
        with Worker(folder, text.replace("steps:\n", f"steps:\n  {step.group(1)}\n")) as worker:
            wait_for(lambda: counts() == [(2,)],
                     lambda: f"{key} {kind} {bad}: {counts()}, {worker.said()}")
            check(worker.stop() == 0, worker.said())
        audit(folder, "--states")


def null_is_refused_and_coalesce_helps(at, sink):
    refused(at, sink, ['{"s":"a"}'], "`d` of its key is null",
            "write `d: \"coalesce($.d, 'none')\"`")
    becomes(at, sink, ['{"s":"a","d":null}', '{"s":"b","d":"x"}'],
            [("a", "none", "2"), ("b", "x", "1")], key="{ s: $.s, d: \"coalesce($.d, 'none')\" }")


def null_over_sqlite(at):
    null_is_refused_and_coalesce_helps(at, Sqlite(at))


def null_over_postgres(at):
    null_is_refused_and_coalesce_helps(at, Postgres(at))


TYPES = ("integer", "real", "decimal", "boolean", "timestamptz", "timestamp", "date", "uuid",
         "jsonb", "bytea", "text")


def null_in_a_typed_key_column_is_refused_and_the_fix_helps(at, sink_of):
    """What the message writes in the place of null is typed, for a column of every type."""
    for kind in TYPES:
        folder = at / kind
        folder.mkdir()
        sink = sink_of(folder)
        more = (f", key: [s, d], columns: {{ s: $.s, d: {{ value: $.d, type: {kind} }},"
                " n: { value: $.n, type: integer } }")
        with Worker(folder, PIPELINE.format(key=KEY, more=more, **sink.words)) as worker:
            produce(worker.address, "t", ['{"s":"a"}'], good=False)
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check("`d` of its key is null" in said, f"{kind}: {said}")
        fix = re.search("write `(d: .*?)`, or keep such records out", said)
        check(fix, f"{kind}: {said}")
        text = PIPELINE.format(key=f"{{ s: $.s, {fix[1]} }}", more=more, **sink.words)
        (folder / "fixed.yaml").write_text(text)
        onceflow("validate", "fixed.yaml", at=folder)
        with Worker(folder, text) as worker:
            wait_for(lambda of=sink: len(of.rows()) == 1,
                     lambda name=kind, by=worker: f"{name}: {by.said()}")
            check(worker.stop() == 0, worker.said())


def null_in_typed_key_columns_over_sqlite(at):
    null_in_a_typed_key_column_is_refused_and_the_fix_helps(at, Sqlite)


def null_in_typed_key_columns_over_postgres(at):
    null_in_a_typed_key_column_is_refused_and_the_fix_helps(at, Postgres)


def a_truth_is_a_key_of_a_boolean_column(at):
    for name, sink_of in (("sqlite", Sqlite), ("postgres", Postgres)):
        folder = at / name
        folder.mkdir()
        sink = sink_of(folder)
        becomes(folder, sink, ['{"s":true,"d":"x"}', '{"s":false,"d":"x"}', '{"s":true,"d":"x"}'],
                [("0", "x", "1"), ("1", "x", "2")] if name == "sqlite" else
                [("f", "x", "1"), ("t", "x", "2")],
                more=COLUMNS.format(value="$.s", type="boolean"))


def a_typed_column_takes_its_type_alone(at, sink):
    integer = COLUMNS.format(value="$.s", type="integer")
    becomes(at, sink, ['{"s":7,"d":"x"}', '{"s":7,"d":"x"}', '{"s":8,"d":"x"}'],
            [("7", "x", "2"), ("8", "x", "1")], more=integer)
    with Worker(at, PIPELINE.format(key=KEY, more=integer, **sink.words)) as worker:
        produce(worker.address, "t", ['{"s":"7","d":"x"}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("step by, record t/0@3: `s` of its key is text, and key column s of sink"
              in worker.said(), worker.said())
    check(sink.rows() == [("7", "x", "2"), ("8", "x", "1")], sink.rows())


def a_typed_column_over_sqlite(at):
    a_typed_column_takes_its_type_alone(at, Sqlite(at))


def a_typed_column_over_postgres(at):
    a_typed_column_takes_its_type_alone(at, Postgres(at))


def one_value_of_a_real_is_written_in_one_way(at):
    sink, real = Sqlite(at), COLUMNS.format(value="$.s", type="real")
    refused(at, sink, ['{"s":2,"d":"x"}'], "`s` of its key is a number: 2", "cast($.s as real)",
            more=real)
    becomes(at, sink, ['{"s":2.0,"d":"x"}', '{"s":2.5,"d":"x"}'],
            [("2.0", "x", "2"), ("2.5", "x", "1")], key="{ s: cast($.s as real), d: $.d }",
            more=real)


def a_key_of_one_expression_in_a_column_of_integers(at):
    sink, words = Sqlite(at), {"key": "{ s: $.s }"}
    columns = (", key: s, columns: {{ s: {{ value: {}, type: integer }}, d: topic,"
               " n: {{ value: $.n, type: integer }} }}")
    (at / "no.yaml").write_text(PIPELINE.format(more=columns.format("$.s"), **words, **sink.words))
    said = onceflow("validate", "no.yaml", at=at, code=2)
    fix = "write `s: { value: cast($.s as integer), type: integer }`"
    check("key column `s` of sink sqlite is integer, but `$.s` is text" in said, said)
    check(fix in said, said)
    cast = columns.format("cast($.s as integer)")
    becomes(at, sink, ['{"s":7}', '{"s":"7"}', '{"s":-8}'],
            [("-8", "p-sqlite-rows", "1"), ("7", "p-sqlite-rows", "2")], more=cast, **words)
    for number, other in enumerate(('"07"', "7.0", '"7 kg"', '"x"', "18446744073709551615")):
        folder = at / str(number)
        folder.mkdir()
        refused(folder, Sqlite(folder), [f'{{"s":{other}}}'], "`s` of its key is text: ", more=cast,
                **words)


def columns_that_make_one_row_of_two_groups_are_refused(at):
    for more, says in [
            (", key: s, columns: { s: $.s, n: $.n }",
             "the key of sink sqlite lacks `d`, by which the aggregate groups"),
            (", key: [s, d], columns: { s: lower($.s), d: $.d, n: $.n }", "lacks `s`"),
            (", key: [s, d], columns: { s: $.s, d: \"coalesce($.d, 'none')\", n: $.n }",
             "lacks `d`")]:
        (at / "no.yaml").write_text(PIPELINE.format(key=KEY, more=more, **Sqlite(at).words))
        said = onceflow("validate", "no.yaml", at=at, code=2)
        check(says in said, said)
        check("the fix: add a column `" in said, said)


def a_part_that_is_set_after_the_aggregate_is_refused(at):
    text = PIPELINE.format(key=KEY, more="", **Sqlite(at).words)
    text = text.replace("sinks:", "  - { id: after, set: { $.s: lower($.s) } }\nsinks:")
    (at / "no.yaml").write_text(text)
    said = onceflow("validate", "no.yaml", at=at, code=2)
    check("`s` is set after the aggregate, and is in the key of sink sqlite" in said, said)


def the_records_own_key_is_every_group(at):
    more = ", key: s, columns: { s: key, d: topic, n: { value: $.n, type: integer } }"
    becomes(at, Sqlite(at), ['{"s":7,"d":"x"}', '{"s":"7","d":"x"}', '{"s":null,"d":[1]}',
                             '{"s":null,"d":"[1]"}'],
            [(key, "p-sqlite-rows", "1") for key in
             ('["7","x"]', "[7,\"x\"]", '[null,"[1]"]', "[null,[1]]")], more=more)


def without_a_table_that_upserts_every_group_passes(at):
    text = PIPELINE.format(key=KEY, more="", **Sqlite(at).words)
    text = text[:text.index("sinks:")] + "sinks: [ kafka: { topic: out } ]\n"
    with Worker(at, text) as worker:
        produce(worker.address, "t", ['{"s":7}', '{"s":"7"}', '{"s":[1],"d":true}'])
        wait_for(lambda: len(consume(worker.address, "out")) == 3, "three groups")
        check(worker.stop() == 0, worker.said())
    audit(at, "--states")
