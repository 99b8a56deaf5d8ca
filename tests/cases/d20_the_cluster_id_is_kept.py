"""D20: the cluster id outlives meta.properties, and is not changed by hand."""

from harness import Broker, check, kcat, onceflow


def cluster_id(broker):
    return broker.status()["cluster_id"]


def filled(at):
    with Broker(at, shows=True) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        found = cluster_id(broker)
        broker.kill()
    return at / "data" / "meta.properties", found


def a_deleted_file_is_made_again_and_told_of(at):
    path, before = filled(at)
    path.unlink()
    walked = onceflow("audit", "--data-dir", "data", at=at)
    check("meta.properties is missing" in walked and before in walked, walked)
    with Broker(at, shows=True) as broker:
        check(cluster_id(broker) == before, "another cluster id")
        check("meta.properties was missing" in broker.said(), broker.said())
        broker.stop()
    check(f"cluster.id={before}" in path.read_text(), path.read_text())


def a_changed_id_is_refused(at):
    path, before = filled(at)
    path.write_text(path.read_text().replace(before, "AAAAAAAAAAAAAAAAAAAAAA"))
    with Broker(at) as broker:
        check(broker.wait() == 1, "it starts")
        check(before in broker.said() and "meta.properties" in broker.said(), broker.said())
    walked = onceflow("audit", "--data-dir", "data", at=at, code=1)
    check(before in walked, walked)
    path.unlink()  # as the message says
    with Broker(at, shows=True) as broker:
        check(cluster_id(broker) == before, "another cluster id")
        broker.stop()


def a_file_of_another_directory_is_refused(at):
    path, before = filled(at)
    with Broker(at, name="other") as broker:
        broker.stop()
    path.write_text((at / "other" / "meta.properties").read_text())
    with Broker(at) as broker:
        check(broker.wait() == 1 and before in broker.said(), broker.said())


def an_emptied_file_is_refused(at):
    path, _ = filled(at)
    path.write_text("")
    with Broker(at) as broker:
        check(broker.wait() == 1 and "no cluster.id" in broker.said(), broker.said())
