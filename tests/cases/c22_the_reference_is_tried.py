"""C22: what docs/pipeline-file.md says is tried, sentence by sentence."""

import json
import re
import sqlite3

from harness import ROOT, Worker, audit, check, consume, onceflow, produce, wait_for
from harness.changes import aggregate, pipeline, run, values
from harness.kafka_admin import create_topic
from harness.sentences import sentences_of, split
from harness.wire import Connection, batch

PAGE = ROOT / "docs" / "pipeline-file.md"


def mistakes_are_reported_together_and_nothing_starts(at):
    (at / "p.yaml").write_text("nam: p\nsource: { kafka: { topics: [] } }\nsinks: [ x: 1 ]\n",
                               encoding="utf-8")
    for verb in ("validate", "explain", "run"):
        said = onceflow(verb, "p.yaml", "--data-dir", "data", at=at, code=2) if verb == "run" \
            else onceflow(verb, "p.yaml", at=at, code=2)
        check(said.count("; the rule: ") == 3 and said.count("; the fix: ") == 3, f"{verb}: {said}")
        check(all(f"p.yaml:{line}: " in said for line in (1, 2, 3)), f"{verb}: {said}")
    check(not (at / "data").exists(), "nothing was started")


def explain(at, text):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("explain", "p.yaml", at=at)


def what_is_absent_is_as_the_page_says(at):
    said = explain(at, "name: p\nsource: { kafka: { topics: [in] } }\n"
                       "sinks: [ kafka: { topic: out } ]\n")
    for words in ("p: 1 stage, exactly once", "group: p\n", "records as they are",
                  "Log: embedded; auto.offset.reset: earliest; commit.interval.ms: 100"):
        check(words in said, f"{words}: {said}")
    for needed in ("name", "source", "sinks"):
        text = re.sub(f"^{needed}:.*\n", "", "name: p\nsource: { kafka: { topics: [in] } }\n"
                      "sinks: [ kafka: { topic: out } ]\n", flags=re.MULTILINE)
        (at / "p.yaml").write_text(text, encoding="utf-8")
        said = onceflow("validate", "p.yaml", at=at, code=2)
        check(f"`{needed}` is needed here" in said, said)


def the_interval_is_from_1_to_60000(at):
    for interval, code in ((1, 0), (60000, 0), (0, 2), (60001, 2), ("soon", 2)):
        (at / "p.yaml").write_text(pipeline(more=f"commit.interval.ms: {interval}\n"),
                                   encoding="utf-8")
        onceflow("validate", "p.yaml", at=at, code=code)


def expressions_hold_no_references(at):
    (at / "p.yaml").write_text(pipeline("  - { id: a, where: \"$.x = '${env:HOME}'\" }\n"),
                               encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at, code=2)
    check("an expression holds no references" in said, said)


def steps_do_what_they_say(at):
    steps = ("  - { id: w, where: $.x > 1 }\n"
             "  - { id: s, set: { $.x: $.y, $.y: $.x } }\n")
    found = run(at, pipeline(steps), [{"x": None, "y": 0}, {"x": 1, "y": 0}, {"x": 2, "y": 7}],
                '{"x": 7, "y": 2}')
    check(len(found) == 1, f"one, exchanged: {found}")


def names_become_columns_after_an_aggregate(at):
    for key, columns in (("$.region", ["region"]), ("$.a.b", ["b"]), ("lower($.a)", ["key"]),
                         ("{ r: $.a, s: $.b }", ["r", "s"])):
        text = pipeline(aggregate("n: count(*)", key=key), "  - sqlite: { file: f, table: t, mode: "
                                                           "upsert }\n")
        explain(at, text)
        said = onceflow("plan", "p.yaml", "--data-dir", "data", at=at)
        check("run begins" in said, said)
    run(at, pipeline(aggregate("n: count(*)", key="$.a.b")), [{"a": {"b": "x"}}],
        '{"b":"x","n":1}')


