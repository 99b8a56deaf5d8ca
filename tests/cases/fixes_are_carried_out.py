"""What a message says is to be typed is typed, and helps."""

import json
import re
import shlex
import sqlite3

from harness import (Worker, audit, check, cluster, consume, onceflow, produce, shared_postgres,
                     wait_for)
from harness.changes import aggregate, pipeline, values
from harness.kafka_admin import create_topic, delete_group

TOTALS = "  - { id: by, key: $.k, aggregate: { orders: count(*), sum: sum($.x) } }\n"
SQLITE = "  - sqlite: {{ file: o.db, table: rows{} }}\n"


def step(action):
    return pipeline(f"  - {{ id: a, {action} }}\n")


def decimal(argument):
    return pipeline(aggregate(f"s: {{ value: {argument}, type: decimal }}"))


def behind(action):
    return pipeline(TOTALS + f"  - {{ id: a, {action} }}\n")


# A file, what is wrong in it, and the right words, which the message gives.
FILES = [
    (step("key: { shop: shop.id }"), "shop.id }", "$.shop.id"),
    (step("key: $shop.id"), "$shop.id", "$.shop.id"),
    (step("where: value.paid = 1"), "value.paid", "$.paid"),
    (step("where: lenght($.a) > 1"), "lenght", "length"),
    (step("where: topic"), "where: topic", "where: topic = 'true'"),
    (pipeline(aggregate("s: { value: sum($.x), type: numeric }")), "numeric", "decimal"),
    (decimal("sum($.cents / 100)"), "/ 100", "* 0.01"),
    (behind("where: $.ordrs > 1"), "$.ordrs", "$.orders"),
    (behind("set: { $.mean: $.summ }"), "$.summ", "$.sum"),
    (behind("key: $.k.id"), "$.k.id", "$.k"),
    (behind("where: \"json_extract(value, '$.Orders') > 1\""), "$.Orders", "$.orders"),
    (pipeline(TOTALS, SQLITE.format(", columns: { o: $.ordrs }")), "$.ordrs", "$.orders"),
    (pipeline(sinks=SQLITE.format(", mode: overwrite, key: k, columns: { k: key }")), "overwrite",
     "upsert"),
    (pipeline().replace("group.id: g", "max.poll.interval.ms: 5000"), "max.poll.interval.ms: 5000",
     "max.poll.interval.ms: 10000"),
    (pipeline().replace("group.id: g", "max.poll.interval.ms: 10000, session.timeout.ms: 12000"),
     "max.poll.interval.ms: 10000", "max.poll.interval.ms: 12000"),
]
# What is answered with another way of writing it.
WORDS = {
    "where: \"concat($.a, $.b) = 'ab'\"": "$.a || $.b", "where: \"if($.a, 1, 0)\"": "iif(",
    "where: \"$.a regexp 'x'\"": "write like", "where: \"$.a ilike 'x'\"": "write like",
    "where: now() > $.at": "timestamp (milliseconds)", "where: sum($.x) > 1": "in an `aggregate`",
    "where: datetime() > $.at": "timestamp (milliseconds)",
    "where: \"nvl($.a, 0) > 1\"": "coalesce(", "where: \"greatest($.a, 1) > 1\"": "max($.a, $.b)",
}


def validated(at, text, code):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("validate", "p.yaml", at=at, code=code)


def each_fix_of_validate_makes_the_file_good(at):
    for text, wrong, right in FILES:
        said = validated(at, text, 2)
        check(f"`{right}`" in said, f"{wrong}: {said}")
        validated(at, text.replace(wrong, right + (" }" if wrong.endswith("}") else "")), 0)
    for action, words in WORDS.items():
        said = validated(at, step(action), 2)
        check(words in said[said.index("the fix: "):], f"{action}: {said}")


def a_tab_and_a_misplaced_id_are_named(at):
    said = validated(at, step("where: $.x > 1").replace("  - {", "\t- {"), 2)
    check("p.yaml:4: a tab stands in the indentation" in said, said)
    text = pipeline(sinks="  - sqlite: { id: lite, file: o.db, table: rows }\n")
    said = validated(at, text, 2)
    check("- { id: NAME, sqlite: { file: F, table: T } }" in said, said)
    validated(at, pipeline(sinks="  - { id: lite, sqlite: { file: o.db, table: rows } }\n"), 0)


