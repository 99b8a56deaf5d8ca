"""A foreign client in the test's own process: librdkafka, as much of it as our tests need."""

import ctypes
import threading

from harness.claims import check

PRODUCER, CONSUMER = 0, 1
COPY = 2  # RD_KAFKA_MSG_F_COPY
ANY_PARTITION = -1


def load():
    library = ctypes.CDLL("librdkafka.so.1")
    for name in ["rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_new",
                 "rd_kafka_init_transactions", "rd_kafka_begin_transaction",
                 "rd_kafka_commit_transaction", "rd_kafka_abort_transaction",
                 "rd_kafka_topic_partition_list_new", "rd_kafka_consumer_poll",
                 "rd_kafka_topic_partition_list_add"]:
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_error_string.restype = ctypes.c_char_p
    return library


LIBRARY = load()


class Client:
    def __init__(self, kind, port, settings):
        text = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(LIBRARY.rd_kafka_conf_new())
        settings = {"bootstrap.servers": f"127.0.0.1:{port}", "log_level": "0", **settings}
        for name, value in settings.items():
            LIBRARY.rd_kafka_conf_set(conf, name.encode(), str(value).encode(), text, 512)
            check(not text.value, text.value)
        self.handle = ctypes.c_void_p(LIBRARY.rd_kafka_new(kind, conf, text, 512))
        check(self.handle.value, text.value)

    def good(self, error):
        check(not error, error and LIBRARY.rd_kafka_error_string(ctypes.c_void_p(error)))


class Producer(Client):
    """Sends at once: kcat keeps what comes through a pipe until its end."""

    def __init__(self, port, topic, **settings):
        super().__init__(PRODUCER, port, {"linger.ms": 0, **settings})
        self.topic = topic

    def produce(self, values, partition=ANY_PARTITION):
        topic = ctypes.c_void_p(LIBRARY.rd_kafka_topic_new(self.handle, self.topic.encode(), None))
        for value in values:
            check(LIBRARY.rd_kafka_produce(topic, partition, COPY, value, len(value), None, 0,
                                           None) == 0, "not produced")
        LIBRARY.rd_kafka_topic_destroy(topic)

    def flush(self):
        check(LIBRARY.rd_kafka_flush(self.handle, 60_000) == 0, "not flushed")


class OpenTransaction(Producer):
    """A transaction with records in it that nobody ends until somebody says so."""

    def __init__(self, port, transactional_id, topic, count, timeout_ms=120_000):
        super().__init__(port, topic, **{"transactional.id": transactional_id,
                                         "transaction.timeout.ms": timeout_ms})
        self.good(LIBRARY.rd_kafka_init_transactions(self.handle, 20_000))
        self.good(LIBRARY.rd_kafka_begin_transaction(self.handle))
        self.produce(f"open-{number}".encode() for number in range(count))
        self.flush()
        self.is_open = True

    def commit(self):
        self.good(LIBRARY.rd_kafka_commit_transaction(self.handle, 20_000))
        self.is_open = False

    def abort(self):
        self.good(LIBRARY.rd_kafka_abort_transaction(self.handle, 20_000))
        self.is_open = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_open:
            LIBRARY.rd_kafka_abort_transaction(self.handle, 2_000)


class GroupMember(Client):
    """A consumer that is a member of its group while the `with` block lasts."""

    def __init__(self, port, group, topic, **settings):
        super().__init__(CONSUMER, port, {"group.id": group, "session.timeout.ms": 6000,
                                          **{name.replace("_", "."): value
                                             for name, value in settings.items()}})
        LIBRARY.rd_kafka_poll_set_consumer(self.handle)
        topics = ctypes.c_void_p(LIBRARY.rd_kafka_topic_partition_list_new(1))
        LIBRARY.rd_kafka_topic_partition_list_add(topics, topic.encode(), ANY_PARTITION)
        LIBRARY.rd_kafka_subscribe(self.handle, topics)
        self.is_member = True
        self.thread = threading.Thread(target=self.poll)
        self.thread.start()

    def poll(self):
        while self.is_member:
            message = LIBRARY.rd_kafka_consumer_poll(self.handle, 50)
            if message:
                LIBRARY.rd_kafka_message_destroy(ctypes.c_void_p(message))

    def is_assigned(self):
        partitions = ctypes.c_void_p()
        LIBRARY.rd_kafka_assignment(self.handle, ctypes.byref(partitions))
        if not partitions.value:
            return False
        # The list begins with its count.
        count = ctypes.cast(partitions, ctypes.POINTER(ctypes.c_int))[0]
        LIBRARY.rd_kafka_topic_partition_list_destroy(partitions)
        return count > 0

    def leave(self):
        if self.is_member:
            self.is_member = False
            self.thread.join()
            LIBRARY.rd_kafka_consumer_close(self.handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()
