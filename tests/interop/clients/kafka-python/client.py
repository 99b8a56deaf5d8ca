"""The kafka-python client of tests/interop: client.py BOOTSTRAP CASE... runs cases, a line each."""

import sys
import threading
import time
import traceback
import uuid

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import OffsetAndMetadata

bootstrap = sys.argv[1]

# The client leaves a join unfinished when the poll ends first, and begins another at the next: on a
# busy machine short polls of a group's member may never see a record. They end with the first.
GROUP_POLL_MS = 1000


def unique(name):
    return f"p-{name}-{uuid.uuid4().hex[:12]}"


def create(topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, partitions, 3)])
    admin.close()


def producer(**settings):
    return KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, **settings)


def consumer(*topics, **settings):
    settings.setdefault("isolation_level", "read_committed")
    return KafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        max_poll_records=50,
        **settings,
    )


def send(out, topic, numbers):
    sent = [out.send(topic, key=b"k%d" % number, value=b"%d" % number) for number in numbers]
    out.flush()
    for future in sent:
        future.get(timeout=120)


def counts_of(topic, isolation):
    reader = consumer(isolation_level=isolation)
    partitions = [TopicPartition(topic, index) for index in reader.partitions_for_topic(topic)]
    reader.assign(partitions)
    reader.seek_to_beginning()
    ends = reader.end_offsets(partitions)
    counts = {}
    deadline = time.monotonic() + 120
    while any(reader.position(partition) < ends[partition] for partition in partitions):
        assert time.monotonic() < deadline, f"no end of {topic} with {isolation}"
        for records in reader.poll(timeout_ms=200).values():
            for record in records:
                counts[int(record.value)] = counts.get(int(record.value), 0) + 1
    reader.close()
    return counts


def expect_once(topic, isolation, limit):
    counts = counts_of(topic, isolation)
    wrong = {number: counts.get(number, 0) for number in range(limit) if counts.get(number, 0) != 1}
    assert not wrong, f"{topic}: not once: {str(wrong)[:200]}"
    assert len(counts) == limit, f"{topic}: {len(counts)} numbers, not {limit}"


def produce():
    topic = unique("produce")
    create(topic, 3)
    for index, codec in enumerate([None, "gzip"]):
        out = producer(compression_type=codec, enable_idempotence=False)
        send(out, topic, range(index * 1000, (index + 1) * 1000))
        out.close()
    expect_once(topic, "read_uncommitted", 2000)


def consume():
    topic, group = unique("consume"), unique("group")
    create(topic, 1)
    out = producer()
    send(out, topic, range(200))
    out.close()
    for half in range(2):
        reader = consumer(topic, group_id=group)
        expected, deadline = half * 100, time.monotonic() + 120
        while expected < (half + 1) * 100:
            assert time.monotonic() < deadline, f"only {expected} records"
            for records in reader.poll(timeout_ms=GROUP_POLL_MS).values():
                for record in records:
                    assert record.offset == expected, f"offset {record.offset}, not {expected}"
                    expected += 1
        partition = TopicPartition(topic, 0)
        reader.commit({partition: OffsetAndMetadata((half + 1) * 100, "", -1)})
        assert reader.committed(partition) == (half + 1) * 100
        reader.close()


def idempotent():
    topic = unique("idempotent")
    create(topic, 2)
    out = producer(enable_idempotence=True, batch_size=200)
    send(out, topic, range(3000))
    out.close()
    expect_once(topic, "read_uncommitted", 3000)


def transactional(transactional_id):
    out = producer(transactional_id=transactional_id, transaction_timeout_ms=20000)
    out.init_transactions()
    return out


def transactions():
    topic, transactional_id = unique("transactions"), unique("id")
    create(topic, 3)
    out = transactional(transactional_id)
    for turn in range(10):
        out.begin_transaction()
        send(out, topic, range(turn * 10, turn * 10 + 10))
        out.commit_transaction()
        out.begin_transaction()
        send(out, topic, range(1000, 1005))
        out.abort_transaction()
    out.begin_transaction()
    send(out, topic, range(2000, 2005))
    following = transactional(transactional_id)
    following.begin_transaction()
    send(following, topic, [100])
    following.commit_transaction()
    following.close()
    try:
        send(out, topic, [3000])
        out.commit_transaction()
        raise AssertionError("the old instance was not fenced")
    except AssertionError:
        raise
    except Exception:  # its class differs between the ways of hearing it
        pass
    expect_once(topic, "read_committed", 101)
    assert counts_of(topic, "read_uncommitted")[1000] == 10


def transform():
    source, target = unique("input"), unique("output")
    group, transactional_id = unique("group"), unique("id")
    create(source, 2)
    create(target, 2)
    out = producer()
    send(out, source, range(600))
    out.close()
    done, deadline = 0, time.monotonic() + 120
    for limit in [200, 400, 600]:
        reader = consumer(source, group_id=group)
        out = transactional(transactional_id)
        while done < limit:
            assert time.monotonic() < deadline, f"only {done} in time"
            batches = reader.poll(timeout_ms=GROUP_POLL_MS)
            if not batches:
                continue
            out.begin_transaction()
            positions = {}
            for partition, records in batches.items():
                for record in records:
                    out.send(target, key=record.key, value=record.value)
                    done += 1
                positions[partition] = OffsetAndMetadata(records[-1].offset + 1, "", -1)
            out.send_offsets_to_transaction(positions, reader.group_metadata())
            out.commit_transaction()
        reader.close()
        out.close()
    expect_once(target, "read_committed", 600)


class Member:
    """A consumer that polls in its own thread: two in one cut each other's joins short."""

    def __init__(self, topic, group):
        self.consumer = consumer(topic, group_id=group)
        self.count = 0
        self.problem = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.poll)
        self.thread.start()

    def poll(self):
        try:
            while not self.stopping.is_set():
                self.consumer.poll(timeout_ms=GROUP_POLL_MS)
                self.count = len(self.consumer.assignment())
            self.consumer.close()
        except Exception as problem:
            self.problem = problem

    def leave(self):
        self.stopping.set()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()


def wait_for(counts):
    """Until each member has so many partitions."""
    deadline = time.monotonic() + 120
    while any(member.count != count for member, count in counts.items()):
        for member in counts:
            if member.problem:
                raise member.problem
        assert time.monotonic() < deadline, f"no assignment of {list(counts.values())}"
        time.sleep(0.01)


def rebalance():
    topic, group = unique("rebalance"), unique("group")
    create(topic, 4)
    with Member(topic, group) as one:
        wait_for({one: 4})
        with Member(topic, group) as two:
            wait_for({one: 2, two: 2})
            one.leave()
            wait_for({two: 4})


CASES = [produce, consume, idempotent, transactions, transform, rebalance]


def main():
    good = True
    for name in sys.argv[2:]:
        try:
            next(case for case in CASES if case.__name__ == name)()
            print(f"{name}: ok", flush=True)
        except Exception as problem:
            good = False
            print(f"{name}: FAIL: {type(problem).__name__}: {problem}", flush=True)
            traceback.print_exc()
    sys.exit(0 if good else 1)


main()