def a_second_aggregate_is_refused(at):
    (at / "p.yaml").write_text(pipeline(aggregate("n: count(*)") +
                                        aggregate("m: count(*)", id="l", key="$.n")),
                               encoding="utf-8")
    check("an aggregate's results are updates" in onceflow("validate", "p.yaml", at=at, code=2),
          "it says why")


# Field by field, what a `set` makes of RECORD at in/0@0 with the key k.
RECORD = ('{"a":5,"b":{"c":[1,2]},"t":"it","odd \\"name\\"":1,"r":0.30000000000000004,"yes":true,'
          '"l":[1],"z":1.50}')
EXPRESSIONS = {
    "$.a": 5, "$.b.c": [1, 2], "$.b.c[0]": 1, "$.b.c[#-1]": 2, '$."odd \\"name\\""': 1,
    "$.none": None, "key": "k", "length(value) > 9": 1, "topic": "in", "partition": 0, "offset": 0,
    "timestamp > 1600000000000": 1, "'text'": "text", "12": 12, "1.5": 1.5, "null": None, "true": 1,
    "false": 0, "$.a = 5": 1, "$.a <> 5": 0, "$.a < 6 and not $.a > 6": 1, "$.a > 6 or $.yes": 1,
    "$.a in (4, 5)": 1, "$.a between 5 and 6": 1, "$.t like 'I%'": 1, "$.none is null": 1,
    "$.a is distinct from null": 1, "case when $.a > 9 then 'big' else 'small' end": "small",
    "cast('7' as integer)": 7, "$.t || '!'": "it!", "$.a + 2 * 3 - 1": 10, "$.a / 2": 2,
    "$.a % 3": 2, "value -> '$.b'": {"c": [1, 2]}, "value ->> 't'": "it", "$.yes": 1,
    "typeof($.l)": "text", "'7' > 100": 1, "cast('7 kg' as real)": 7.0, "cast('kg' as real)": 0.0,
    "'' || $.r": "0.30000000000000004", "date($.t)": None, "date('2023-02-' || ($.a + 25))": None,
    "date('20' || $.a)": None, "date('20' || $.a, 'unixepoch')": "1970-01-01",
    "upper($.t || 'ö')": "ITö", "lower('Ö')": "Ö", "$.t || 'ö' like 'itÖ'": 0,
}


def expressions_yield_what_the_page_says(at):
    names = [f"f{number}" for number in range(len(EXPRESSIONS))]
    fields = "".join(f"      $.{name}: {json.dumps(text)}\n"
                     for name, text in zip(names, EXPRESSIONS, strict=True))
    with Worker(at, pipeline(f"  - id: s\n    set:\n{fields}")) as worker:
        produce(worker.address, "in", [f"k|{RECORD}"], "-K|")
        wait_for(lambda: consume(worker.address, "out"), worker.said)
        found = consume(worker.address, "out")[0]
        check(worker.stop() == 0, worker.said())
    check(found.startswith(RECORD[:-1]), f"what is not set keeps its text: {found}")
    for name, (text, expected) in zip(names, EXPRESSIONS.items(), strict=True):
        check(json.loads(found)[name] == expected, f"{text}: {json.loads(found)[name]}")


def a_record_without_a_timestamp_has_none(at):
    columns = ("v: value, t: timestamp, "
               "is_old: { value: timestamp < 1577836800000, type: boolean }, "
               "day: \"date(timestamp / 1000, 'unixepoch')\", at: { type: timestamptz, value: "
               "\"strftime('%Y-%m-%dT%H:%M:%fZ', timestamp / 1000.0, 'unixepoch')\" }")
    sink = f"  - sqlite: {{ file: o.db, table: t, columns: {{ {columns} }} }}\n"
    with Worker(at, pipeline(sinks=sink)) as worker:
        create_topic(worker.address, "in")
        with Connection(worker.address) as connection:
            for timestamp in (-1, 0):
                connection.produce_v12(None, "in", batch([b"x"], timestamp_ms=timestamp))
        wait_for(lambda: table_of(at, "SELECT count(*) FROM t") == [(2,)], worker.said)
        check(worker.stop() == 0, worker.said())
    check(table_of(at, "SELECT v, t, is_old, day, at FROM t ORDER BY t") ==
          [("x", None, None, None, None), ("x", 0, 1, "1970-01-01", "1970-01-01T00:00:00Z")],
          table_of(at, "SELECT * FROM t"))
    audit(at)


