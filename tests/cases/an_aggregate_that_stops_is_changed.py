"""An aggregate that a record stops has records before it that nobody has counted. What its message
offers works: they are counted by the changed file where only what is counted has changed; where
they were keyed another way, `plan`, `run` and `reset` say so alike."""

import json

from harness import Worker, audit, check, produce, wait_for
from harness.changes import aggregate, pipeline, plan, refused, reset, values

BIG = 9223372036854775807
RECORDS = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": BIG}, {"k": "a", "v": 5},
           {"k": "b", "v": 7}]
SUM = pipeline(aggregate("s: sum($.v)"))


def stop(here):
    """Two records are counted, and three wait; what it said."""
    with Worker(here, SUM) as worker:
        produce(worker.address, "in", RECORDS[:2])
        wait_for(lambda: len(values(worker)) == 2, worker.said, 60)
        produce(worker.address, "in", RECORDS[2:])
        check(worker.wait(60) == 1, worker.said())
        said = worker.said()
    check("the sum of integers leaves 64 bits" in said and "--to-current --execute" in said and
          "counts from nothing, from the records on that have not been counted yet" in said, said)
    return said


def newest(worker):
    """What has been counted of each key."""
    return {row["k"]: row["s"] for row in map(json.loads, values(worker))}


def what_waits_is_counted_from_nothing_where_only_what_is_counted_has_changed(at):
    changes = {"another function": aggregate("s: count(*)"),
               "the type of the message": aggregate("s: { value: sum($.v), type: decimal }")}
    wanted = {"another function": {"a": 2, "b": 1},
              "the type of the message": {"a": BIG + 5, "b": 7}}
    for name, step in changes.items():
        folder = at / name.replace(" ", "-")
        folder.mkdir()
        stop(folder)
        changed = pipeline(step)
        said = plan(folder, changed, 1)
        check("go on from now:    onceflow reset p.yaml --data-dir data --to-current" in said, said)
        said = reset(folder, "--to-current", "--execute")
        check("group p-k: go on at p-k-repartition-0@" in said, said)
        with Worker(folder, changed) as worker:
            wait_for(lambda: newest(worker) == wanted[name],
                     lambda: f"{wanted[name]}: {values(worker)} {worker.said()}", 60)
            check(worker.stop() == 0, worker.said())
        said = audit(folder)
        check("clean — 5 input records accounted for to the last row" in said, said)


OTHERS = {"another key": aggregate("s: count(*)", key="$.v"),
          "a set before it": aggregate("s: count(*)", before="  - { id: m, set: { $.v: 1 } }\n")}


def what_waits_and_was_made_by_other_steps_is_named_by_all_three(at):
    for name, step in OTHERS.items():
        folder = at / name.replace(" ", "-")
        folder.mkdir()
        stop(folder)
        words = ("k: it has not read all of topic p-k-repartition; p-k-repartition-0 offsets ",
                 "were made by the steps and the key that the file had before", "catch up first")
        said = plan(folder, pipeline(step), 1)
        again = refused(folder, pipeline(step))
        third = reset(folder, "--to-current", "--execute", code=1)
        for word in words:
            check(word in said and word in again and word in third,
                  f"{name}, {word}: {said} {again} {third}")
        check("go on from now" not in said + again + third, said)
        # First what is counted, then the rest.
        (folder / "p.yaml").write_text(pipeline(aggregate("s: count(*)")), encoding="utf-8")
        reset(folder, "--to-current", "--execute")
        with Worker(folder, pipeline(aggregate("s: count(*)"))) as worker:
            wait_for(lambda: newest(worker) == {"a": 2, "b": 1}, worker.said, 60)
            check(worker.stop() == 0, worker.said())
        check("go on from now" in plan(folder, pipeline(step), 1), "all is read")
        reset(folder, "--to-current", "--execute")


def with_its_states_kept_what_waits_is_counted_as_it_was_passed_on(at):
    stop(at)
    changed = pipeline("  - { id: m, set: { $.x: 1 } }\n" + aggregate("s: sum($.v)"))
    said = plan(at, changed, 1)
    check("--keep-states" in said and "catch up first" in said, said)
    said = reset(at, "--keep-states", "--execute")
    check("done" in said, said)
