"""A file that is written otherwise and means the same is the same pipeline."""

from harness import audit, check
from harness.changes import pipeline, plan, refused, run

RECORDS = [{"k": "a", "x": x, "odd name": 1} for x in (1, 2, 3)]
BEFORE = pipeline(
    "  - { id: some, where: $.x <> 9 }\n"
    "  - { id: more, set: { $.y: $.x * 2.50 } }\n"
    "  - { id: k, key: $.k, aggregate: { n: count($.\"odd name\"), s: sum($.y) } }\n")
# The order of keys, quotes, blanks, comments, defaults, escapes of names, digits, signs.
SAME = """# the same
guarantee: 'exactly_once'
sinks:
  - kafka:
      "topic": out
steps:
  - where: >-
      $."x"
      != 9
    id: some
  - set: { '$."\\u0079"': "$.x*25e-1" }
    id: more
  - aggregate:
      n: count( $."odd\\u0020name" )
      s: sum( $."y" )
    key: { k: '$."k"' }
    id: k
source:
  kafka:
    auto.offset.reset: earliest
    topics:
      - in
    group.id: g
name: p
"""
OTHERS = {"$.x * 2.50": "$.x * 2", "key: $.k": "key: $.K",
          "count($.\"odd name\")": "count($.odd.name)", "sum($.y)": "sum($.Y)"}


def what_is_written_otherwise_goes_on(at):
    run(at, BEFORE, RECORDS, '{"k":"a","n":3,"s":15.0}')
    said = plan(at, SAME, 0)
    check("is now" not in said and "is new" not in said, said)
    run(at, SAME, [{"k": "a", "x": 4, "odd name": 1}], '{"k":"a","n":4,"s":25.0}')
    run(at, BEFORE, [{"k": "a", "x": 9, "odd name": 1}, {"k": "a", "x": 1}],
        '{"k":"a","n":4,"s":27.5}')
    check("definitions" not in audit(at, "--states"), "the audit knows of one")


def what_means_another_thing_is_still_told(at):
    run(at, BEFORE, RECORDS, '{"k":"a","n":3,"s":15.0}')
    for one, other in OTHERS.items():
        refused(at, BEFORE.replace(one, other))
    said = plan(at, BEFORE.replace("<> 9", "<> 8"), 0)
    check("`where $.x <> 9` is now `where $.x <> 8`" in said, said)