CALLS = {  # where one text is not enough
    "atan2": "1, 2", "coalesce": "$.a, 1", "format": "'%d', 1", "printf": "'%d', 1",
    "glob": "'a*', $.a", "ifnull": "$.a, 1", "iif": "$.b > 1, 1, 2", "instr": "$.a, 'b'",
    "like": "'a%', $.a", "max": "$.a, $.b", "min": "$.a, $.b", "mod": "5, 3", "nullif": "$.a, 1",
    "pi": "", "pow": "2, 3", "power": "2, 3", "replace": "$.a, 'b', 'c'", "substr": "$.a, 1",
    "substring": "$.a, 1", "json_array": "$.a, 1", "json_extract": "value, '$.a'",
    "json_insert": "value, '$.a', 1", "json_object": "'a', 1", "json_patch": "value, '{}'",
    "json_remove": "value, '$.a'", "json_replace": "value, '$.a', 1", "json_set": "value, '$.a', 1",
    "strftime": "'%Y', $.a",
}


def every_function_of_the_page_is_there_and_no_other(at):
    section = PAGE.read_text(encoding="utf-8").partition("### Functions")[2].partition("\n## ")[0]
    names = [name for group in re.findall(r"(?:Text|choice|Numbers|JSON|Time): `([^`]*)`",
                                          " ".join(section.split())) for name in group.split()]
    check(len(names) > 60, names)
    fields = "".join(f"      $.{name}: \"{name}({CALLS.get(name, '$.a')})\"\n" for name in names)
    (at / "p.yaml").write_text(pipeline(f"  - id: s\n    set:\n{fields}"), encoding="utf-8")
    onceflow("validate", "p.yaml", at=at)
    others = ("random()", "count(*)", "unhex($.a)", "changes()", "sqlite_version()", "total($.a)",
              "last_insert_rowid()", "randomblob(4)", "group_concat($.a)", "(select 1)",
              "datetime()", "date('now')", "date($.a, 'localtime')", "time($.a, 'utc')")
    for call in others:
        (at / "p.yaml").write_text(pipeline(f"  - {{ id: s, key: \"{call}\" }}\n"),
                                   encoding="utf-8")
        onceflow("validate", "p.yaml", at=at, code=2)


def a_column_has_the_type_that_its_expression_tells(at):
    columns = {"a": ("offset", "INTEGER"), "b": ("partition", "INTEGER"),
               "c": ("timestamp", "INTEGER"), "d": ("12", "INTEGER"), "e": ("1.5", "REAL"),
               "f": ("cast($.x as integer)", "INTEGER"), "g": ("cast($.x as real)", "REAL"),
               "h": ("$.x", "TEXT"), "i": ("key", "TEXT"), "j": ("upper($.x)", "TEXT")}
    text = ", ".join(f"{name}: \"{value}\"" for name, (value, _) in columns.items())
    sink = f"  - sqlite: {{ file: o.db, table: t, columns: {{ {text} }} }}\n"
    with Worker(at, pipeline(sinks=sink)) as worker:
        produce(worker.address, "in", ['{"x":1}'])
        wait_for(lambda: table_of(at, "SELECT count(*) FROM t") == [(1,)], worker.said)
        check(worker.stop() == 0, worker.said())
    found = {name: type_ for _, name, type_, *_ in table_of(at, "PRAGMA table_info(t)")}
    for name, (_, type_) in columns.items():
        check(found[name].upper() == type_, f"{name}: {found}")


