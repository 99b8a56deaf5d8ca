"""C20: every way on that a refusal names is gone, and helps."""

from harness import audit, check
from harness.changes import aggregate, pipeline, refused, reset, run

BEFORE = pipeline(aggregate("n: count(*)"))
AFTER = pipeline(aggregate("n: count(*), s: sum($.x)"))
RECORDS = [{"k": "a", "x": x} for x in range(1, 6)]


def begin(at):
    run(at, BEFORE, RECORDS, '{"k":"a","n":5}')
    said = refused(at, AFTER)
    check("`aggregate s = sum($.x)` is new" in said, f"it names what has changed: {said}")
    check("new id" not in said, f"the old advice, which loses all: {said}")


def changing_it_back_loses_nothing(at):
    begin(at)
    run(at, BEFORE, [{"k": "a", "x": 6}], '{"k":"a","n":6}')


def going_on_from_now_begins_the_state_empty_and_says_so(at):
    begin(at)
    said = reset(at, "--to-current")
    check("delete topic p-k-changelog: its state begins empty" in said, said)
    check("nothing was done" in said, said)
    refused(at, AFTER)
    reset(at, "--to-current", "--execute")
    run(at, AFTER, [{"k": "a", "x": 6}], '{"k":"a","n":1,"s":6}')


def starting_over_counts_all_again(at):
    begin(at)
    reset(at, "--to-earliest", "--execute")
    run(at, AFTER, [{"k": "a", "x": 6}], '{"k":"a","n":6,"s":21}')
    audit(at, "--allow-foreign")


def another_name_beside_it_loses_nothing(at):
    begin(at)
    beside = (AFTER.replace("name: p", "name: q").replace("group.id: g", "group.id: h")
              .replace("topic: out", "topic: out-q"))
    run(at, beside, [{"k": "a", "x": 6}], '{"k":"a","n":6,"s":21}', topic="out-q")