def step_of(said):
    """The step that the message gives, as a line of the file."""
    found = re.search(r"`(- \{ id: known, where: \".*?\" \})`", said)
    check(found and "; the rule: " in said and "; the fix: " in said, said)
    return f"  {found.group(1)}\n"


def groups_that_were_forgotten_get_their_positions_from_the_receipts(at):
    """As Kafka does after a week without members."""
    counts = aggregate("n: count(*)")
    members = {"plain": (pipeline(), ["g"]), "aggregate": (pipeline(counts), ["g", "p-k"]),
               "one": (pipeline(counts), ["p-k"]),
               "table": (pipeline(counts, SQLITE.format(", mode: upsert")), ["g", "p-k"])}
    for name, (text, groups) in members.items():
        here = at / name
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 2)

            audited = ("audit", "p.yaml", "--bootstrap.servers", broker.address)

            def feed(count, where=here, address=broker.address, file=text, command=audited):
                with Worker(where, file, servers=address) as worker:
                    produce(address, "in", [{"k": key} for key in "abab"], "-p", 0)
                    produce(address, "in", [{"k": key} for key in "ab"], "-p", 1)
                    clean = f"clean — {count} input records accounted for to the last row"
                    wait_for(lambda: clean in onceflow(*command, at=where, code=None), worker.said)
                    check(worker.stop() == 0, worker.said())

            feed(6)
            for group in groups:
                delete_group(broker.address, group)
            with Worker(here, None, servers=broker.address) as worker:
                check(worker.wait() == 1, worker.said())
                said = worker.said()
            check("the position is gone in group" in said and "Kafka's default: 7 days" in said,
                  said)
            command = re.search(r"`?(onceflow reset [^;]*? --to-current --execute)", said)[1]
            done = onceflow(*shlex.split(command)[1:], at=here)
            check("go on at in-0@" in done or groups == ["p-k"], done)
            feed(12)


def each_step_that_is_printed_has_an_id_that_is_free(at):
    """One bad record after the other, each step typed as it is printed, beside those of before."""
    numbers = SQLITE.format(", columns: { v: { value: $.x, type: integer } }")
    sums = "  - { id: known-2, key: $.k, aggregate: { n: sum($.x) } }\n"
    members = {
        "column": ("", numbers, ['{"x":1}', '{"x":"a"}', '{"x":"b"}', '{"x":1.5}', '{"x":2}'],
                   "SELECT group_concat(v) FROM rows", ["known", "known-2", "known-3"], "1,2"),
        "condition": ("  - { id: w, where: $.x }\n",
                      "  - { id: known, sqlite: { file: o.db, table: rows, columns: { v: $.x }"
                      " } }\n",
                      ['{"x":1}', '{"x":"a"}', "no JSON", '{"x":2}'],
                      "SELECT group_concat(v) FROM rows", ["known-2", "known-3"], "1,2"),
        "aggregate": (sums, "  - sqlite: { file: o.db, table: rows, mode: upsert }\n",
                      ['{"k":"a","x":1}', '{"k":"a","x":"bad"}', '{"k":"a","x":"worse"}',
                       '{"x":2}', '{"k":"a","x":4}'], "SELECT n FROM rows WHERE k = 'a'",
                      ["known", "known-3", "known-4"], 5)}
    for name, (steps, sinks, records, query, ids, rows) in members.items():
        here = at / name
        here.mkdir()
        found = []
        for number in range(len(ids) + 1):
            with Worker(here, pipeline(steps, sinks)) as worker:
                if number == 0:
                    produce(worker.address, "in", records, good=False)
                if number == len(ids):
                    def result(where=here, sql=query):
                        with sqlite3.connect(where / "o.db") as database:
                            return database.execute(sql).fetchone()[0]
                    wait_for(lambda: worker.is_running() and result() == rows, worker.said)
                    check(worker.stop() == 0, worker.said())
                    break
                check(worker.wait() == 1, worker.said())
                step, taken = re.search(r"`(- \{ id: (known[^,]*), where: \".*?\" \})`",
                                        worker.said()).groups()
            found.append(taken)
            steps = f"  {step}\n{steps}"
        check(found == ids, f"{name}: {found}")
        audit(here)
    # What `validate` prints is free, too.
    said = validated(at, pipeline("  - { id: known, where: $.x }\n  - { id: d, dlq: x }\n"), 2)
    check("`- { id: known-2, where: " in said, said)


