"""C14: what the group answers for good ends the stage by name; what may pass is waited for, with
who holds the group and how."""

from harness import Worker, check, check_plain, cluster, produce, wait_for
from harness.kafka_admin import create_topic
from harness.rdkafka import GroupMember

PIPELINE = """name: p
source: { kafka: { topics: [orders], group.id: w } }
sinks: [ { kafka: { topic: out } } ]
"""


def a_group_of_another_protocol_is_waited_for_and_named(at):
    with cluster(at, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        produce(broker.address, "orders", ["a"])
        with GroupMember(broker.port, "w", "orders", client_id="theirs",
                         partition_assignment_strategy="cooperative-sticky") as member:
            wait_for(member.is_assigned, "assignment")
            with Worker(at, PIPELINE, servers=broker.address) as worker:
                wait_for(lambda: "cooperative-sticky" in (worker.stage()["cause"] or ""),
                         lambda: f"cause: {worker.stage()}")
                stage = worker.stage()
                check(stage["state"] == "waiting for partitions", stage)
                for word in ["INCONSISTENT_GROUP_PROTOCOL", "theirs", "127.0.0.1", "group.id"]:
                    check(word in stage["cause"], stage)
                check("INCONSISTENT_GROUP_PROTOCOL" in worker.said(), worker.said())
                member.leave()
                wait_for(worker.is_running, lambda: f"running: {worker.stage()}")
                check_plain(worker.said())


def a_full_group_is_waited_for_and_named(at):
    with cluster(at, "--override", "group.max.size=1", "--override",
                "group.initial.rebalance.delay.ms=0") as broker:
        produce(broker.address, "orders", ["a"])
        with GroupMember(broker.port, "w", "orders", client_id="theirs",
                         partition_assignment_strategy="range") as member:
            wait_for(member.is_assigned, "assignment")
            with Worker(at, PIPELINE, servers=broker.address) as worker:
                wait_for(lambda: "theirs" in (worker.stage()["cause"] or ""),
                         lambda: f"cause: {worker.stage()}")
                check("GROUP_MAX_SIZE_REACHED" in worker.stage()["cause"], worker.stage())
                member.leave()
                wait_for(worker.is_running, lambda: f"running: {worker.stage()}")


def a_session_time_out_that_the_broker_does_not_allow_ends_it_by_name(at):
    with cluster(at, "--override", "group.min.session.timeout.ms=20000") as broker:
        produce(broker.address, "orders", ["a"])
        with Worker(at, PIPELINE, servers=broker.address, wait=False) as worker:
            check(worker.wait(30) == 1, worker.said())
            for word in ["INVALID_SESSION_TIMEOUT", "session.timeout.ms", "stage 'p'"]:
                check(word in worker.said() or word == "stage 'p'", worker.said())
            check_plain(worker.said())


def a_member_without_partitions_says_who_holds_them(at):
    with cluster(at, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        produce(broker.address, "orders", ["a"])
        with Worker(at, PIPELINE, servers=broker.address) as first:
            wait_for(first.is_running, "running")
            with Worker(at, None, servers=broker.address, worker="2") as second:
                wait_for(lambda: "'p-1'" in (second.stage()["cause"] or "") or
                         "'p-2'" in (first.stage()["cause"] or ""),
                         lambda: f"cause: {first.stage()} {second.stage()}")
                check(all(each.get("/readyz") is not None for each in [first, second]),
                      "one is not ready")


def another_pipeline_in_the_group_is_refused_by_name(at):
    with cluster(at, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        produce(broker.address, "orders", ["a"])
        with Worker(at, PIPELINE, servers=broker.address) as first:
            wait_for(first.is_running, "running")
            other = PIPELINE.replace("name: p", "name: q").replace("topic: out", "topic: out2")
            with Worker(at, other, servers=broker.address, file="q.yaml", wait=False) as second:
                check(second.wait(30) == 1, second.said())
                for word in ["group 'w' of pipeline 'q'", "worker '1' of pipeline 'p'", "group.id"]:
                    check(word in second.said(), second.said())
                check_plain(second.said())
            check(first.is_running(), first.said())


def a_consumer_that_is_no_worker_is_told_of(at):
    with cluster(at, "--override", "group.initial.rebalance.delay.ms=0") as broker:
        create_topic(broker.address, "orders", 4)
        with Worker(at, PIPELINE, servers=broker.address) as worker:
            wait_for(worker.is_running, "running")
            with GroupMember(broker.port, "w", "orders", client_id="theirs",
                             partition_assignment_strategy="range") as member:
                wait_for(member.is_assigned, "assignment")
                wait_for(lambda: "strangers in its group" in worker.said(), worker.said)
                check("client 'theirs'" in worker.said(), worker.said())
                status = worker.status()
                shown = status["strangers_in_its_groups"]
                check(len(shown) == 1 and shown[0]["client"] == "theirs" and
                      shown[0]["group"] == "w" and "not processed" in shown[0]["cause"] and
                      "another group.id" in shown[0]["what_to_do"], shown)
                check("1 member of its groups is no worker" in status["summary"], status)
                check(worker.metric("onceflow_group_strangers") == 1, "it is counted")
                check(worker.is_alive(), worker.said())
            wait_for(lambda: "they have gone" in worker.said(), worker.said)
            check(worker.status()["strangers_in_its_groups"] == [] and
                  worker.metric("onceflow_group_strangers") == 0, "it has gone")