def table_of(at, query):
    try:
        with sqlite3.connect(at / "o.db") as database:
            return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def a_condition_that_no_record_meets_is_told(at):
    words = "step a drops every record: `$.x <> null` is true of none, whatever is in it"
    never = pipeline("  - { id: a, where: \"$.x <> null\" }\n")
    (at / "p.yaml").write_text(never, encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at)
    check(words in said and "write `is null` or `is not null`" in said, said)
    with Worker(at, never) as worker:
        create_topic(worker.address, "in", 1)
        wait_for(worker.is_running, worker.said)
        check(words in worker.said(), worker.said())
        said = onceflow("plan", "p.yaml", "--bootstrap.servers", worker.address, at=at)
        check(words in said, said)
    (at / "p.yaml").write_text(pipeline("  - { id: a, where: \"$.x is not null\" }\n"),
                               encoding="utf-8")
    check("drops every record" not in onceflow("validate", "p.yaml", at=at), "not of this one")


USERS = """  - sqlite:
      { file: o.db, table: t, mode: upsert, key: [id],
         columns: { id: key, n: { value: $.n, type: integer } } }
"""


def rows_of_users(at, condition, last):
    """Of the records a=1, b=2, a=0, and b deleted; `last` is a record after them that is let in."""
    with Worker(at, pipeline(f"  - {{ id: w, where: \"{condition}\" }}\n",
                             USERS)) as worker:
        produce(worker.address, "in", ['a|{"n":1}', 'b|{"n":2}', 'a|{"n":0}', "b|", last], "-K|",
                "-Z")
        name = last.partition("|")[0]
        wait_for(lambda: name in [each for each, _ in table_of(at, "SELECT id, n FROM t")],
                 worker.said)
        check(worker.stop() == 0, worker.said())
    return dict(table_of(at, f"SELECT id, n FROM t WHERE id <> '{name}'"))


def deletions_pass_a_condition_on_fields(at):
    # a is left as it was by the update that no longer meets the condition.
    found = rows_of_users(at, "$.n > 0", 'z|{"n":9}')
    check(found == {"a": 1}, found)


def a_condition_that_speaks_of_deletions_is_obeyed(at):
    for number, (condition, expected) in enumerate((
            ("value is not null and $.n > 0", {"a": 1, "b": 2}),
            ("value is null or $.n > 0", {"a": 1}),
            ("key <> 'b'", {"a": 0}))):
        folder = at / str(number)
        folder.mkdir()
        found = rows_of_users(folder, condition, 'z|{"n":9}')
        check(found == expected, f"{condition}: {found}")


REVENUE = aggregate("revenue: sum($.v)", id="by", key="$.region")


def results_are_marked_and_not_dropped(at):
    table = "  - sqlite: { file: o.db, table: t, mode: upsert }\n"
    (at / "p.yaml").write_text(pipeline(REVENUE + "  - { id: w, where: $.revenue > 1000 }\n",
                                        table), encoding="utf-8")
    onceflow("validate", "p.yaml", at=at, code=2)
    explain(at, pipeline(REVENUE + "  - { id: w, where: \"$.region <> 'x'\" }\n", table))
    page = PAGE.read_text(encoding="utf-8")
    text = re.search(r"```yaml\n(  - id: big\n.*?)```", page, re.DOTALL)[1]
    step, _, sinks = text.partition("sinks:\n")
    with Worker(at, pipeline(REVENUE + step, sinks)) as worker:
        produce(worker.address, "in", [{"region": "n", "v": 1500}, {"region": "s", "v": 7}])
        query = "SELECT region, revenue, is_big FROM revenue ORDER BY region"

        def rows():
            with sqlite3.connect(at / "out.db") as database:
                return database.execute(query).fetchall()
        wait_for(lambda: (at / "out.db").exists() and worker.is_running() and len(rows()) == 2,
                 worker.said)
        check(rows() == [("n", 1500, 1), ("s", 7, 0)], rows())
        produce(worker.address, "in", [{"region": "n", "v": -1000}])
        wait_for(lambda: rows()[0] == ("n", 500, 0), rows)
        check(worker.stop() == 0, worker.said())