ROWS = SQLITE.format(", mode: upsert, key: k, columns: { k: key, v: $.x }")


def keys(at):
    try:
        with sqlite3.connect(at / "o.db") as database:
            return [key for (key,) in database.execute("SELECT k FROM rows ORDER BY k")]
    except sqlite3.OperationalError:
        return []


def passed(at, bad, steps, field="…"):
    """Stops at the bad record; with the step of the message a delete after it arrives."""
    with Worker(at, pipeline(steps, ROWS)) as worker:
        produce(worker.address, "in", ['a|{"x":1}', 'b|{"x":2}', f"c|{bad}", "a|"], "-K|", "-Z",
                good=False)
        check(worker.wait() == 1, worker.said())
        fix = step_of(worker.said()).replace("…", field)
    with Worker(at, pipeline(fix + steps, ROWS)) as worker:
        wait_for(lambda: keys(at) == ["b"], lambda: f"b alone: {keys(at)}, {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def what_is_not_json_is_kept_out_and_deletes_are_not(at):
    passed(at, "not json", "")


def what_is_not_an_object_is_kept_out_and_deletes_are_not(at):
    passed(at, "[1]", "  - { id: s, set: { $.y: 1 } }\n")


def a_nul_is_kept_out_and_deletes_are_not(at):
    passed(at, '{"x":"a\\u0000b"}', "  - { id: t, where: trim($.x) is null or true }\n", "$.x")


# A value of a record, and what refuses it without a condition that tells such records from others.
REFUSED = [
    ('"x":1e1001', "where: $.x > 1 or true"), ('"x":"\\ud83d"', "where: $.x = 'a' or true"),
    ('"x":"no"', "where: not $.x or true"), ('"x":1e308', "set: { $.y: $.x * 1e10 }"),
    ('"x":5', "set: { $.x.y: 1 }"), ('"x":9223372036854775807', "set: { $.y: $.x + 1 }"),
    ('"x":1.5', "set: { $.y: $.x % 2 }"), ('"x":-1', "set: { $.y: char($.x) }"),
    ('"x":"[x"', "set: { $.y: \"json_extract(value, '$.' || $.x)\" }"),
    ('"x":1e300', "set: { $.y: cast($.x as integer) }"),
]


def what_no_condition_tells_is_passed_by_its_place(at):
    for index, (bad, action) in enumerate(REFUSED):
        here = at / f"{index}"
        here.mkdir()
        steps = f"  - {{ id: s, {action} }}\n"
        with Worker(here, pipeline(steps)) as worker:
            produce(worker.address, "in", ['{"k":1}', f'{{"k":2,{bad}}}', '{"k":3}'], good=False)
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check("past this record alone: `" in said, said)
        with Worker(here, pipeline(step_of(said) + steps)) as worker:
            wait_for(lambda: [json.loads(value)["k"] for value in values(worker)] == [1, 3],
                     lambda: f"{action}: {values(worker)}, {worker.said()}")
            check(worker.stop() == 0, worker.said())
        audit(here)


def what_a_condition_on_results_would_drop_is_marked(at):
    """With the step and the column of the message the row says how its group stands."""
    columns = ", mode: upsert, columns: {{ k: $.k, s: {{ value: $.sum, type: real }}{} }}"
    where = "where: \"$.sum > 5 and $.k <> '\\\"'\""
    said = validated(at, pipeline(TOTALS + f"  - {{ id: big, {where} }}\n",
                                  SQLITE.format(columns.format(""))), 2)
    check("p.yaml:5: step big drops results of step by" in said, said)
    step_to_type, column = re.search(r"write `(set: .*?)` in .*? column `(.*?)`", said).groups()
    text = pipeline(TOTALS + f"  - {{ id: big, {step_to_type} }}\n",
                    SQLITE.format(columns.format(f", {column}")))

    def rows():
        try:
            with sqlite3.connect(at / "o.db") as database:
                return database.execute("SELECT k, s, is_shown FROM rows ORDER BY k").fetchall()
        except sqlite3.OperationalError:
            return []
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":"a","x":9}', '{"k":"b","x":9}'])
        wait_for(lambda: rows() == [("a", 9, 1), ("b", 9, 1)],
                 lambda: f"both: {rows()}, {worker.said()}")
        produce(worker.address, "in", ['{"k":"a","x":-8}'])
        wait_for(lambda: rows() == [("a", 1, 0), ("b", 9, 1)],
                 lambda: f"a no longer: {rows()}, {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


class Lite:
    def __init__(self, at):
        self.at = at
        self.words = "sqlite: { file: o.db"

    def rows(self):
        try:
            with sqlite3.connect(self.at / "o.db") as database:
                return database.execute("SELECT k, v FROM rows ORDER BY k").fetchall()
        except sqlite3.OperationalError:
            return []


class Pg:
    def __init__(self, _at):
        self.server = shared_postgres()
        self.dsn = self.server.new_database()
        self.words = f"postgres: {{ dsn: '{self.dsn}'"

    def rows(self):
        if self.server.query("SELECT to_regclass('rows')", self.dsn) != [["rows"]]:
            return []
        return [tuple(row) for row in
                self.server.query("SELECT k, v FROM rows ORDER BY k", self.dsn)]


def sink(system, column):
    return (f"  - {system.words}, table: rows, mode: upsert, key: k, columns: {{ k: {column},"
            " v: $.v } }\n")


def a_key_column_of_text_is_no_place_for_two(at, system):
    with Worker(at, pipeline(sinks=sink(system, "$.k"))) as worker:
        produce(worker.address, "in", ['{"k":"1","v":"text"}', '{"k":1,"v":"number"}'], good=False)
        check(worker.wait() == 1, worker.said())
        check("record in/0@1: key column k is text but got the number 1" in worker.said(),
              worker.said())
        found = re.search(r"; the fix: write `k: (cast\(\$\.k as text\))`", worker.said())
        check(found and "`type: integer`" in worker.said(), worker.said())
    check(system.rows() == [("1", "text")], system.rows())
    with Worker(at, pipeline(sinks=sink(system, found.group(1)))) as worker:
        wait_for(lambda: system.rows() == [("1", "number")], lambda: f"one: {system.rows()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_key_column_of_text_in_sqlite(at):
    a_key_column_of_text_is_no_place_for_two(at, Lite(at))


def a_key_column_of_text_in_postgres(at):
    a_key_column_of_text_is_no_place_for_two(at, Pg(at))


def what_is_not_text_is_not_in_a_key_of_text(at):
    for value, what in (("true", "the number 1"), ("1.5", "the number 1.5"),
                        ("[1]", "the list or object [1]"), ('{"a":1}', "the list or object"),
                        ("18446744073709551616", "the number 18446744073709551616")):
        here = at / str(abs(hash(value)))
        here.mkdir()
        with Worker(here, pipeline(sinks=sink(Lite(here), "$.k"))) as worker:
            produce(worker.address, "in", [f'{{"k":{value}}}'], good=False)
            check(worker.wait() == 1, worker.said())
            check(f"key column k is text but got {what}" in worker.said(), worker.said())


def key_is_kept_out(at, words, column, good, bad, rows):
    """Stops at the bad key; with the step of the message all the others arrive."""
    sinks = (f"  - {words}, table: rows, mode: upsert, key: k, columns: {{ k: {column}, v: $.v }}"
             " }\n")
    with Worker(at, pipeline(sinks=sinks)) as worker:
        produce(worker.address, "in", [good, bad], good=False)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("`type: " not in said[said.index("; the fix: "):], said)
    with Worker(at, pipeline(step_of(said), sinks)) as worker:
        produce(worker.address, "in", [good.replace('"v":"1"', '"v":"4"')], good=False)
        wait_for(lambda: rows() == ["4"], lambda: f"{rows()}, {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


ID = "123e4567-e89b-12d3-a456-42661417400a"
KEYS = [
    ("uuid", f'"{ID}"', '"it\'s \\"none\\""'), ("timestamptz", '"2024-02-29T12:30:00Z"', "5"),
    ("date", '"2024-02-29"', '"2024-02-30"'), ("integer", "7", '"x"'), ("integer", "7", "1.5"),
    ("integer", "7", "18446744073709551616"), ("decimal", "7", '"7 kg"'), ("boolean", "true", "2"),
    ("real", "0.5", "9007199254740993"), ("jsonb", '{"a":7}', '{"b":[1, 2],"b":2}'),
    ("timestamp", '"2024-02-29 12:30"', '"\\n' + "x" * 70 + '"'),
    ("uuid", f'"{ID}"', '"' + "y" * 300 + '"'),
]


def a_key_that_does_not_fit_its_type(at, system, of_system):
    for index, (kind, good, bad) in enumerate(KEYS):
        here = at / f"{index}"
        here.mkdir()
        one = system(here)
        key_is_kept_out(here, one.words, f"{{ value: '$.\"k-k\"', type: {kind} }}",
                        f'{{"k-k":{good},"v":"1"}}', f'{{"k-k":{bad},"v":"2"}}',
                        lambda: [value for _, value in one.rows()])
    of_system(at)


def a_key_that_does_not_fit_its_type_in_sqlite(at):
    a_key_that_does_not_fit_its_type(at, Lite, lambda _: None)


def a_key_that_does_not_fit_its_type_in_postgres(at):
    def no_zero(here):
        one = Pg(here)
        key_is_kept_out(here, one.words, "{ value: $.k, type: text }", '{"k":"a","v":"1"}',
                        '{"k":"a\\u0000b","v":"2"}', lambda: [v for _, v in one.rows()])
    a_key_that_does_not_fit_its_type(at, Pg, no_zero)


ANEW = "(onceflow reset p.yaml[^;]* --to-earliest --delete-rows --execute)"
# A type, a text that is exactly one of its values, that value, and a text that a cast would alter.
TYPED = [("boolean", "true", 1, "truth"), ("boolean", "no", 0, "maybe"),
         ("integer", "12", 12, "1.234,50"), ("real", "12.5", 12.5, "12,5")]


def read(at, sql):
    try:
        with sqlite3.connect(at / "o.db") as database:
            return database.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []


def a_text_is_converted_where_it_is_exactly_a_value(at):
    """And only there: what is left is refused, and its step keeps it out."""
    for index, (kind, exact, value, other) in enumerate(TYPED):
        here = at / f"{index}"
        here.mkdir()
        column = SQLITE.format(", columns: { v: { value: VALUE, type: " + kind + " } }")
        with Worker(here, pipeline(sinks=column.replace("VALUE", "$.v"))) as worker:
            produce(worker.address, "in", [f'{{"v":"{exact}"}}', f'{{"v":"{other}"}}'], good=False)
            check(worker.wait() == 1, worker.said())
            found = re.search(r"write `value: (.*?)`", worker.said())
            check(found, worker.said())
        text = column.replace("VALUE", found[1])
        with Worker(here, pipeline(sinks=text)) as worker:
            check(worker.wait() == 1, worker.said())
            said = worker.said()
        check(read(here, "SELECT v FROM rows") == [(value,)], read(here, "SELECT v FROM rows"))
        check("but got the text" in said and "write `value: " not in said, said)
        with Worker(here, pipeline(step_of(said), text)) as worker:
            produce(worker.address, "in", [f'{{"v":"{exact}"}}'], good=False)
            wait_for(lambda: len(read(here, "SELECT v FROM rows")) == 2, worker.said)
            check(worker.stop() == 0, worker.said())
        audit(here)


def what_no_step_can_keep_out_any_more_is_read_anew(at):
    """A table is put beside a topic that has the record already."""
    steps = "  - { id: s, set: { $.y: 1 } }\n"
    topic = "  - kafka: { topic: out }\n"
    table = topic + SQLITE.format(", columns: { x: { value: $.x, type: integer } }")
    with Worker(at, pipeline(steps, topic)) as worker:
        produce(worker.address, "in", ['{"x":1}', '{"x":"x"}', '{"x":3}'])
        wait_for(lambda: len(values(worker)) == 3, worker.said)
        check(worker.stop() == 0, worker.said())
    with Worker(at, pipeline(steps, table)) as worker:
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("past all steps of the file" in said and "past this record alone" not in said, said)
    anew = re.search(ANEW, said)[1]
    (at / "p.yaml").write_text(pipeline(steps + step_of(said), table), encoding="utf-8")
    onceflow(*anew.split()[1:], at=at)
    with Worker(at, pipeline(steps + step_of(said), table)) as worker:
        wait_for(lambda: read(at, "SELECT x FROM rows ORDER BY x") == [(1,), (3,)], worker.said)
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_group_whose_key_is_null_is_given_a_value(at):
    text = "  - {{ id: g, key: {{ s: $.s, d: {} }}, aggregate: {{ n: count(*) }} }}\n"
    topic = "  - kafka: { topic: out }\n"
    table = topic + SQLITE.format(", mode: upsert")
    with Worker(at, pipeline(text.format("$.d"), topic)) as worker:
        produce(worker.address, "in", ['{"d":null,"s":"x"}', '{"d":"a","s":"x"}'])
        wait_for(lambda: len(values(worker)) == 2, worker.said)
        check(worker.stop() == 0, worker.said())
    with Worker(at, pipeline(text.format("$.d"), table)) as worker:
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    value, anew = re.search(r"key column d would be null; .* write `d: (.*?)`, or in the `key` of "
                            r"the aggregate.*" + ANEW, said).groups()
    given = pipeline(text.format(value), table)
    (at / "p.yaml").write_text(given, encoding="utf-8")
    onceflow(*anew.split()[1:], at=at)
    with Worker(at, given) as worker:
        wait_for(lambda: read(at, "SELECT d, n FROM rows ORDER BY d") == [("a", 1), ("none", 1)],
                 worker.said)
        check(worker.stop() == 0, worker.said())
    audit(at, code=None)


def revenue_is_exact(at):
    text = pipeline(aggregate("revenue: { value: sum($.price * $.qty), type: decimal }"),
                    "  - kafka: { topic: out }\n" + SQLITE.format(", mode: upsert"))
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":"a","price":0.1,"qty":3}',
                                       '{"k":"a","price":"19.99","qty":7}',
                                       '{"k":"a","price":1e-20,"qty":1}',
                                       '{"k":"a","price":12345678901234567890,"qty":10}'])
        total = "123456789012345679040.23000000000000000001"
        wait_for(lambda: f'"revenue":{total}}}' in "".join(consume(worker.address, "out")[-1:]),
                 lambda: f"{total}: {consume(worker.address, 'out')}")
        check(worker.stop() == 0, worker.said())
    with sqlite3.connect(at / "o.db") as database:
        found = database.execute("SELECT revenue FROM rows").fetchall()
    check(found == [(total,)], found)
    audit(at, "--states")


def typed(server, dsn, said, pattern):
    """Carries out each statement that the message gives, once; what they were."""
    found = list(dict.fromkeys(re.findall(pattern, said)))
    check(found, f"no {pattern} in {said}")
    for statement in found:
        server.query(statement, dsn)
    return found


def rights_that_are_missing_are_granted(at):
    """As often as a right is missing the worker stops and names the GRANT, which helps."""
    system = Pg(at)
    server, dsn = system.server, system.dsn
    role = "clerk_" + dsn.rsplit("/", 1)[1]
    server.query(f"CREATE ROLE {role} LOGIN", dsn)
    server.query("REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA shop", dsn)
    # The table has a number of its own; the sink's columns do not know of it.
    server.query("CREATE TABLE shop.rows (no serial, k text PRIMARY KEY, v text,"
                 " onceflow_source text)", dsn)
    text = pipeline(sinks=f"  - postgres: {{ dsn: '{dsn.replace('onceflow@', role + '@')}', table:"
                          " shop.rows, mode: upsert, key: k, columns: { k: $.k, v: $.v } }\n")
    granted = []
    with cluster(at) as broker:
        produce(broker.address, "in", ['{"k":"a","v":"1"}'])
        while True:
            with Worker(at, text, servers=broker.address) as worker:
                wait_for(lambda: not worker.is_alive() or
                         server.query("SELECT k, v FROM shop.rows", dsn), worker.said)
                if worker.is_alive():
                    check(worker.stop() == 0, worker.said())
                    break
                said = worker.said()
            check(len(granted) < 12, f"no end of it: {granted}, {said}")
            granted += typed(server, dsn, said[said.index("; the fix: "):], r"(GRANT [^;\n\"]+)")
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)
    names = " ".join(granted)
    check(all(words in names for words in ("USAGE ON SCHEMA shop", "CREATE ON SCHEMA public",
                                           "ON shop.rows", "ON SEQUENCE shop.rows_no_seq")), names)
    server.query(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", dsn)


def rows_that_a_policy_hides_are_never_taken_for_gone(at):
    """A deletion that does not reach a hidden row raises no error of its own."""
    system = Pg(at)
    server, dsn = system.server, system.dsn
    role = "guest_" + dsn.rsplit("/", 1)[1]
    server.query(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role};"
                 " CREATE TABLE rows (k text PRIMARY KEY, v bigint, onceflow_source text);"
                 f" GRANT SELECT, INSERT, UPDATE, DELETE ON rows TO {role}", dsn)
    text = pipeline(sinks=f"  - postgres: {{ dsn: '{dsn.replace('onceflow@', role + '@')}', table:"
                          " rows, mode: upsert, key: [k],"
                          " columns: { k: { value: key, type: text },"
                          " v: { value: $.v, type: integer } } }\n")
    with cluster(at) as broker:
        with Worker(at, text, servers=broker.address) as worker:
            produce(broker.address, "in", ['a|{"v":1}', 'b|{"v":4}'], "-K", "|")
            wait_for(lambda: len(server.query("SELECT k FROM rows", dsn)) == 2, worker.said)
            server.query("ALTER TABLE rows ENABLE ROW LEVEL SECURITY;"
                         " CREATE POLICY p ON rows USING (v < 3) WITH CHECK (true)", dsn)
            produce(broker.address, "in", ["b|"], "-K", "|", "-Z")
            check(worker.wait(40) == 1, worker.said())
            said = worker.said()
        check("row-level security" in said, said)
        refused = onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at,
                           code=None)
        check("row-level security" in refused and "clean" not in refused, refused)
        typed(server, dsn, said[said.index("; the fix: "):],
              r'(ALTER TABLE public.rows DISABLE ROW LEVEL SECURITY)')
        with Worker(at, text, servers=broker.address) as worker:
            wait_for(lambda: server.query("SELECT k FROM rows", dsn) == [["a"]], worker.said)
            check(worker.stop() == 0, worker.said())
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)
    server.query(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", dsn)


def restored_in_sqlite(at, _system):
    """All three tables, from a copy of the file, in one transaction."""
    with sqlite3.connect(at / "o.db") as database:
        database.execute(f"ATTACH '{at / 'kept.db'}' AS kept")
        for table in ("rows", "onceflow_positions", "onceflow_receipts"):
            database.execute(f"DELETE FROM main.{table}")
            database.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table}")


