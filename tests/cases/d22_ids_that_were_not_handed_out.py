"""D22: a producer id that the log has not handed out writes nothing, and the living find their way.
"""

import shutil
import struct
import subprocess
import time

from harness import ONCEFLOW, Broker, check, consume, free_port, kcat, onceflow, wait_for
from harness.rdkafka import LIBRARY, OpenTransaction, Producer
from harness.wire import Connection, batch, text

INVALID_PRODUCER_ID_MAPPING, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, UNKNOWN_PRODUCER_ID = 49, 53, 59


def produce(connection, records, transactional_id=None):
    """Error code and offset of a Produce of version 5."""
    answer = connection.call(0, 5, text(transactional_id) + struct.pack(">hii", -1, 5_000, 1) +
                             text("t") + struct.pack(">iii", 1, 0, len(records)) + records)
    return struct.unpack(">hq", answer[4 + 3 + 4 + 4:][:10])


def fresh_producer(connection):
    return connection.init_producer(None, 5_000)


def an_id_that_was_not_handed_out_writes_nothing(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        own, _ = fresh_producer(connection)
        for strange in (0, 1, own - 1, own + 1, own + 999, own + (1 << 32), (1 << 63) - 1):
            for epoch, sequence in ((0, 0), (0, 57), (0, 0)):
                code, _ = produce(connection, batch([b"b"], (strange, epoch), sequence))
                check(code == UNKNOWN_PRODUCER_ID, f"id {strange}: {code}")
        check(connection.high_watermark("t") == 1, "something was written")
        code, offset = produce(connection, batch([b"c"], (own, 0), 0))
        check((code, offset) == (0, 1), f"its own id: {code}, {offset}")


def one_that_begins_anew_is_let_in_and_its_id_is_given_to_no_other(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        with Connection(broker.address) as connection:
            own, _ = fresh_producer(connection)
            produce(connection, batch([b"b"], (own + 1, 3), 9))
            code, offset = produce(connection, batch([b"b"], (own + 1, 4), 0))
            check((code, offset) == (0, 1), f"{code}, {offset}")
            check(fresh_producer(connection)[0] == own + 2, "it was handed out")
            check(produce(connection, batch([b"b"], (own + 1, 4), 0)) == (0, 1), "the retry")
    with Broker(at) as broker, Connection(broker.address) as connection:
        check(produce(connection, batch([b"c"], (own + 1, 4), 1)) == (0, 2), "after a restart")


def a_transaction_is_its_own_producers(at):
    with Broker(at) as broker, Connection(broker.address) as connection:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        owner = connection.init_producer("owner", 10_000)
        other = connection.init_producer("other", 10_000)
        records = batch([b"b"], owner, 0, transactional=True)
        check(connection.produce_v12("owner", "t", records) == 0, "the owner")
        # Under another name, broken or whole, nothing becomes of it.
        for name in ("other", "nothing"):
            check(connection.produce_v12(name, "t", batch([b"x"], owner, 1, transactional=True))
                  == INVALID_PRODUCER_ID_MAPPING, name)
            check(connection.produce_v12(name, "t", records[:-1] + b"?") != 0, "broken")
            for committed in (False, True):
                error, _ = connection.end_transaction_v5(name, owner, committed)
                check(error == INVALID_PRODUCER_ID_MAPPING, f"{name}: {error}")
        check(produce(connection, batch([b"x"], owner, 1, transactional=True))[0] ==
              TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "without a name")
        check(produce(connection, batch([b"x"], other, 0))[0] == INVALID_PRODUCER_ID_MAPPING,
              "outside of a transaction")
        check(produce(connection, batch([b"x"], transactional=True), "owner")[0] ==
              INVALID_PRODUCER_ID_MAPPING, "without a producer id")
        error, _ = connection.end_transaction_v5("owner", owner)
        check(error == 0, f"its own commit: {error}")
    check_records(at, ["a", "b"])


def check_records(at, expected):
    with Broker(at) as broker:
        found = consume(broker.address, "t")
        check(found == expected, found)


def survive(at, wipe, **settings):
    """A producer of librdkafka whose log begins anew while it lives."""
    port = free_port()
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        producer = Producer(port, "t", **settings)
        producer.produce([f"old-{number}".encode() for number in range(20)], 0)
        producer.flush()
        broker.stop()
    wipe(at / "data")
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        for number in range(20):
            producer.produce([f"new-{number}".encode()], 0)
            LIBRARY.rd_kafka_poll(producer.handle, 0)
            time.sleep(0.01)
        producer.flush()
        wait_for(lambda: len(consume(broker.address, "t")) == 21, "all of them", 30)
        found = consume(broker.address, "t")
        check(found == ["first"] + [f"new-{number}" for number in range(20)], found)


def librdkafka_outlives_a_log_that_was_wiped(at):
    survive(at, shutil.rmtree, **{"enable.idempotence": "true"})


def a_transactional_producer_of_librdkafka_begins_again(at):
    port = free_port()
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        OpenTransaction(port, "tx", "t", 2).commit()
        broker.stop()
    shutil.rmtree(at / "data")
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        OpenTransaction(port, "tx", "t", 2).commit()
        check(len(consume(broker.address, "t")) == 3, consume(broker.address, "t"))


def our_own_client_outlives_it_too(at):
    """`onceflow cat` holds one producer for as long as its input lasts."""
    port = free_port()
    with Broker(at, port=port) as broker:
        kcat(broker.address, "-P", "-t", "t", given="first\n")
        with subprocess.Popen([ONCEFLOW, "cat", "-P", "-b", broker.address, "-t", "t", "--rate",
                               "50"], stdin=subprocess.PIPE) as cat:
            def write(line):
                cat.stdin.write(line + b"\n")
                cat.stdin.flush()

            write(b"old")
            wait_for(lambda: len(consume(broker.address, "t")) == 2, "the first record")
            broker.stop()
            shutil.rmtree(at / "data")
            with Broker(at, port=port) as anew:
                kcat(anew.address, "-P", "-t", "t", given="first\n")
                write(b"new")
                wait_for(lambda: consume(anew.address, "t") == ["first", "new"], "the second", 30)
                cat.stdin.close()
                check(cat.wait(30) == 0, "cat")


def beyond_this_machine_it_must_be_meant(at):
    flag = ("--override", "listeners=PLAINTEXT://0.0.0.0:0")
    said = onceflow("broker", *flag, "--data-dir", at / "data", at=at, code=2)
    check("--insecure" in said and "authentication" in said, said)
    check(not (at / "data").exists(), "it has begun")
    with Broker(at, *flag, "--insecure") as broker:
        check(broker.ready and "there is no authentication" in broker.said(), broker.said())
    for host in ("127.0.0.1", "localhost", "127.1.2.3"):
        with Broker(at, "--override", f"listeners=PLAINTEXT://{host}:0") as broker:
            check(broker.ready, broker.said())
