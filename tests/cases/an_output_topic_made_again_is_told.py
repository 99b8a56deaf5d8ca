"""An output topic that was deleted, made again by somebody else and cut looks like one whose first
records retention has deleted. The audit was clean over results that were nowhere."""

from harness import Broker, Worker, check, consume, free_port, onceflow, produce, wait_for
from harness.changes import pipeline
from harness.kafka_admin import create_topic, delete_records, delete_topic

TEXT = pipeline()


def results(address, at, numbers, total):
    with Worker(at, TEXT, servers=address) as worker:
        produce(address, "in", [{"n": number} for number in numbers])
        wait_for(lambda: len(consume(address, "out")) == total, worker.said, 60)
        check(worker.stop() == 0, worker.said())


def made_again(address, records, cut):
    delete_topic(address, "out")
    create_topic(address, "out")
    produce(address, "out", ["x"] * records)
    delete_records(address, "out", 0, cut)


def audited(at, address, code=0):
    return onceflow("audit", "p.yaml", "--bootstrap.servers", address, at=at, code=code)


def more_is_gone_than_was_deleted(at):
    with Broker(at, port=free_port()) as broker:
        address = broker.address
        results(address, at, range(5), 5)
        made_again(address, 1, 1)
        missing = "none of the 5 records is there that stage kafka wrote in "
        for total in (0, 3):
            if total:
                results(address, at, range(5, 8), total)
            said = audited(at, address, 1)
            check(missing in said and "begins at offset 1, so at least 4 were not deleted" in said,
                  said)
        broker.stop()


def where_nothing_is_left_nobody_can_say(at):
    with Broker(at, port=free_port()) as broker:
        address = broker.address
        results(address, at, range(5), 5)
        made_again(address, 6, 6)
        said = audited(at, address)
        check("or it is another topic of this name" in said and "1 part not covered" in said, said)
        broker.stop()


def what_retention_has_deleted_is_no_finding(at):
    with Broker(at, port=free_port()) as broker:
        address = broker.address
        results(address, at, range(5), 5)
        end = int(consume(address, "out", "-f", "%o\n")[-1]) + 1
        results(address, at, range(5, 8), 8)
        delete_records(address, "out", 0, end)
        check("audit: clean" in audited(at, address), "the first commit was deleted as a whole")
        broker.stop()