def a_topic_gets_the_results_that_meet_the_condition(at):
    text = pipeline(REVENUE + "  - { id: w, where: $.revenue > 1000 }\n")
    said = explain(at, text)
    check("one that no longer meets it sends nothing" in said, said)
    with Worker(at, text) as worker:
        for count, value in enumerate((1500, -1000, 2000), 1):
            produce(worker.address, "in", [{"region": "n", "v": value}])
            # A state each, so each was a result of its own.
            wait_for(lambda n=count: len(consume(worker.address, "p-by-changelog", "-f", "%o\\n"))
                     == n, worker.said)
        wait_for(lambda: values(worker)[-1:] == ['{"region":"n","revenue":2500}'],
                 lambda: values(worker))
        check('{"region":"n","revenue":500}' not in values(worker), values(worker))
        check(worker.stop() == 0, worker.said())


def the_greatest_of_texts_is_that_of_their_bytes(at):
    table = "  - sqlite: { file: o.db, table: t, mode: upsert }\n"
    versions = [{"k": "a", "version": each} for each in ("10", "9", "B", "a", "Z")]
    with Worker(at, pipeline(aggregate("last: max($.version)"), table)) as worker:
        produce(worker.address, "in", versions, good=False)
        check(worker.wait() == 1, worker.said())
        check("type: text" in worker.said(), worker.said())
    (at / "data").rename(at / "former")
    (at / "o.db").unlink()
    typed = aggregate("last: { value: max($.version), type: text }")
    with Worker(at, pipeline(typed, table)) as worker:
        produce(worker.address, "in", versions)
        wait_for(lambda: table_of(at, "SELECT last FROM t") == [("a",)], worker.said)
        check(worker.stop() == 0, worker.said())


