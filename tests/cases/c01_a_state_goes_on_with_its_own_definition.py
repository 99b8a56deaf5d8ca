"""C1: a state is gone on with by the definition that made it, and by no other."""

from harness.changes import aggregate, pipeline, refused, run
from harness import check

MINIMUM = "lo: min($.v), hi: max($.v)"


def another_definition_is_refused_and_nothing_is_overwritten(at):
    first = run(at, pipeline(aggregate(MINIMUM)), [{"k": "a", "v": v} for v in (1, 5, 9)],
                '{"k":"a","lo":1,"hi":9}')
    others = {
        "exchanged functions": aggregate("lo: max($.v), hi: min($.v)"),
        "another argument": aggregate("lo: min($.v * 2), hi: max($.v)"),
        "exchanged order": aggregate("hi: max($.v), lo: min($.v)"),
        "another name": aggregate("low: min($.v), hi: max($.v)"),
        "one more": aggregate(MINIMUM + ", n: count(*)"),
        "one less": aggregate("lo: min($.v)"),
        "another key": aggregate(MINIMUM, key="$.v"),
        "another name of the key": aggregate(MINIMUM, key="{ key: $.k }"),
        "a field set before it": aggregate(MINIMUM, before="  - { id: w, set: { $.v: 2 } }\n"),
    }
    for what, steps in others.items():
        said = refused(at, pipeline(steps))
        check("k: " in said and "change the file back" in said, f"{what}: {said}")
    # As it was, it goes on; a result that stays the same is not written again.
    after = run(at, pipeline(aggregate(MINIMUM)), [{"k": "a", "v": v} for v in (4, 10)],
                '{"k":"a","lo":1,"hi":10}')
    check(after[len(first):] == ['{"k":"a","lo":1,"hi":10}'], f"it goes on: {after}")


def a_count_does_not_become_a_maximum(at):
    run(at, pipeline(aggregate("x: count(*)")), [{"k": "a", "v": 1}], '{"k":"a","x":1}')
    said = refused(at, pipeline(aggregate("x: max($.v)")))
    check("`aggregate x = count(*)` is now `aggregate x = max($.v)`" in said, said)
    run(at, pipeline(aggregate("x: count(*)")), [{"k": "a", "v": 7}], '{"k":"a","x":2}')


def what_means_the_same_goes_on(at):
    run(at, pipeline(aggregate("n: count(*), s: sum($.v*2)")), [{"k": "a", "v": 1}],
        '{"k":"a","n":1,"s":2}')
    same = pipeline("  - { id: w, where: $.v < 9 }\n"
                    "  - { id: key-first, key: { k: \"$.k\" } }\n"
                    "  - { id: k, aggregate: { n: count(*), s: sum( $.v * 2 ) } }\n")
    run(at, same, [{"k": "a", "v": 2}], '{"k":"a","n":2,"s":6}')
