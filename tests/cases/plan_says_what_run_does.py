"""`onceflow plan` says what `onceflow run` does: the same verdict, refused in the same words, with
the same warnings; and it changes nothing."""

import json
import re
import shutil
import sqlite3

from harness import (Broker, Worker, check, check_plain, consume, free_port, kcat, onceflow,
                     produce, shared_postgres, wait_for)
from harness.changes import aggregate, pipeline
from harness.kafka_admin import (add_partitions, create_topic, delete_records, delete_topic,
                                 move_position)

SECONDS = 60
COLUMNS = "columns: { n: { value: $.n, type: integer } }"


def lite(file="a.db", table="t"):
    return f"  - sqlite: {{ file: {file}, table: {table}, {COLUMNS} }}\n"


def at_latest(text):
    return text.replace("group.id: g", "group.id: g, auto.offset.reset: latest")


def numbers(first, last):
    return [{"n": number, "k": number % 3} for number in range(first, last)]


def query(here, *statements, file="a.db"):
    with sqlite3.connect(here / file, timeout=10) as database:
        return [database.execute(each).fetchall() for each in statements][-1]


def contents(here):
    """All that the databases of a folder hold."""
    found = {}
    for file in sorted(here.glob("*.db")):
        with sqlite3.connect(file, timeout=10) as database:
            found[file.name] = list(database.iterdump())
    return found


def begun(here, broker, text, count=5):
    """A pipeline that has processed `count` records."""
    create_topic(broker.address, "in", 1)
    produce(broker.address, "in", numbers(0, count))
    with Worker(here, text, servers=broker.address) as worker:
        wait_for(lambda: all(each["totals"]["records_in"] for each in worker.status()["stages"]),
                 worker.said, SECONDS)
        check(worker.stop() == 0, worker.said())


def planned(here, broker, text, code):
    if text is not None:
        (here / "p.yaml").write_text(text, encoding="utf-8")
    before = contents(here)
    said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=here, code=code)
    check(contents(here) == before, f"it changes nothing: {said}")
    check_plain(said)
    return said


def written(broker):
    """The topics that there are, and how many definitions are recorded."""
    topics = sorted(each["topic"] for each in
                    json.loads(kcat(broker.address, "-L", "-J"))["topics"])
    return topics, len(consume(broker.address, "p-definitions", "-f", "%o\n"))


def both_refuse(here, broker, text, *words):
    """In the same words, and twice over; run writes nothing before it refuses."""
    before = written(broker)
    is_another = text is not None and (here / "p.yaml").read_text(encoding="utf-8") != text
    in_databases = contents(here)
    said = planned(here, broker, text, 1)
    check(planned(here, broker, None, 1) == said, said)
    refusals = re.findall(r"^run refuses: (.+)$", said, re.MULTILINE)
    check(refusals, said)
    for word in words:
        check(any(word in refusal for refusal in refusals), f"no {word!r} in: {said}")
    with Worker(here, None, servers=broker.address, wait=False) as worker:
        check(worker.wait(SECONDS) == 1, worker.said())
        check(any(refusal in worker.said() for refusal in refusals),
              f"planned: {said}\nrun: {worker.said()}")
    check(written(broker) == before, f"before {before}, after {written(broker)}")
    check(not is_another or contents(here) == in_databases, "a refused file has written")
    return said


def both_go_on(here, broker, text, *words):
    said = planned(here, broker, text, 0)
    warnings = said.partition("\nrun says\n")[2].partition("\n\n")[0].splitlines()
    for word in words:
        check(word in said, f"no {word!r} in: {said}")
    with Worker(here, None, servers=broker.address) as worker:
        wait_for(lambda: worker.is_running() or not worker.is_alive(), worker.said, SECONDS)
        check(worker.is_alive(), f"planned: {said}\nrun: {worker.said()}")
        for warning in warnings:
            text_of_it = warning.split(": ", 2)[-1]
            check(text_of_it in worker.said(), f"{text_of_it!r} is not in: {worker.said()}")
        check(worker.stop() == 0, worker.said())
    return said


def each_with_a_broker(at, members, text):
    """(here, broker) of every member, over a pipeline that has begun."""
    for name in members:
        here = at / name
        here.mkdir()
        with Broker(here) as broker:
            begun(here, broker, text)
            yield members[name], here, broker


