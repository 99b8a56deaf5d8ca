"""What a pipeline has been is never lost from sight: the audit says which records were judged by
which definition and what a reset has left out; topics that are deleted are missed; fixes act on the
log that they speak of."""

import contextlib
import re
import shlex
import sqlite3

from harness import (Broker, Worker, audit, check, cluster, consume, free_port, onceflow,
                     produce, shared_postgres, wait_for)
from harness.changes import aggregate, pipeline, plan, refused, reset, run, values
from harness.kafka_admin import add_partitions, call, create_topic, delete_topic, text
from harness.rdkafka import OpenTransaction

TOTALS = pipeline(aggregate("n: count(*)"))
PLAIN = pipeline("  - { id: w, where: $.n > 0 }\n")
TOPICS = "  - kafka: { topic: out }\n"


def write(at, text_of_file):
    (at / "p.yaml").write_text(text_of_file, encoding="utf-8")


def which_definition_judged_which_records_is_said(at):
    run(at, PLAIN, [{"n": 1}], '{"n": 1}')
    check("definition" not in audit(at), "one is not worth a word")
    run(at, PLAIN.replace("> 0", "> 1"), [{"n": 2}], '{"n": 2}')
    said = audit(at)
    check("1 stage under more than one definition" in said and
          "`where $.n > 0` became `where $.n > 1`" in said, said)
    check(re.search(r"in-0 offset 0 by the definition of \S+, offset 1 by", said), said)


def partitions_added_to_a_topic_that_a_stage_writes_are_told(at):
    """Its keys go to others from then on, and nothing takes back what lies in the ones before."""
    members = {"aggregate": TOTALS, "key": pipeline("  - { id: s, set: { $.x: 1 } }\n"),
               "at_least_once": pipeline(aggregate("n: count(*)"),
                                         more="guarantee: at_least_once\n")}
    words = "topic out, which this stage writes to, has 4 partitions and had 1:"
    for name, text_of_file in members.items():
        here = at / name
        here.mkdir()
        with cluster(here) as broker:
            create_topic(broker.address, "in", 1)
            create_topic(broker.address, "out", 1)
            audited = ("audit", "p.yaml", "--bootstrap.servers", broker.address)

            def feed(count, is_said):
                with Worker(here, text_of_file, servers=broker.address) as worker:
                    produce(broker.address, "in", [{"k": key} for key in "abcdef"])
                    wait_for(lambda: len(consume(broker.address, "out")) == count,
                             lambda: f"{count} in out: {worker.said()}")
                    check((words in worker.said()) == is_said, f"{name}: {worker.said()}")
                    check(worker.stop() == 0, worker.said())
                return onceflow(*audited, at=here)

            check("not covered" not in feed(6, False), "no partition was added yet")
            add_partitions(broker.address, "out", 4)
            said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=here)
            check(words in said, f"{name}: {said}")
            check("not covered" not in onceflow(*audited, at=here), "nothing has moved yet")
            for count, is_said in ((12, True), (18, False)):
                said = feed(count, is_said)
                check("not covered: topic out had 1 and has 4 partitions while stage" in said and
                      "to the last row" not in said, f"{name}: {said}")


def a_state_that_was_kept_is_not_covered(at):
    run(at, TOTALS, [{"k": "a"}], '{"k":"a","n":1}')
    changed = pipeline("  - { id: s, set: { $.x: 1 } }\n" + aggregate("n: count(*)"))
    refused(at, changed)
    reset(at, "--keep-states", "--execute")
    run(at, changed, [{"k": "a"}], '{"k":"a","n":2}')
    said = audit(at)
    check("--keep-states" in said and "to the last row" not in said, said)


def a_changelog_that_a_reset_deletes_is_not_covered_before_the_next_run(at):
    sink = ("  - { id: lite, sqlite: { file: a.db, table: t, mode: upsert, key: [k], columns: "
            "{ k: $.k, n: { value: $.n, type: integer } } } }\n")
    run(at, pipeline(aggregate("n: count(*)"), TOPICS + sink), [{"k": "a", "v": 5}] * 3,
        '{"k":"a","n":3}')
    summed = pipeline(aggregate("n: sum($.v)"), TOPICS + sink)
    write(at, summed)
    reset(at, "--to-current", "--execute")
    said = audit(at)
    check("topic p-k-changelog was deleted by a reset, for its state begins empty" in said and
          "torn" not in said, said)
    counted = pipeline(aggregate("n: count(*)"), TOPICS + sink)  # And back, before any run.
    write(at, counted)
    reset(at, "--to-current", "--execute")
    check("was deleted by a reset" in audit(at), "a definition that comes back")
    run(at, counted, [{"k": "a", "v": 5}], '{"k":"a","n":1}')
    check("was deleted by a reset" not in audit(at), "the topic is there again")
    # Nobody but a reset may do it.
    with Broker(at, port=free_port()) as broker:
        delete_topic(broker.address, "p-k-changelog")
        broker.stop()
    said = audit(at, code=1)
    check("stage k wrote 1 record to p-k-changelog-0" in said, said)


