"""C20: every way on that a refusal names is gone, and helps."""

from harness import Worker, audit, check, onceflow, produce, wait_for
from harness.changes import aggregate, pipeline, plan, refused, reset, run, values
from harness.processes import log_of

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


KEPT = "what was counted before stays counted as it was; the change holds from the next record on"


def keeping_the_state_goes_on_counting_and_says_what_it_means(at):
    before = pipeline(aggregate("s: sum($.x)"))
    tens = pipeline(aggregate("s: sum($.x)", before="  - { id: v, set: { $.x: $.x * 10 } }\n"))
    run(at, before, RECORDS, '{"k":"a","s":15}')
    said = plan(at, tens, 1)
    check("its state: to be kept or reset" in said, said)
    check(f"reset p.yaml {' '.join(log_of(at))} --keep-states\n" in said, said)
    said = reset(at, "--keep-states")
    check("`set $.x = $.x * 10` is new" in said and KEPT in said and "nothing was done" in said,
          said)
    said = refused(at, tens)
    check(said.index("--keep-states --execute") < said.index("change the file back"), said)
    reset(at, "--keep-states", "--execute")
    check("run goes on" in plan(at, tens, 0), "the plan knows it")
    run(at, tens, [{"k": "a", "x": 6}], '{"k":"a","s":75}')
    run(at, tens, [{"k": "b", "x": 6}], '{"k":"b","s":60}')
    # Back again, past states of both definitions.
    refused(at, before)
    reset(at, "--keep-states", "--execute")
    run(at, before, [{"k": "b", "x": 1}], '{"k":"b","s":61}')
    run(at, before, [{"k": "a", "x": 1}], '{"k":"a","s":76}')
    audit(at, "--states")


def a_key_of_another_expression_keeps_the_old_keys(at):
    run(at, BEFORE, RECORDS, '{"k":"a","n":5}')
    upper = pipeline(aggregate("n: count(*)", key="{ k: upper($.k) }"))
    said = refused(at, upper)
    check(said.index("change the file back") < said.index("--keep-states"), said)
    reset(at, "--keep-states", "--execute")
    run(at, upper, [{"k": "a", "x": 6}], '{"k":"A","n":1}')
    audit(at, "--states")


def a_state_of_another_shape_is_not_kept(at):
    begin(at)
    for text in (AFTER, pipeline(aggregate("m: count(*)")), pipeline(aggregate("n: count($.x)")),
                 pipeline(aggregate("n: count(*)", key="{ j: $.k }"))):
        check("--keep-states" not in refused(at, text), "the way is not offered")
        said = reset(at, "--keep-states", "--execute", code=1)
        check("the states do not fit the file" in said and "--to-current" in said, said)
    run(at, BEFORE, [{"k": "a", "x": 6}], '{"k":"a","n":6}')


def no_state_is_kept_while_a_worker_lives(at):
    with Worker(at, BEFORE) as worker:
        produce(worker.address, "in", RECORDS)
        wait_for(lambda: values(worker), "results", 60)
        said = onceflow("reset", "p.yaml", "--keep-states", "--execute", "--bootstrap.servers",
                        worker.address, at=at, code=1)
        check("nothing is reset while a worker lives" in said, said)
        worker.stop()


def another_name_beside_it_loses_nothing(at):
    begin(at)
    beside = (AFTER.replace("name: p", "name: q").replace("group.id: g", "group.id: h")
              .replace("topic: out", "topic: out-q"))
    run(at, beside, [{"k": "a", "x": 6}], '{"k":"a","n":6,"s":21}', topic="out-q")