def another_file_of_sqlite_is_looked_into(at):
    text = pipeline(sinks=lite())
    other = pipeline(sinks=lite("b.db"))
    def missing(here, broker):
        said = both_go_on(here, broker, other, "begins   stage sqlite", "no position is kept",
                          "sqlite: in-0@0", "the database holds no position of this sink, which "
                          "has read in-0 up to offset 5", "written again from the beginning")
        check("run goes on" in said, said)
        wait_for(lambda: query(here, "SELECT count(*) FROM t", file="b.db") == [(5,)], "rows")
    def at_the_end(here, broker):
        planned(here, broker, at_latest(other), 1)
        check(not (here / "b.db").exists(), "a look makes no file")
        both_refuse(here, broker, at_latest(other), "it is another database than before",
                    "is decided once")
    def copied(here, broker):
        shutil.copy(here / "a.db", here / "b.db")
        said = both_go_on(here, broker, other, "changed  stage sqlite")
        check("no position is kept" not in said, said)
    def with_rows_of_nobody(here, broker):
        shutil.copy(here / "a.db", here / "b.db")
        query(here, "DELETE FROM onceflow_positions", "DELETE FROM onceflow_receipts", file="b.db")
        both_refuse(here, broker, other, "table t has rows of topic in")
    def a_folder_that_is_missing(here, broker):
        both_refuse(here, broker, pipeline(sinks=lite("no/b.db")), "no/b.db")
    for member, here, broker in each_with_a_broker(at, {
            each.__name__: each for each in (missing, at_the_end, copied, with_rows_of_nobody,
                                             a_folder_that_is_missing)}, text):
        member(here, broker)


def another_database_of_postgresql_is_looked_into(at):
    server = shared_postgres()
    dsns = [server.new_database() for _ in range(4)]
    def text(dsn):
        return pipeline(sinks=f"  - postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}\n")
    def tables(dsn):
        return server.query("SELECT count(*) FROM pg_class WHERE relname IN "
                            "('t', 'onceflow_positions', 'onceflow_receipts')", dsn)
    with Broker(at) as broker:
        begun(at, broker, text(dsns[0]))
        both_go_on(at, broker, text(dsns[0]), "kept     stage postgres")
        epoch = "SELECT epoch FROM onceflow_positions"
        before = server.query(epoch, dsns[0])
        planned(at, broker, None, 0)
        check(server.query(epoch, dsns[0]) == before, "a claim was taken")
        both_refuse(at, broker, at_latest(text(dsns[1])), "it is another database than before")
        said = planned(at, broker, text(dsns[1]), 0)
        check("begins   stage postgres" in said and "written again from the beginning" in said,
              said)
        check(tables(dsns[2]) == [["0"]], "plan has made tables")
        server.query("CREATE TABLE t (n bigint, onceflow_source text); "
                     "INSERT INTO t VALUES (0, 'in/0/0')", dsns[2])
        both_refuse(at, broker, text(dsns[2]), "table t has rows of topic in")
        server.query("CREATE TABLE t (m bigint, onceflow_source text)", dsns[3])
        both_refuse(at, broker, text(dsns[3]), "table t")
        # What cannot be asked is not known.
        away = text(f"host=127.0.0.1 port={free_port()} dbname=x user=postgres")
        said = planned(at, broker, away, 2)
        check("what run does cannot be told: stage 'postgres'" in said, said)


def sinks_that_have_changed_places_are_refused(at):
    members = {
        "two_files": (lite("a.db") + lite("b.db"), lite("b.db") + lite("a.db")),
        "beside_a_topic": ("  - kafka: { topic: out }\n" + lite("a.db") + lite("b.db"),
                           "  - kafka: { topic: out }\n" + lite("b.db") + lite("a.db")),
        "three": (lite("a.db") + lite("b.db") + lite("c.db"),
                  lite("b.db") + lite("c.db") + lite("a.db"))}
    for name, (before, after) in members.items():
        here = at / name
        here.mkdir()
        with Broker(here) as broker:
            begun(here, broker, pipeline(sinks=before))
            both_refuse(here, broker, pipeline(sinks=after), "have changed places in the file")
            both_go_on(here, broker, pipeline(sinks=before), "run goes on")


