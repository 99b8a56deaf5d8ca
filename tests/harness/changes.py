"""What the cases of changed pipelines share: a pipeline's text in its parts, and its runs."""

from harness import Worker, check, consume, free_port, log_of, onceflow, produce, wait_for

SECONDS = 60


def pipeline(steps="", sinks="  - kafka: { topic: out }\n", group="g", name="p", more=""):
    return (f"name: {name}\nsource: {{ kafka: {{ topics: [in], group.id: {group} }} }}\n{more}"
            + (f"steps:\n{steps}" if steps else "") + f"sinks:\n{sinks}")


def aggregate(columns, id="k", key="$.k", before=""):
    return f"{before}  - {{ id: {id}, key: {key}, aggregate: {{ {columns} }} }}\n"


def run(at, text, records, last, topic="out"):
    """Runs the pipeline until `last` is the last value of its output topic; all its values."""
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", records)
        wait_for(lambda: values(worker, topic)[-1:] == [last],
                 lambda: f"{last} in {topic}, but {values(worker, topic)}", SECONDS)
        found = values(worker, topic)
        check(worker.stop() == 0, f"the worker ends in order: {worker.said()}")
    return found


def run_and_say(at, text, until):
    """Runs it until `until(worker)` holds; what it said on stderr."""
    with Worker(at, text) as worker:
        wait_for(lambda: until(worker), "what is waited for", SECONDS)
        check(worker.stop() == 0, f"the worker ends in order: {worker.said()}")
        return worker.said()


def values(worker, topic="out"):
    try:
        return consume(worker.address, topic)
    except AssertionError:
        return []  # The topic is not there yet.


def refused(at, text):
    """The file is put in place and refused by `run`; what it says."""
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = onceflow("run", "p.yaml", *log_of(at, free_port()), at=at, code=1,
                    seconds=SECONDS)
    check("nothing was written" in said or "nothing runs" in said, f"it says why: {said}")
    return said


def plan(at, text, code):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("plan", "p.yaml", *log_of(at), at=at, code=code, seconds=SECONDS)


def reset(at, *arguments, code=0):
    return onceflow("reset", "p.yaml", *log_of(at), *arguments, at=at, code=code,
                    seconds=SECONDS)