def restored_in_postgres(_at, system):
    system.server.query(
        "BEGIN; TRUNCATE rows, onceflow_positions, onceflow_receipts;"
        "INSERT INTO rows TABLE kept.rows;"
        "INSERT INTO onceflow_positions TABLE kept.onceflow_positions;"
        "INSERT INTO onceflow_receipts OVERRIDING SYSTEM VALUE TABLE kept.onceflow_receipts;"
        "COMMIT", system.dsn)


def kept_copy(at, system):
    if isinstance(system, Lite):
        with sqlite3.connect(at / "o.db") as database, sqlite3.connect(at / "kept.db") as copy:
            database.backup(copy)
        return
    system.server.query("CREATE SCHEMA kept; " + "; ".join(
        f"CREATE TABLE kept.{table} AS TABLE {table}"
        for table in ("rows", "onceflow_positions", "onceflow_receipts")), system.dsn)


def change(at, system, sql):
    if isinstance(system, Lite):
        with sqlite3.connect(at / "o.db") as database:
            database.executescript(sql)
    else:
        system.server.query(sql, system.dsn)


def the_three_tables_are_restored(at, system, restore):
    text = pipeline(sinks=f"  - {system.words}, table: rows, columns: {{ k: $.k, v: $.v }} }}\n")
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":"a","v":"1"}', '{"k":"b","v":"2"}'])
        wait_for(lambda: len(system.rows()) == 2, worker.said)
        check(worker.stop() == 0, worker.said())
    kept_copy(at, system)
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":"c","v":"3"}'])
        wait_for(lambda: len(system.rows()) == 3, worker.said)
        check(worker.stop() == 0, worker.said())
    change(at, system, "DELETE FROM onceflow_positions; DELETE FROM onceflow_receipts")
    said = refused_by_run(at, text)
    check("know nothing of them" in said and "the fix: restore the three tables together" in said,
          said)
    restore(at, system)
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":"d","v":"4"}'])
        wait_for(lambda: [key for key, _ in system.rows()] == ["a", "b", "c", "d"],
                 lambda: f"{system.rows()}: {worker.said()}")
        check(worker.stop() == 0, worker.said())
    audit(at)