def what_was_changed_by_hand_in_a_table_is_refused(at):
    position = "UPDATE onceflow_positions SET "
    members = {
        "ahead": ([position + "next_offset = 7"], "would be passed over without account"),
        "back": ([position + "next_offset = 2"], "records would be taken twice"),
        "no_number": ([position + "next_offset = 'x'"], "next_offset 'x'"),
        "no_epoch": ([position + "epoch = 1.5"], "epoch 1.5"),
        "another_topic": ([position + "topic_id = 'AAAAAAAAAAAAAAAAAAAAAQ'"],
                          "another topic of that name"),
        "no_topic_id": ([position + "topic_id = 'x'"], "topic_id 'x'"),
        "no_position": (["DELETE FROM onceflow_positions"], "the position is gone"),
        "nothing_kept": (["DELETE FROM onceflow_positions", "DELETE FROM onceflow_receipts"],
                         "table t has rows of topic in"),
        "no_table": (["DROP TABLE t"], "table t is gone"),
        "another_table": (["ALTER TABLE t RENAME TO o", "CREATE TABLE x (n)",
                           "CREATE TABLE t (n INTEGER, onceflow_source TEXT)"], "is not in it"),
        "no_column": (["ALTER TABLE t RENAME COLUMN n TO m"], "n")}
    text = pipeline(sinks=lite())
    for (statements, word), here, broker in each_with_a_broker(at, members, text):
        query(here, *statements)
        both_refuse(here, broker, text, word)


def a_position_past_the_end_is_refused_and_a_finding_of_the_audit(at):
    """Nothing was passed over yet; what comes there would be."""
    server = shared_postgres()
    dsn = server.new_database()
    counts = aggregate("n: count(*)")
    moved = "UPDATE onceflow_positions SET next_offset = next_offset + 3"
    on_table = "  - sqlite: { file: a.db, table: t, mode: upsert }\n"
    members = {
        "sqlite": (pipeline(sinks=lite()), "in-0: the position in onceflow_positions is offset 8",
                   lambda broker, here: query(here, moved)),
        "postgres": (pipeline(sinks=f"  - postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }}\n"),
                     "in-0: the position in onceflow_positions is offset 8",
                     lambda broker, here: server.query(moved, dsn)),
        "kafka": (pipeline(), "in-0: the position of group g is offset 8",
                  lambda broker, here: move_position(broker.address, "g", "in", 0, 8)),
        "aggregate": (pipeline(counts), "in-0: the position of group g is offset 8",
                      lambda broker, here: move_position(broker.address, "g", "in", 0, 8)),
        "behind_a_topic": (pipeline(counts, on_table), ": the position in onceflow_positions is",
                           lambda broker, here: query(here, moved))}
    for name, (text, words, change) in members.items():
        here = at / name
        here.mkdir()
        with Broker(here) as broker:
            begun(here, broker, text)
            audited = ("audit", "p.yaml", "--bootstrap.servers", broker.address)
            onceflow(*audited, at=here)
            change(broker, here)
            both_refuse(here, broker, text, "would be passed over without account")
            said = onceflow(*audited, at=here, code=1)
            for each in ("missing: ", words, "but the topic ends at offset", "would never be read",
                         "1 finding (1 missing)"):
                check(each in said, f"{name}: {each!r} is not in: {said}")


def what_has_become_of_topics_and_groups_is_refused(at):
    counts = pipeline(aggregate("n: count(*)"))
    def moved(broker):
        move_position(broker.address, "g", "in", 0, 2)
    def of_another(broker):
        move_position(broker.address, "g", "in", 0, 5, "onceflow topic=x pipeline=other")
    def anew(topic):
        def change(broker):
            delete_topic(broker.address, topic)
            create_topic(broker.address, topic, 1)
        return change
    def unread(broker):
        produce(broker.address, "in", numbers(5, 9))
        delete_records(broker.address, "in", 0, 7)
    def more_keys(broker):
        add_partitions(broker.address, "p-k-repartition", 3)
    members = {
        "moved": (pipeline(), moved, "the newest receipt of this stage ended at offset"),
        "of_another": (pipeline(), of_another, "holds the positions of pipeline 'other'"),
        "source": (pipeline(), anew("in"), "another topic of that name"),
        "receipts": (pipeline(), anew("p-receipts"), "another topic of that name"),
        "no_receipts": (pipeline(), lambda broker: delete_topic(broker.address, "p-receipts"),
                        "topic p-receipts is gone"),
        "changelog": (counts, anew("p-k-changelog"), "changelog 'p-k-changelog': another topic"),
        "unread": (pipeline(), unread, "offsets 5..6 were deleted before this stage had read them"),
        "more_keys": (counts, more_keys, "has 3 partitions and its changelog")}
    for name, (text, change, word) in members.items():
        here = at / name
        here.mkdir()
        with Broker(here) as broker:
            begun(here, broker, text)
            change(broker)
            both_refuse(here, broker, None, word)