# The beginnings of sentences, and what tries them: a claim of this folder, or a test by its name.
SENTENCES = {
    "`onceflow validate FILE` checks it": "what_is_absent_is_as_the_page_says",
    "More in [examples/]": "all_examples_are_good",
    "| `max.request.size` |": "max_request_size_is_settable_and_its_fix_helps",
    "| `source` | where records come from": "what_is_absent_is_as_the_page_says",
    "| `sinks` | where they go": "what_is_absent_is_as_the_page_says",
    "`auto.offset.reset` says where a partition is begun": "what_is_absent_is_as_the_page_says",
    "It is decided once, when the pipeline first starts": "latest_is_kept_by_a_killed_worker",
    "A partition that appears later is found": "partitions_are_added_to_a_running_stage",
    "The topics must exist": "a_mistyped_source_is_waited_for_by_name_and_not_made",
    "Three keys of Kafka's consumers": "times_of_the_groups_follow_the_session",
    "They hold for the groups of all stages": "orderly_comings_and_goings_stop_no_partition",
    "| `session.timeout.ms` |": "a_kill_stops_no_partition_for_longer",
    "| `heartbeat.interval.ms` |": "times_that_do_not_go_together_are_refused_before_the_start",
    "| `max.poll.interval.ms` |": "group_times_of_a_rebalance",
    "All expressions see the record as it came": "steps_do_what_they_say",
    "Refused are a value that is JSON": "leaves_a_null_value_and_refuses_what_is_no_object",
    "Two paths to the same place": "what_is_set_twice",
    "A name that stands several times": "set_makes_what_it_says",
    "or **`key: { name: EXPRESSION": "one_is_its_text_and_several_are_a_json_array",
    "One expression: its value as text": "one_is_its_text_and_several_are_a_json_array",
    "Several: a JSON array of the values.": "one_is_its_text_and_several_are_a_json_array",
    "It stands in one step with its `key`": "aggregate_without_key",
    "| `count(x)` |": "folds_as_sql_does",
    "| `sum(x)` |": "integers_stay_exact_and_overflow_is_an_error",
    "| `min(x)`, `max(x)` |": "folds_as_sql_does",
    "| `avg(x)` |": "folds_as_sql_does",
    "With `type: decimal` the aggregate itself is exact": "sums_are_exact_over_a_restart",
    "Its argument may be a number or a text": "sums_are_exact_over_a_restart",
    "What it computes is exact as well": "revenue_is_exact",
    "`/` is refused there": "each_fix_of_validate_makes_the_file_good",
    "Steps after an aggregate see these records": "fields_after_an_aggregate",
    "A field that is neither a part of the key": "fields_after_an_aggregate",
    "A record that cannot be processed stops": "what_is_not_json_is_kept_out_and_deletes_are_not",
    "A topic that is missing is made": "a_topic_that_is_made_with_a_higher_limit",
    "Of a topic that is there the file's `max.message.bytes`":
        "what_the_file_says_of_a_topic_that_is_there_has_no_effect",
    "Beside a database sink the first topic": "only_topics_that_the_pipeline_reads_again",
    "How large a record may be": "batches_obey_a_lower_limit",
    "What a topic will not take stops": "a_record_that_a_step_made_too_large",
    "Internal topics are made to take": "an_aggregates_key_that_is_too_large",
    "`max.request.size` sets a lower limit": "max_request_size_is_settable_and_its_fix_helps",
    "| `columns` | map of name": "values_fit_their_columns",
    "Behind an aggregate each group is a row": "what_is_not_text_over_sqlite",
    "So the `key` of an upsert has a column": "columns_that_make_one_row_of_two_groups_are_refused",
    "A part of a key of several must have": "what_is_not_text_is_refused_and_the_cast_helps",
    "Another record is refused where it enters": "what_is_not_text_is_refused_and_the_cast_helps",
    "Without `type`, a column has the type": "a_column_has_the_type_that_its_expression_tells",
    "An integer column takes integers alone": "columns_take_what_it_says",
    "Null fits everywhere but in a key.": "null_is_refused_and_coalesce_helps",
    "A key tells rows apart": "a_key_column_of_text_is_no_place_for_two",
    "Anything else stops the pipeline": "a_value_that_does_not_fit_is_refused_by_name",
    "| `$.name`, `$.a.b`": "expressions_yield_what_the_page_says",
    "| `value`, `key` |": "expressions_yield_what_the_page_says",
    "| `topic`, `partition`, `offset` |": "expressions_yield_what_the_page_says",
    "| `timestamp` |": "a_record_without_a_timestamp_has_none",
    "| `'text'`, `12`": "expressions_yield_what_the_page_says",
    "Operators are SQL's: `=`": "expressions_yield_what_the_page_says",
    "Integers are exact to 64 bits": "integers_that_leave_64_bits_or_lose_a_fraction_are_refused",
    "JSON's `true` and `false` are 1 and 0": "expressions_yield_what_the_page_says",
    "What every value means at every place": "columns_take_what_it_says",
    "evaluate from left to right": "case_and_coalesce_guard",
    "A record without a value (a deletion": "what_keeps_bad_records_out_keeps_deletions",
    "SQL compares numbers with numbers": "expressions_yield_what_the_page_says",
    "Where producers write numbers as text": "expressions_yield_what_the_page_says",
    "A condition is true, false or null": "a_text_is_no_condition",
    "A text where a condition belongs": "a_text_is_no_condition",
    "`/` of two integers is an integer.": "expressions_yield_what_the_page_says",
    "Reals are written in the shortest digits": "expressions_yield_what_the_page_says",
    "In YAML an expression that begins with a quote": "not_yaml",
    "An expression must yield the same each time": "what_asks_for_a_clock",
    "So there are no subqueries": "every_function_of_the_page_is_there_and_no_other",
    "Text: `char": "every_function_of_the_page_is_there_and_no_other",
    "Null and choice:": "every_function_of_the_page_is_there_and_no_other",
    "Numbers: `abs": "every_function_of_the_page_is_there_and_no_other",
    "JSON: `json": "every_function_of_the_page_is_there_and_no_other",
    "Time: `date": "every_function_of_the_page_is_there_and_no_other",
    "Where a record says `now`": "expressions_yield_what_the_page_says",
    "A day that there is not is no time": "expressions_yield_what_the_page_says",
    "`like`, `lower` and `upper` know": "expressions_yield_what_the_page_says",
    "A format or a modifier that SQLite": "what_asks_for_a_clock",
    "`onceflow explain` prints it.": "what_is_absent_is_as_the_page_says",
    "A pipeline is one YAML file.": "what_a_reader_of_yaml_passes_over_is_refused",
    "Every mistake is reported at once": "mistakes_are_reported_together_and_nothing_starts",
    "The file is one YAML document in UTF-8": "what_a_reader_of_yaml_passes_over_is_refused",
    "Unknown keys are refused too": "every_word_has_one_answer",
    "What a change of a file means": "every_row_of_the_page_is_tried",
    "| `name` | name of the pipeline": "what_is_absent_is_as_the_page_says",
    "| `guarantee` |": "what_is_absent_is_as_the_page_says",
    "| `bootstrap.servers` |": "what_is_absent_is_as_the_page_says",
    "| `commit.interval.ms` |": "the_interval_is_from_1_to_60000",
    "| `steps` | what happens to them": "what_is_absent_is_as_the_page_says",
    "A value may hold `${env:NAME}`": "missing_secret",
    "Secrets are given so.": "every_bad_file_is_refused_as_expected",
    "Whatever key such a value is given to, and": "no_key_shows_it",
    "(One of fewer than four letters": "a_short_one_and_a_number_are_words",
    "What is a name in another system": "a_table_named_by_a_secret",
    "So put a secret into `dsn`": "no_command_shows_a_dsn",
    "Expressions hold no references.": "expressions_hold_no_references",
    "`group.id` is the pipeline's name if absent": "what_is_absent_is_as_the_page_says",
    "A step has an `id`, unique in the file": "steps_do_one_thing",
    "keeps the records for which it is true": "keeps_true_and_drops_false_and_null",
    "One that no record meets, as": "a_condition_that_no_record_meets_is_told",
    "sets fields of the JSON value and keeps the others.": "steps_do_what_they_say",
    "A null value stays null": "leaves_a_null_value_and_refuses_what_is_no_object",
    "sets the record's key.": "one_is_its_text_and_several_are_a_json_array",
    "A record without a value deletes a row": "deletions_pass_a_condition_on_fields",
    "So where such a table takes its key from":
        "deletions_pass_a_condition_on_fields",
    "Such a key may ask fields first": "a_key_from_the_records_own_is_its_own",
    "A record without a value is dropped only if": "a_deletion_that_no_fields_let_in_is_dropped",
    "For that `and`, `or`, `not`, `case`": "is_false_where_no_fields_make_it_true",
    "A condition that names `value` anywhere is": "however_value_is_named_it_is_obeyed",
    "tell of each such `where` what it does": "a_where_that_keeps_deletions_out_says_so",
    "A condition on the key alone is asked": "a_condition_that_speaks_of_deletions_is_obeyed",
    "An update that no longer meets the condition": "deletions_pass_a_condition_on_fields",
    "What tells the row to delete is the key": "tables_keyed_by_the_records_own",
    "So at least one part of a row's key must": "tells_where_fields_give_way_to_the_key",
    "and constants are the same for all records of a row":
        "tells_by_the_key_beside_what_is_the_same_for_its_records",
    "A condition on the key (": "does_not_tell_by_what_is_not_the_key",
    "Of any other key (": "a_key_column_that_stands_in_for_null",
    "So it is where two parts both come": "two_key_columns_that_are_both_the_whole_key",
    "Into a topic such a record goes under the key":
        "a_key_that_a_record_without_a_value_does_not_have_is_told",
    "tell of such a key before one comes":
        "a_key_that_a_record_without_a_value_does_not_have_is_told",
    "A table with `mode: append` beside one that":
        "a_table_that_appends_beside_it_gets_rows_and_is_told",
    "Behind an aggregate nobody can send one": "results_are_marked_and_not_dropped",
    "So a `where` on results is refused": "results_are_marked_and_not_dropped",
    "Mark the results instead": "results_are_marked_and_not_dropped",
    "In front of a topic, and of a table with `mode: append`": "a_topic_gets_the_results_that_meet",
    "Functions are SQL's:": "folds_as_sql_does",
    "The greatest of texts needs `type: text`": "the_greatest_of_texts_is_that_of_their_bytes",
    "That is the order of times only": "the_latest_of_times_in_several_forms_is_the_latest",
    "**`kafka: { topic: T }`**.": "steps_do_what_they_say",
    "and **`postgres: { dsn: D, table: T, … }`** write rows":
        "rows_positions_and_receipt_are_committed_together",
    "TYPE may also be `timestamptz`": "columns_take_what_it_says",
    "What a sink keeps and how it fails": "two_databases_read_one_internal_topic",
    "Each stage has one commit point": "what_is_absent_is_as_the_page_says",
    "The names become columns after an aggregate": "names_become_columns_after_an_aggregate",
    "keeps a state for each key and writes the key's new results": "the_same_record_again_writes",
    "A null key is an error there.": "a_null_key_is_no_key_or_refused",
    "| `count(*)` | records": "folds_as_sql_does",
    "Another column type is asked for": "what_decides_nothing_is_not_in_it",
    "Results are updates: the last record of a key is its result.": "a_result_that_comes_back",
    "a second aggregate is refused": "a_second_aggregate_is_refused",
    "`window` and `on_error` are refused": "not_supported_yet",
    "Several topics are written in one transaction.": "topics_after_a_filter_are_one_stage",
    "| `mode` | `append`": "the_last_word_on_a_key_is_its_row",
    "| `key` | upsert": "upsert_key_is_no_column",
    "A sink may have an `id`": "two_databases_read_one_internal_topic",
    "keeps the pipeline's position under this id": "every_row_of_the_page_is_tried",
    "An expression is one SQL expression of SQLite over one record.": "fields_are_read_by_path",
    "a call of anything else is refused": "wrong_ones_are_refused_with_their_place",
    "steps and Kafka sinks: one stage": "topics_after_a_filter_are_one_stage",
    "steps and a single database sink": "one_database_after_a_filter_is_one_stage",
    "`key` and `aggregate`: two stages": "an_aggregate_stands_behind_a_repartition_topic",
    "a database sink beside other sinks": "a_database_beside_a_topic_reads_the_topic",
}