def refused_by_run(at, text):
    with Worker(at, text) as worker:
        check(worker.wait() == 1, worker.said())
        return worker.said()


def the_three_tables_are_restored_in_sqlite(at):
    the_three_tables_are_restored(at, Lite(at), restored_in_sqlite)


def the_three_tables_are_restored_in_postgres(at):
    the_three_tables_are_restored(at, Pg(at), restored_in_postgres)


def all_fixes_of_a_table_are_typed(at):
    """What does not fit is said at once, each with its own statement."""
    system = Pg(at)
    server, dsn = system.server, system.dsn
    server.query("CREATE TABLE rows (k bigint, v time, must integer NOT NULL)", dsn)
    text = pipeline(sinks=f"  - {system.words}, table: rows, columns: {{ k: {{ value: $.k, type: "
                          "integer }, v: $.v, w: { value: $.w, type: decimal } } }\n")
    with Worker(at, text) as worker:
        produce(worker.address, "in", ['{"k":1,"v":"a","w":1.5}'], good=False)
        check(worker.wait() == 1, worker.said())
        said = worker.said()
    check("table rows does not fit in 4 places" in said, said)
    statements = typed(server, dsn, said, r"the fix: (ALTER TABLE .*?)(?:, (?:or|and) |; \(|\n|$)")
    check(len(statements) == 4, statements)
    with Worker(at, text) as worker:
        wait_for(lambda: server.query("SELECT k, v, w FROM rows", dsn) == [["1", "a", "1.5"]],
                 worker.said)
        check(worker.stop() == 0, worker.said())
    audit(at)


def a_second_worker_beside_an_embedded_log_uses_it(at):
    text = pipeline()
    with Worker(at, text) as first:
        produce(first.address, "in", [{"k": 1}])
        wait_for(first.is_running, first.said)
        with Worker(at, None, worker="2", wait=False) as second:
            check(second.wait(20) == 1, second.said())
            check("and a --worker of its own; for a log of its own, another --data-dir and --port"
                  in second.said(), second.said())
        with Worker(at, None, worker="2", port=first.port, wait=False) as second:
            check(second.wait(20) == 1, second.said())
            fix = re.search(r"--bootstrap\.servers (\S+) and a --worker", second.said())
            check(fix, second.said())
        with Worker(at, None, worker="2", servers=fix.group(1)) as second:
            wait_for(lambda: second.status()["stages"], second.said)
            check(second.stop() == 0, second.said())