def a_changelog_that_is_gone_is_missed(at):
    text = pipeline(aggregate("n: count(*)"))
    with Broker(at) as broker:
        begun(at, broker, text)
        delete_topic(broker.address, "p-k-changelog")
        both_refuse(at, broker, text, "changelog 'p-k-changelog': the topic is gone")


def definitions_that_were_deleted_are_told_by_receipts(at):
    before = pipeline("  - { id: w, where: $.n > 0 }\n")
    with Broker(at) as broker:
        begun(at, broker, before)
        delete_topic(broker.address, "p-definitions")
        both_refuse(at, broker, before.replace("> 0", "> 5"),
                    "topic p-definitions is gone, and stage kafka has gone by another definition")
        both_go_on(at, broker, before, "topic p-definitions was gone")
        both_go_on(at, broker, before, "run goes on where it was")


def a_worker_with_another_file_is_in_the_way(at):
    before = pipeline("  - { id: w, where: $.n > 0 }\n")
    after = before.replace("> 0", "> 5")
    folder = at / "newcomer"
    folder.mkdir()
    with Broker(at, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        begun(at, broker, before)
        with Worker(at, before, servers=broker.address) as worker:
            wait_for(worker.is_running, worker.said, SECONDS)
            check("run goes on" in planned(at, broker, before, 0), "the same file")
            (folder / "p.yaml").write_text(after, encoding="utf-8")
            said = planned(folder, broker, None, 1)
            refusal = re.search(r"^run refuses: (.+)$", said, re.MULTILINE)[1]
            check("another definition than this file" in refusal and
                  "is now `where $.n > 5`" in said, said)
            with Worker(folder, None, servers=broker.address, worker="2", wait=False) as newcomer:
                check(newcomer.wait(SECONDS) == 1, newcomer.said())
                check(refusal in newcomer.said(), f"{said}\n{newcomer.said()}")
            check(worker.stop() == 0, worker.said())
        check("run goes on" in planned(folder, broker, None, 0), "it has gone")


def beside_a_worker_that_works_it_looks_on(at):
    """Commits go on between its looks."""
    text = pipeline(sinks="  - kafka: { topic: out }\n" + lite())
    with Broker(at) as broker:
        create_topic(broker.address, "in", 2)
        with Worker(at, text, servers=broker.address) as worker:
            wait_for(worker.is_running, worker.said, SECONDS)
            for number in range(5):
                produce(broker.address, "in", numbers(100 * number, 100 * number + 100))
                said = onceflow("plan", "p.yaml", "--bootstrap.servers", broker.address, at=at)
                check("run goes on" in said, said)
            wait_for(lambda: len(consume(broker.address, "out")) == 500, worker.said, SECONDS)
            wait_for(lambda: query(at, "SELECT count(*) FROM t")[0][0] == 500, worker.said,
                     SECONDS)
            check(worker.stop() == 0 and "fenced" not in worker.said(), worker.said())


def what_the_file_says_of_a_topic_that_is_there_has_no_effect(at):
    def sized(bytes_max):
        return pipeline(sinks=f"  - kafka: {{ topic: out, max.message.bytes: {bytes_max} }}\n")
    with Broker(at) as broker:
        begun(at, broker, sized(100000))
        said = both_go_on(at, broker, sized(100000), "run goes on where it was")
        check("max.message.bytes" not in said, said)
        both_go_on(at, broker, sized(200000), "max.message.bytes: 200000 in the file holds for a "
                   "topic that is made, and topic out is there with 100000",
                   "--topic out --add-config max.message.bytes=200000")


def what_comes_back_from_before_a_start_over_is_refused(at):
    """And nothing is said of where it begins."""
    def text(*files):
        return pipeline(sinks="  - kafka: { topic: out }\n" + "".join(
            f"  - {{ id: {file}, sqlite: {{ file: {file}.db, table: t, {COLUMNS} }} }}\n"
            for file in files))
    with Broker(at) as broker:
        begun(at, broker, text("a", "c"))
        (at / "p.yaml").write_text(text("c"), encoding="utf-8")
        onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, "--to-earliest",
                 "--delete-rows", "--execute", at=at)
        both_go_on(at, broker, None)
        said = both_refuse(at, broker, text("a", "c"), "not of the pipeline's newest start-over")
        check("a: it is a new sink; where it begins is not decided, because run stops before that"
              in said and "filled from" not in said, said)


