"""C22: what docs/pipeline-file.md says is tried, sentence by sentence."""

import re

from harness import ROOT, check, onceflow
from harness.changes import aggregate, pipeline, run

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


# The beginnings of sentences, and what tries them: a claim of this folder, or a test by its name.
SENTENCES = {
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
    "Secrets are given so, and are never printed.": "every_bad_file_is_refused_as_expected",
    "Expressions hold no references.": "expressions_hold_no_references",
    "`group.id` is the pipeline's name if absent.": "what_is_absent_is_as_the_page_says",
    "A step has an `id`, unique in the file": "steps_do_one_thing",
    "keeps the records for which it is true": "keeps_true_and_drops_false_and_null",
    "sets fields of the JSON value and keeps the others.": "steps_do_what_they_say",
    "A null value stays null": "leaves_a_null_value_and_refuses_what_is_no_object",
    "sets the record's key. One expression": "one_is_its_text_and_several_are_a_json_array",
    "The names become columns after an aggregate": "names_become_columns_after_an_aggregate",
    "keeps a state for each key and writes the key's new results": "the_same_record_again_writes",
    "A null key is an error there.": "a_null_key_is_no_key_or_refused",
    "| `count(*)` | records": "folds_as_sql_does",
    "Another column type is asked for": "what_decides_nothing_is_not_in_it",
    "Results are updates: the last record of a key is its result.": "a_result_that_comes_back",
    "Steps after an aggregate see these records": "a_step_after_an_aggregate_reads_its_results",
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


def every_sentence_of_the_table_stands_on_the_page_and_is_tried(at):
    page = " ".join(PAGE.read_text(encoding="utf-8").split()).lower()
    tests = "\n".join(path.read_text(encoding="utf-8") for path in
                      [*ROOT.glob("src/**/*_test.cc"), *ROOT.glob("tests/cases/*.py")])
    names = {path.stem for path in ROOT.glob("tests/negative/pipeline/*.yaml")}
    for sentence, test in SENTENCES.items():
        check(sentence.lower() in page, f"the page does not say any more: {sentence}")
        check(re.search(rf"(def |, ){test}", tests) or test in names, f"there is no test {test}")
