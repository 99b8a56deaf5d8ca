"""C33: a batch that was refused and then sent again with success does not keep the commit."""

from harness import Broker, check, consume, free_port, kcat
from harness.wire import Connection, batch

OUT_OF_ORDER = 45
UNKNOWN_TOPIC = 3
MESSAGE_TOO_LARGE = 10
ABORTABLE = 120


def send(connection, producer, sequence, topic="t", values=None):
    return connection.produce_v12("id", topic,
                                  batch(values or [b"%d" % sequence], producer, sequence, True))


def expect(error, wanted, what):
    check(error == wanted, f"{what}: error {error}, not {wanted}")


def after_a_kill_the_second_request_may_come_first(at):
    port = free_port()
    with Broker(at, port=port) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="before\n")
        producer = connection.init_producer("id", 60_000)
    with Broker(at, port=port) as broker, Connection(broker.address) as connection:
        expect(send(connection, producer, 1), OUT_OF_ORDER, "1 before 0")
        expect(send(connection, producer, 2), OUT_OF_ORDER, "2 before 0")
        for sequence in range(3):
            expect(send(connection, producer, sequence), 0, f"{sequence} in its order")
        expect(connection.end_transaction_v5("id", producer)[0], 0, "commit")
        check(consume(broker.address, "t") == ["before", "0", "1", "2"], "the records")


def what_was_never_sent_again_still_keeps_the_commit(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="before\n")
        producer = connection.init_producer("id", 60_000)
        expect(send(connection, producer, 0), 0, "0")
        expect(send(connection, producer, 2), OUT_OF_ORDER, "2 before 1")
        expect(send(connection, producer, 1), 0, "1")
        expect(connection.end_transaction_v5("id", producer)[0], ABORTABLE, "commit without 2")
        error, producer = connection.end_transaction_v5("id", producer, commit=False)
        expect(error, 0, "abort")
        expect(send(connection, producer, 0), 0, "0 of the next")
        expect(connection.end_transaction_v5("id", producer)[0], 0, "commit of the next")
        check(consume(broker.address, "t") == ["before", "0"], "the records")


def a_doubt_and_its_end_survive_a_kill(at):
    port = free_port()
    with Broker(at, port=port) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="before\n")
        producer = connection.init_producer("id", 60_000)
        expect(send(connection, producer, 1), OUT_OF_ORDER, "1 before 0")
    with Broker(at, port=port) as broker, Connection(broker.address) as connection:
        expect(connection.end_transaction_v5("id", producer)[0], ABORTABLE, "commit")
        expect(send(connection, producer, 0), 0, "0")
        expect(send(connection, producer, 1), 0, "1")
    with Broker(at, port=port) as broker, Connection(broker.address) as connection:
        expect(connection.end_transaction_v5("id", producer)[0], 0, "commit")


def a_topic_that_was_not_there_yet_may_be_made_and_written_again(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        producer = connection.init_producer("id", 60_000)
        expect(send(connection, producer, 0, "later"), UNKNOWN_TOPIC, "no topic")
        expect(connection.end_transaction_v5("id", producer)[0], ABORTABLE, "commit")
        kcat(broker.address, "-P", "-t", "later", given="made\n")
        expect(send(connection, producer, 0, "later"), 0, "again")
        expect(connection.end_transaction_v5("id", producer)[0], 0, "commit")


def a_batch_that_was_too_large_may_come_in_parts(at):
    with Broker(at, "--override", "message.max.bytes=300") as broker, \
            Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="before\n")
        producer = connection.init_producer("id", 60_000)
        expect(send(connection, producer, 0, values=[b"x" * 150] * 2), MESSAGE_TOO_LARGE, "both")
        expect(send(connection, producer, 0, values=[b"x" * 150]), 0, "the first")
        expect(connection.end_transaction_v5("id", producer)[0], ABORTABLE, "commit of a half")
        expect(send(connection, producer, 1, values=[b"x" * 150]), 0, "the second")
        expect(connection.end_transaction_v5("id", producer)[0], 0, "commit")
