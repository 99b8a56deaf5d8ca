"""Where the definitions topic was lost, and with it where a start-over has put the stages, what is
there goes on; a sink whose database holds no position is refused by name until the pipeline is
started over again. It got the results of before and the new ones, and the audit was clean."""

import shutil
import sqlite3

from harness import (Broker, Worker, audit, check, consume, free_port, kcat, log_of, onceflow,
                     produce, wait_for)
from harness.changes import pipeline, plan, reset
from harness.kafka_admin import delete_records, delete_topic, move_position

OUT = "  - kafka: { topic: out }\n"
COLUMNS = "columns: { n: { value: $.n, type: integer } }"
FORGOTTEN = "was lost with topic p-definitions"
SAID = "the pipeline was reset before, and where that has put its stages stood in the topic alone"


def lite(file="a.db", name="lite"):
    return f"  - {{ id: {name}, sqlite: {{ file: {file}, table: t, {COLUMNS} }} }}\n"


def numbers(at, file="a.db"):
    try:
        with sqlite3.connect(at / file, timeout=20) as database:
            return [row[0] for row in database.execute("SELECT n FROM t ORDER BY n").fetchall()]
    except sqlite3.OperationalError:
        return []  # Nobody has made the table yet.


def run_to(at, text, records, reached):
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", [{"n": number} for number in records])
        wait_for(reached, worker.said, 60)
        check(worker.stop() == 0, worker.said())
        return worker.said()


def on_log(at, act):
    with Broker(at, port=free_port()) as broker:
        act(broker.address)
        broker.stop()


def delete(address):
    delete_topic(address, "p-definitions")


def lose_both(address):
    delete_topic(address, "p-definitions")
    delete_topic(address, "p-receipts")


def empty(address, kept=0):
    """Deletes its records, but for the newest."""
    offsets = kcat(address, "-C", "-t", "p-definitions", "-e", "-q", "-f", "%o\n").split()
    delete_records(address, "p-definitions", 0, int(offsets[-1]) + 1 - kept)


def started_over(at, text, beginning="--to-earliest"):
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    reset(at, beginning, "--delete-rows", "--execute")
    after = list(range(5)) if beginning == "--to-earliest" else [5]
    run_to(at, text, [] if beginning == "--to-earliest" else [5], lambda: numbers(at) == after)


def lose(at, file="a.db"):
    for end in ("", "-wal", "-shm"):
        (at / (file + end)).unlink(missing_ok=True)


def refused(at, text):
    said = plan(at, text, 1)
    check(FORGOTTEN in said, said)
    said = onceflow("run", "p.yaml", *log_of(at, free_port()), at=at, code=1, seconds=60)
    check(FORGOTTEN in said and "--to-earliest (--delete-rows | --keep-rows) --execute" in said,
          said)


def goes_on_and_refuses_a_lost_database(at, lose_record):
    text = pipeline("", OUT + lite())
    started_over(at, text)
    on_log(at, lose_record)
    said = run_to(at, text, [5], lambda: numbers(at) == list(range(6)))
    check("was gone: it is made anew" in said and SAID in said, said)
    said = run_to(at, text, [6], lambda: numbers(at) == list(range(7)))
    check("was gone" not in said, said)
    audit(at)
    lose(at)
    refused(at, text)
    # The fix, typed.
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, text, [], lambda: numbers(at) == list(range(7)))
    lose(at)
    run_to(at, text, [7], lambda: numbers(at) == list(range(8)))
    audit(at)


def a_lost_database_is_refused_where_the_topic_was_deleted(at):
    goes_on_and_refuses_a_lost_database(at, delete)


def a_lost_database_is_refused_where_the_topic_was_emptied(at):
    goes_on_and_refuses_a_lost_database(at, empty)


def both_lost_at_once_are_refused(at):
    text = pipeline("", OUT + lite())
    started_over(at, text)
    on_log(at, delete)
    lose(at)
    refused(at, text)
    check(numbers(at) == [], "nothing was written")


def one_while_its_source_is_away_is_remembered(at):
    text = pipeline("", OUT + lite())
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    on_log(at, lambda address: delete_topic(address, "in"))
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, text, range(10, 15), lambda: numbers(at) == list(range(10, 15)))
    said = audit(at)
    check("after the reset of" in said, "the results of before are not foreign: " + said)
    on_log(at, delete)
    lose(at)
    refused(at, text)
    check(numbers(at) == [], "nothing was written")