def what_comes_back_goes_on_and_is_said_to(at):
    """A source under both beginnings, and a sink: words of what is kept, not of the files."""
    kept = "its position is kept, and it goes on there: "
    for name, latest in {"latest": True, "earliest": False}.items():
        here = at / name
        here.mkdir()
        both = pipeline(sinks=lite()).replace("[in]", "[in, more]")
        one = pipeline(sinks=lite())
        if latest:
            both, one = at_latest(both), at_latest(one)
        with Broker(here) as broker:
            create_topic(broker.address, "more", 1)
            create_topic(broker.address, "in", 1)
            with Worker(here, both, servers=broker.address) as worker:
                wait_for(worker.is_running, worker.said, SECONDS)
                produce(broker.address, "in", numbers(0, 5))
                produce(broker.address, "more", numbers(5, 10))
                wait_for(lambda: query(here, "SELECT count(*) FROM t") == [(10,)], worker.said,
                         SECONDS)
                check(worker.stop() == 0, worker.said())
            both_go_on(here, broker, one, "source topic more is gone")
            produce(broker.address, "more", numbers(10, 13))
            said = both_go_on(here, broker, both, f"source topic more is new; {kept}more-0@5")
            check("auto.offset.reset says" not in said and "begins at" not in said, said)
            wait_for(lambda: query(here, "SELECT count(*) FROM t") == [(13,)], "the rows", SECONDS)
    here = at / "sink"
    here.mkdir()
    alone = pipeline()
    beside = pipeline(sinks="  - kafka: { topic: out }\n" + lite())
    with Broker(here) as broker:
        begun(here, broker, beside)
        wait_for(lambda: query(here, "SELECT count(*) FROM t") == [(5,)], "the rows", SECONDS)
        both_go_on(here, broker, alone, "the sink is gone")
        both_go_on(here, broker, beside, "kept     stage sqlite")
        both_go_on(here, broker, alone, "the sink is gone")
        onceflow("reset", "p.yaml", "--to-current", "--execute", "--bootstrap.servers",
                 broker.address, at=here)
        said = both_go_on(here, broker, beside, kept)
        check("is filled from" not in said, said)
        wait_for(lambda: query(here, "SELECT count(*) FROM t") == [(5,)], "the rows", SECONDS)
    # Another database that holds the position.
    here = at / "database"
    here.mkdir()
    with Broker(here) as broker:
        begun(here, broker, pipeline(sinks=lite()))
        shutil.copy(here / "a.db", here / "b.db")
        both_go_on(here, broker, pipeline(sinks=lite("b.db")), f"is now sqlite b.db; {kept}in-0@5")


def a_state_that_a_start_over_has_deleted_is_empty(at):
    text = pipeline(aggregate("c: count(*)"))
    with Broker(at) as broker:
        begun(at, broker, text)
        check("stage k, its state: kept" in planned(at, broker, text, 0), "its state is there")
        onceflow("reset", "p.yaml", "--bootstrap.servers", broker.address, "--to-earliest",
                 "--execute", at=at)
        both_go_on(at, broker, text, "stage k, its state: empty")
        check("stage k, its state: kept" in planned(at, broker, text, 0), "it is there again")


def a_source_that_is_not_there_leaves_the_database_alone(at):
    with Broker(at) as broker:
        planned(at, broker, pipeline(sinks=lite()), 0)
        check(not (at / "a.db").exists(), "plan has made the file")
        query(at, "CREATE TABLE theirs (a)")
        planned(at, broker, pipeline(sinks=lite()), 0)
        check(query(at, "SELECT name FROM sqlite_master") == [("theirs",)], "plan has made tables")
