"""C22: a key is written when its result has changed, and not otherwise."""

from harness.changes import aggregate, pipeline, run, values
from harness import Worker, audit, check, produce, wait_for


def the_same_record_again_writes_nothing(at):
    with Worker(at, pipeline(aggregate("lo: min($.x)", key="$.id"))) as worker:
        for number in range(1, 4):
            produce(worker.address, "in", [{"id": 1, "x": 5}])
            wait_for(lambda: worker.stage("k")["totals"]["records_in"] >= number, "the record", 60)
        produce(worker.address, "in", [{"id": 1, "x": 4}])
        wait_for(lambda: len(values(worker)) >= 2, "the second result", 60)
        found = values(worker)
        worker.stop()
    check(found == ['{"id":"1","lo":5}', '{"id":"1","lo":4}'], f"two results: {found}")
    audit(at)


def a_result_that_comes_back_is_a_change(at):
    for x, total in ((1, 1), (1, 2), (-1, 1)):
        found = run(at, pipeline(aggregate("s: sum($.x)")), [{"k": "a", "x": x}],
                    f'{{"k":"a","s":{total}}}')
    check(found == ['{"k":"a","s":1}', '{"k":"a","s":2}', '{"k":"a","s":1}'], f"three: {found}")
    audit(at)