def a_new_sink_is_refused(at):
    started_over(at, pipeline("", OUT + lite()))
    on_log(at, delete)
    run_to(at, pipeline("", OUT + lite()), [5], lambda: numbers(at) == list(range(6)))
    refused(at, pipeline("", OUT + lite() + lite("b.db", "more")))


def a_lone_sink_that_was_put_at_the_end_is_refused(at):
    text = pipeline("", lite())
    started_over(at, text, "--to-latest")
    on_log(at, delete)
    said = run_to(at, text, [6], lambda: numbers(at) == [5, 6])
    check(SAID in said, said)
    lose(at)
    refused(at, text)


def the_newest_record_alone_is_not_enough(at):
    text = pipeline("", OUT + lite())
    started_over(at, text)
    # The record of the start-over is followed by one of another file.
    more = pipeline("  - { id: s, where: \"$.n >= 0\" }\n", OUT + lite())
    run_to(at, more, [5], lambda: numbers(at) == list(range(6)))
    on_log(at, lambda address: empty(address, kept=1))
    lose(at)
    refused(at, more)


def receipts_in_a_database_alone_are_of_half_a_reset(at):
    """With definitions and receipts gone nothing goes on; the fix works as it is typed."""
    text = pipeline("", OUT + lite())
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    on_log(at, lose_both)
    for said in (plan(at, text, 1),
                 onceflow("run", "p.yaml", *log_of(at, free_port()), at=at, code=1, seconds=60)):
        check("as after a reset that has not ended" in said and
              "--to-earliest (--delete-rows | --keep-rows) --execute" in said, said)
    reset(at, "--to-earliest", "--delete-rows", "--execute")
    run_to(at, text, [5], lambda: numbers(at) == list(range(6)))
    audit(at)


def a_strangers_group_is_not_taken(at):
    """A copy of a database from elsewhere says nothing of what belongs to whom on this log."""
    text = pipeline("", OUT + lite())
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    shutil.rmtree(at / "data")

    def move(address):
        produce(address, "in", [{"n": number} for number in range(10)])
        move_position(address, "g", "in", 0, 7, "stranger")

    on_log(at, move)
    said = reset(at, "--to-earliest", "--delete-rows", "--execute", code=1)
    check("group 'g' has a position, in-0@7, though pipeline 'p' has never run" in said, said)
    check(numbers(at) == list(range(5)), "no row is deleted")


def a_pipeline_without_a_database_is_known_by_its_position(at):
    text = pipeline("", OUT)
    with Worker(at, text) as worker:
        produce(worker.address, "in", ["{}"])
        wait_for(lambda: consume(worker.address, "out") == ["{}"], worker.said, 60)
        check(worker.stop() == 0, worker.said())
    on_log(at, lose_both)
    for said in (plan(at, text, 1),
                 onceflow("run", "p.yaml", *log_of(at, free_port()), at=at, code=1, seconds=60)):
        check("that pipeline 'p' has committed" in said and "--to-earliest --execute" in said, said)
    reset(at, "--to-earliest", "--execute")
    with Worker(at, text) as worker:
        wait_for(lambda: consume(worker.address, "out") == ["{}"] * 2, worker.said, 60)
        check(worker.stop() == 0, worker.said())


def a_database_that_is_away_is_named(at):
    """Also by the reset of a pipeline of which nothing is known."""
    dsn = f"host=127.0.0.1 port={free_port()}"
    away = f"  - {{ id: pg, postgres: {{ dsn: '{dsn}', table: t, {COLUMNS} }} }}\n"
    (at / "p.yaml").write_text(pipeline("", OUT + away))
    on_log(at, lambda address: produce(address, "in", [{"n": 0}]))
    said = reset(at, "--to-earliest", "--delete-rows", code=1)
    check("postgres, sink pg: connection" in said and "nothing was done" in said, said)


def without_a_start_over_rows_are_written_again(at):
    text = pipeline("", OUT + lite())
    run_to(at, text, range(5), lambda: numbers(at) == list(range(5)))
    on_log(at, delete)
    said = run_to(at, text, [5], lambda: numbers(at) == list(range(6)))
    check("was gone: it is made anew" in said and SAID not in said, said)
    lose(at)
    run_to(at, text, [6], lambda: numbers(at) == list(range(7)))
    audit(at)