# Sentences that promise nothing.
LEADS = {"Worth knowing:"}


def every_sentence_of_the_page_is_in_the_table_and_is_tried(at):
    sentences = [sentence.lower() for sentence in sentences_of(PAGE.read_text(encoding="utf-8"))
                 if sentence not in LEADS]
    check(len(sentences) > 120, sentences)
    keys = [key.lower() for key in SENTENCES]
    untried = [each for each in sentences if not any(key in each for key in keys)]
    check(not untried, "not in the table:\n" + "\n".join(untried))
    gone = [key for key in keys if not any(key in each for each in sentences)]
    check(not gone, f"the page does not say any more: {gone}")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in
                      [*ROOT.glob("src/**/*_test.cc"), *ROOT.glob("tests/cases/*.py")])
    names = {path.stem for path in ROOT.glob("tests/negative/pipeline/*.yaml")}
    for test in SENTENCES.values():
        check(re.search(rf"(def |, ){test}", tests) or test in names, f"there is no test {test}")


def a_sentence_that_is_new_is_seen(at):
    """The reader of the page: rows, items and sentences count, heads and code do not."""
    found = sentences_of("# Head\n\n**`a.b`** is one. `C. D` is\ntwo!\n- an item\n  of a list. And"
                         " more\n\n| x | y |\n|---|---|\n| 1. A | 2 |\n```\ncode. Code.\n```\n")
    check(found == ["**`a.b`** is one.", "`C. D` is two!", "an item of a list.", "And more",
                    "| 1. A | 2 |"], found)
    check(split("**A.** B") == ["**A.**", "B"], split("**A.** B"))