def a_step_that_was_renamed_goes_on_with_a_clean_audit(at):
    run(at, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
    renamed = pipeline(aggregate("n: count(*)", id="other"))
    refused(at, renamed)
    said = reset(at, "--to-current")
    for words in ("stage other-key was told to begin at in-0@3", "its state is left behind",
                  "stage other is new: its state begins empty"):
        check(words in said, f"the rehearsal says {words}: {said}")
    reset(at, "--to-current", "--execute")
    run(at, renamed, [{"k": "a"}], '{"k":"a","n":1}')
    said = audit(at)
    check("stage other-key was begun at offset 3 by a reset at" in said and
          "offsets 0..2 before it are not covered" in said, said)


def what_a_topic_sink_in_front_of_a_table_takes_over_is_not_unread(at):
    table = "  - sqlite: { file: o.db, table: rows, columns: { n: $.n } }\n"

    def rows():
        try:
            with sqlite3.connect(at / "o.db") as database:
                return database.execute("SELECT count(*) FROM rows").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
    write(at, pipeline(sinks=table))
    with Worker(at, pipeline(sinks=table)) as worker:
        produce(worker.address, "in", [{"n": 1}, {"n": 2}])
        wait_for(lambda: rows() == 2, lambda: worker.said())
        check(worker.stop() == 0, worker.said())
    both = pipeline(sinks=TOPICS + table)
    refused(at, both)
    reset(at, "--to-current", "--execute")
    run(at, both, [{"n": 3}, {"n": 4}], '{"n": 4}')
    with Worker(at, both) as worker:
        wait_for(lambda: rows() == 4, lambda: worker.said())
        check(worker.stop() == 0, worker.said())
    said = audit(at)
    check("the file no longer names it as a source" in said and "stay unread" not in said, said)


def what_a_start_over_leaves_out_is_not_covered(at):
    for to in (["--to-latest"], ["--to-datetime", "2099-01-01T00:00:00"]):
        folder = at / to[0]
        folder.mkdir()
        run(folder, TOTALS, [{"k": "a"}] * 3, '{"k":"a","n":3}')
        reset(folder, *to, "--execute")
        run(folder, TOTALS, [{"k": "b"}], '{"k":"b","n":1}')
        said = audit(folder, "--allow-foreign")
        check("by a reset at" in said and "offsets 0..2 before it are not covered" in said, said)


def sink(id, table="t", file="b.db"):
    return f"  - {{ id: {id}, sqlite: {{ file: {file}, table: {table}, mode: upsert }} }}\n"


def behind_an_aggregate(id):
    return pipeline(aggregate("n: count(*)"), sink(id))


def two_tables(*sinks):
    keyed = "  - { id: w, where: $.k > '' }\n"
    return pipeline(keyed, "".join(each.replace("mode: upsert", "columns: { k: $.k }")
                                   for each in sinks))


LITE, SLOW = sink("lite", file="a.db"), sink("slow")
# What leaves a topic between stages: (the file before, after, who would lose it).
LEFT = {
    "a sink that is renamed": (behind_an_aggregate("slow"), behind_an_aggregate("other"),
                               "slow: it read topic p-slow-rows, and no stage goes on there"),
    "sinks that change places": (two_tables(LITE, SLOW), two_tables(SLOW, LITE),
                                 "slow: it read topic p-lite-rows, which it does not read"),
    "the other sink removed": (two_tables(LITE, SLOW), two_tables(SLOW),
                               "slow: it read topic p-lite-rows, which it does not read any more"),
    "a Kafka sink in front": (
        two_tables(LITE, SLOW), two_tables(LITE, SLOW, "  - kafka: { topic: copy }\n"),
        "slow: it read topic p-lite-rows, which it does not read any more"),
}


def what_lies_between_stages_is_read_before_their_topic_is_left(at):
    for number, (before, after, words) in enumerate(LEFT.values()):
        here = at / f"left-{number}"
        here.mkdir()
        with Worker(here, before) as worker:
            produce(worker.address, "in", [{"k": "a"}])
            wait_for(lambda: worker.stage("slow")["totals"]["commits"], worker.said, 60)
            with contextlib.closing(sqlite3.connect(here / "b.db", timeout=30,
                                                    isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                produce(worker.address, "in", [{"k": "late"}])
                wait_for(lambda: all(stage["totals"]["records_in"] == 2 for stage in
                                     worker.status()["stages"] if stage["stage"] != "slow"),
                         worker.said, 60)
                check(worker.stop() == 0, worker.said())
        for said in (plan(here, after, 1), refused(here, after),
                     reset(here, "--to-current", "--execute", code=1)):
            check(words in said and "-0 offsets" in said and "--to-earliest" in said and
                  "run it until all is read" in said and "--to-current" not in said, said)
        write(here, before)
        with Worker(here, before) as worker:
            wait_for(lambda: worker.stage("slow")["totals"]["commits"], worker.said, 60)
            check(worker.stop() == 0, worker.said())
        check("--to-current" in plan(here, after, 1), "it is read, so it may go on from now")
        reset(here, "--to-current", "--execute")


def numbers(at, table="t"):
    with contextlib.closing(sqlite3.connect(at / "b.db")) as database:
        return [row[0] for row in database.execute(f"SELECT n FROM {table} ORDER BY n")]


def what_lies_behind_an_open_transaction_is_unread(at):
    """Committed results behind the open transaction of a stranger: `all was read` was said."""
    table = "  - { id: lite, sqlite: { file: b.db, table: t, columns: { n: { value: $.n, " \
            "type: integer } } } }\n"
    text_of_file = pipeline("", TOPICS + table)
    with cluster(at) as broker:
        flags = ["--bootstrap.servers", broker.address]
        create_topic(broker.address, "in", 1)
        with Worker(at, text_of_file, servers=broker.address) as worker:
            produce(broker.address, "in", [{"n": number} for number in range(3)])
            wait_for(lambda: worker.stage("lite")["totals"]["records_in"] == 3, worker.said, 30)
            check(worker.stop() == 0, worker.said())
        with OpenTransaction(broker.port, "stranger", "out", 2) as hides:
            with Worker(at, text_of_file, servers=broker.address) as worker:
                produce(broker.address, "in", [{"n": number} for number in range(3, 8)])
                wait_for(lambda: worker.stage("kafka")["totals"]["records_in"] == 5,
                         worker.said, 30)
                check(worker.stop() == 0, worker.said())
            held = "out-0 offsets 4..11 (held back by the open transaction of transactional.id " \
                "'stranger'"
            write(at, text_of_file.replace("topic: out", "topic: out2"))
            said = onceflow("plan", "p.yaml", *flags, at=at, code=1)
            check(held in said and "would stay unread" in said and "--to-current" not in said, said)
            said = onceflow("reset", "p.yaml", *flags, "--to-current", "--execute", at=at, code=1)
            check(held in said, said)
            write(at, pipeline("", TOPICS))
            said = onceflow("plan", "p.yaml", *flags, at=at)
            check(held in said and "all was read" not in said, said)
            hides.abort()
        with Worker(at, text_of_file, servers=broker.address) as worker:
            wait_for(lambda: numbers(at) == list(range(8)), worker.said, 30)
            check(worker.stop() == 0, worker.said())


def a_source_that_was_left_is_no_loss(at):
    both = PLAIN.replace("[in]", "[in, in2]")
    with Worker(at, both) as worker:
        create_topic(worker.address, "in", 1)
        create_topic(worker.address, "in2", 1)
        produce(worker.address, "in2", [{"n": 1}])
        wait_for(lambda: values(worker) == ['{"n": 1}'], worker.said, 60)
        check(worker.stop() == 0, worker.said())
    run(at, PLAIN, [{"n": 2}], '{"n": 2}')
    with Worker(at, PLAIN) as worker:
        produce(worker.address, "in2", [{"n": 3}] * 5)
        worker.stop()
    said = audit(at)
    check("in2-0: the file no longer names it as a source of stage kafka; 5 records" in said, said)


def receipts_that_were_deleted_are_missed(at):
    for number, lost in enumerate((["p-receipts"], ["p-receipts", "group"])):
        folder = at / str(number)
        folder.mkdir()
        with Broker(folder) as broker:
            ran_once(folder, broker)
            lose(broker, lost)
            said = stops(folder, broker)
            check("topic p-receipts is gone" in said, said)
            follow(folder, said, broker)
            with Worker(folder, None, servers=broker.address) as worker:
                wait_for(lambda: len(consume(broker.address, "out")) == 2, worker.said, 60)


def receipts_that_were_made_anew_are_others(at):
    with Broker(at) as broker:
        ran_once(at, broker)
        delete_topic(broker.address, "p-receipts")
        create_topic(broker.address, "p-receipts", 1)
        said = stops(at, broker)
        check("'p-receipts': another topic of that name" in said, said)
        follow(at, said, broker)
        with Worker(at, None, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == 2, worker.said, 60)


def definitions_that_were_deleted_are_told_by_receipts(at):
    with Broker(at) as broker:
        ran_once(at, broker)
        delete_topic(broker.address, "p-definitions")
        said = stops(at, broker, PLAIN.replace("> 0", "> 5"))
        check("topic p-definitions is gone, and stage kafka has gone by another" in said, said)
        # Change the file back: it goes on.
        produce(broker.address, "in", [{"n": 2}])
        with Worker(at, PLAIN, servers=broker.address) as worker:
            wait_for(lambda: len(consume(broker.address, "out")) == 2, worker.said, 60)
            check("topic p-definitions was gone: it is made anew" in worker.said(), worker.said())
            worker.stop()
        onceflow("audit", "p.yaml", "--bootstrap.servers", broker.address, at=at)


def ran_once(at, broker):
    create_topic(broker.address, "in", 1)
    produce(broker.address, "in", [{"n": 1}])
    with Worker(at, PLAIN, servers=broker.address) as worker:
        wait_for(lambda: consume(broker.address, "out") == ['{"n": 1}'], worker.said, 60)
        check(worker.stop() == 0, worker.said())


def lose(broker, names):
    for name in names:
        if name == "group":
            call(broker.address, 42, 1, b"\x00\x00\x00\x01" + text("g"))
        else:
            delete_topic(broker.address, name)


def stops(at, broker, changed=None):
    with Worker(at, changed, servers=broker.address, wait=False) as worker:
        check(worker.wait(60) == 1, worker.said())
        return worker.said()


def follow(at, said, broker):
    """Types the fix that names `onceflow reset`, word for word."""
    command = re.search(r"onceflow (reset p\.yaml .*?--execute)", said)
    check(command and f"--bootstrap.servers {broker.address}" in command[1], f"a fix: {said}")
    onceflow(*shlex.split(command[1]), at=at)


def fixes_repeat_the_flags(at):
    run(at, TOTALS, [{"k": "a"}], '{"k":"a","n":1}')
    (at / "data").rename(at / "my log")
    write(at, pipeline(aggregate("n: count(*)", id="other"),
                       TOPICS + "  - sqlite: { file: a.db, table: t }\n"))
    said = onceflow("run", "p.yaml", "--data-dir", "my log", "--port", free_port(), at=at, code=1)
    check("onceflow reset p.yaml --data-dir 'my log' --port" in said and
          "(--delete-rows | --keep-rows)" in said, said)
    said = onceflow("plan", "p.yaml", "--data-dir", "my log", at=at, code=1)
    command = re.search(r"onceflow (reset p\.yaml --data-dir 'my log' --to-current)", said)
    check(command, said)
    said = onceflow(*shlex.split(command[1]), "--execute", at=at)
    check("done: onceflow run p.yaml --data-dir 'my log' begins with it" in said, said)
    check("there is no log under" in plan(at, TOTALS, 0), "plan says where it has looked")


def an_earlier_versions_pipeline_is_not_new(at):
    with Broker(at) as broker:
        ran_once(at, broker)
        delete_topic(broker.address, "p-definitions")  # as an earlier version left it
        said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at)
        check("no definition is kept" in said and "group g: in-0@1" in said and
              "nothing is kept" not in said, said)


def postgres_positions_go_with_a_reset(at):
    server = shared_postgres()
    dsn = server.new_database()
    sink = (f"  - postgres: {{ dsn: '{dsn}', table: t, "
            "columns: { n: { value: $.n, type: integer } } }\n")
    text_of_file = pipeline("", sink)

    def rows(table="t", of=dsn):
        return [int(n) for n, in server.query(f"SELECT n FROM {table} ORDER BY n", of)]

    def run_rows(file, records, expected, table="t", of=dsn):
        with Worker(at, file) as worker:
            produce(worker.address, "in", records)
            wait_for(lambda: has_table(server, of, table) and rows(table, of) == expected,
                     lambda: f"{expected}: {worker.said()}", 60)
            check(worker.stop() == 0, worker.said())

    run_rows(text_of_file, [{"n": 1}, {"n": 2}], [1, 2])
    check("run goes on" in plan(at, text_of_file, 0), "plan reads it")
    said = reset(at, "--to-earliest", "--execute", code=1)
    check("table t has 2 rows" in said, said)
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    check(rows() == [], "rows are gone")
    run_rows(text_of_file, [{"n": 3}], [1, 2, 3])
    audit(at)
    reset(at, "--to-latest", "--delete-rows", "--execute")
    run_rows(text_of_file, [{"n": 4}], [4])
    said = audit(at)
    check("was begun at offset 3 by a reset" in said, said)
    # Another table, in a database that nobody has written: it gets what comes from now on.
    other = server.new_database()
    both = pipeline("", sink + sink.replace("table: t", "table: u").replace(dsn, other))
    refused(at, both)
    reset(at, "--to-current", "--execute")
    run_rows(both, [{"n": 5}], [5], "u", other)
    audit(at)


def has_table(server, dsn, table):
    return server.query(f"SELECT 1 FROM pg_class WHERE relname = '{table}'", dsn) != []
