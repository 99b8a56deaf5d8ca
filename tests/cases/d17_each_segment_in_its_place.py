"""D17: a segment, an index or a folder that is not the one that was written is named; what it holds
is not served."""

import shutil

from harness import SMALL_SEGMENTS, Broker, check, consume, kcat, onceflow, wait_for
from harness.damage import segments
from harness.kafka_admin import create_topic, delete_topic
from harness.wire import Connection

COUNT = 120


def values_of(topic):
    return [f"{topic}-{number:04}-{'x' * 200}" for number in range(COUNT)]


def filled(at, name="data", topics=("aa", "bb")):
    with Broker(at, *SMALL_SEGMENTS, name=name) as broker:
        for topic in topics:
            create_topic(broker.address, topic, 1, segment_bytes=4096)
            for part in range(0, COUNT, 10):
                # In one batch, so that the segments of all topics are alike.
                kcat(broker.address, "-P", "-t", topic, "-p", "0", "-X", "linger.ms=100",
                     given="\n".join(values_of(topic)[part:part + 10]) + "\n")
        check(broker.stop() == 0, broker.said())
    return at / name


def exchange(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def no_stranger_is_served(at, paths):
    """Refused at the start, or read up to what is not its own; of each folder one of the paths is
    named, by the log and by the audit."""
    def are_named(said):
        return {path.parent for path in paths} == {
            path.parent for path in paths if str(path.relative_to(at)) in said}
    walked = onceflow("audit", "--data-dir", "data", at=at, code=1)
    check(are_named(walked), walked)
    with Broker(at) as broker:
        if not broker.ready:
            check(broker.wait() == 1, "it does not end")
            check(any(path.name in broker.said() for path in paths), broker.said())
            return
        for topic in {path.parent.name[:2] for path in paths}:
            for value in read_what_can_be(broker, topic):
                check(value.startswith(topic), f"{topic} serves {value[:20]}")
        wait_for(lambda: are_named(broker.said()), broker.said, 5)
        check("onceflow salvage" in broker.said(), broker.said())
        broker.kill()


def read_what_can_be(broker, topic):
    """From every tenth offset on, as far as it goes."""
    found = []
    with Connection(broker.address) as connection:
        for offset in range(0, COUNT, 10):
            found += connection.fetch_values(topic, offset)
    return found


def segments_exchanged_between_topics(at):
    data = filled(at)
    for number in [0, len(segments(data, "aa")) // 2, -1]:
        one, other = segments(data, "aa")[number], segments(data, "bb")[number]
        check(one.name == other.name and one.stat().st_size == other.stat().st_size, "not alike")
        exchange(one, other)
        no_stranger_is_served(at, [one, other])
        exchange(one, other)


def segments_exchanged_with_their_indexes(at):
    data = filled(at)
    for path in [*segments(data, "aa"), *(data / "topics" / "aa-0").glob("*.index")]:
        exchange(path, data / "topics" / "bb-0" / path.name)
    no_stranger_is_served(at, [*segments(data, "aa"), *segments(data, "bb")])


def whole_folders_exchanged(at):
    data = filled(at)
    topics = data / "topics"
    (topics / "aa-0").rename(topics / "kept")
    (topics / "bb-0").rename(topics / "aa-0")
    (topics / "kept").rename(topics / "bb-0")
    no_stranger_is_served(at, [*segments(data, "aa"), *segments(data, "bb")])


def a_folder_of_another_data_directory(at):
    data = filled(at)
    other = filled(at, "other", topics=("aa",))
    shutil.rmtree(data / "topics" / "aa-0")
    shutil.copytree(other / "topics" / "aa-0", data / "topics" / "aa-0")
    no_stranger_is_served(at, [*segments(data, "aa")])


def a_segment_that_is_gone(at):
    data = filled(at)
    path = segments(data, "aa")[1]
    path.unlink()
    no_stranger_is_served(at, [path])


def an_older_copy_of_a_segment(at):
    with Broker(at) as broker:
        create_topic(broker.address, "aa", 1)
        kcat(broker.address, "-P", "-t", "aa", given="aa-1\n")
        broker.stop()
    data = at / "data"
    path = segments(data, "aa")[0]
    older = path.read_bytes()
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "aa", given="aa-2\n")
        broker.stop()
    path.write_bytes(older)
    no_stranger_is_served(at, [path])


def an_index_of_another_segment_is_built_again(at):
    with Broker(at) as broker:
        for topic in ["aa", "bb"]:
            create_topic(broker.address, topic, 1)
            values = values_of(topic) * 20
            kcat(broker.address, "-P", "-t", topic, "-p", "0", "-X", "batch.num.messages=20",
                 given="\n".join(values) + "\n")
        broker.stop()
    topics = at / "data" / "topics"
    name = "00000000000000000000.index"
    check((topics / "aa-0" / name).stat().st_size > 0, "no index")
    exchange(topics / "aa-0" / name, topics / "bb-0" / name)
    walked = onceflow("audit", "--data-dir", "data", at=at)
    check("of another segment" in walked, walked)
    with Broker(at) as broker:
        for topic in ["aa", "bb"]:
            check(consume(broker.address, topic) == values_of(topic) * 20, topic)
        broker.stop()
    check("of another segment" not in onceflow("audit", "--data-dir", "data", at=at), "still")


def the_longest_name_is_deleted(at):
    """Its folder is renamed first, and a file system has a bound on names."""
    name = "n" * 249
    with Broker(at) as broker:
        create_topic(broker.address, name, 2)
        for partition in ["0", "1"]:
            kcat(broker.address, "-P", "-t", name, "-p", partition, given="x\n")
        check(broker.stop() == 0, broker.said())
    with Broker(at) as broker:
        delete_topic(broker.address, name)
        wait_for(lambda: not list((at / "data" / "topics").iterdir()), "the folders to go", 5)
        create_topic(broker.address, name, 1)
        kcat(broker.address, "-P", "-t", name, given="y\n")
        check(consume(broker.address, name) == ["y"], "not served")
        check(broker.stop() == 0, broker.said())
