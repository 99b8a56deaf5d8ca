"""Two PostgreSQL databases in one file: of a sink that has another name, or is gone, `onceflow
reset --to-current` asks the database of the sink that goes on, and not the first one that the file
names; where that knows nothing of it, it refuses."""

from harness import Worker, audit, check, onceflow, log_of, produce, shared_postgres, wait_for
from harness.changes import pipeline

OUT = "  - kafka: { topic: out }\n"


def sink(name, dsn, table):
    return (f"  - {{ id: {name}, postgres: {{ dsn: '{dsn}', table: {table}, columns: "
            "{ n: { value: $.n, type: integer } } } }\n")


class Databases:
    def __init__(self):
        self.server = shared_postgres()
        self.dsns = [self.server.new_database(), self.server.new_database()]

    def numbers(self, index, table):
        try:
            return [int(row[0]) for row in
                    self.server.query(f"SELECT n::int FROM {table} ORDER BY n", self.dsns[index])]
        except Exception:  # The table is not there yet.
            return []


def run_to(at, text, records, reached):
    with Worker(at, text) as worker:
        if records:
            produce(worker.address, "in", [{"n": number} for number in records])
        wait_for(reached, worker.said, 60)
        check(worker.stop() == 0, worker.said())


def to_current(at, text, code=0):
    (at / "p.yaml").write_text(text, encoding="utf-8")
    return onceflow("reset", "p.yaml", *log_of(at), "--to-current", "--execute", at=at, code=code)


def a_sink_with_another_name_goes_on_where_its_own_database_is(at):
    of = Databases()
    first, second = of.dsns
    five = list(range(5))
    # Once in the first database, whose position stays there; then in the second one.
    run_to(at, pipeline("", OUT + sink("a", first, "ta") + sink("b", first, "tb")), five,
           lambda: of.numbers(0, "ta") == five and of.numbers(0, "tb") == five)
    run_to(at, pipeline("", OUT + sink("a", first, "ta") + sink("b", second, "tb")), [],
           lambda: of.numbers(1, "tb") == five)
    of.server.query("UPDATE onceflow_positions SET next_offset = 3 WHERE stage = 'b'", first)
    renamed = pipeline("", OUT + sink("a", first, "ta") + sink("b2", second, "tb"))
    said = to_current(at, renamed)
    check("sink b2: go on at out-0@" in said and "out-0@3" not in said, said)
    run_to(at, renamed, [5], lambda: of.numbers(0, "ta") == [*five, 5] and 5 in
           of.numbers(1, "tb"))
    check(of.numbers(1, "tb") == [*five, 5], of.numbers(1, "tb"))
    check("clean" in audit(at, "--allow-foreign") or "not covered" in audit(at), "each once")


def one_whose_database_knows_nothing_of_it_is_refused(at):
    of = Databases()
    first, second = of.dsns
    run_to(at, pipeline("", OUT + sink("b", first, "tb")), range(5),
           lambda: of.numbers(0, "tb") == list(range(5)))
    said = to_current(at, pipeline("", OUT + sink("b2", second, "tb")), 1)
    check("the database of sink b2 holds no position of sink b, which has read out-0@" in said and
          "name the database of before" in said, said)
    # Both with one table's name: each has a database of its own.
    of = Databases()
    (at / "both").mkdir()
    both = at / "both"
    first, second = of.dsns
    run_to(both, pipeline("", OUT + sink("a", first, "t") + sink("b", second, "t")), range(5),
           lambda: of.numbers(0, "t") == of.numbers(1, "t") == list(range(5)))
    of.server.query("UPDATE onceflow_positions SET next_offset = next_offset", first)
    renamed = pipeline("", OUT + sink("a2", first, "t") + sink("b2", second, "t"))
    to_current(both, renamed)
    run_to(both, renamed, [5], lambda: 5 in of.numbers(0, "t") and 5 in of.numbers(1, "t"))
    check(of.numbers(0, "t") == of.numbers(1, "t") == list(range(6)), "each once")


def one_of_two_may_go(at):
    of = Databases()
    first, second = of.dsns
    for index, left in enumerate((sink("b", second, "tb"), sink("a", first, "ta"))):
        here = at / str(index)
        here.mkdir()
        of.server.query("DROP TABLE IF EXISTS ta, tb, onceflow_positions, onceflow_receipts", first)
        of.server.query("DROP TABLE IF EXISTS ta, tb, onceflow_positions, onceflow_receipts",
                        second)
        run_to(here, pipeline("", sink("a", first, "ta") + sink("b", second, "tb")), range(5),
               lambda: of.numbers(0, "ta") == of.numbers(1, "tb") == list(range(5)))
        said = to_current(here, pipeline("", left))
        check("would stay unread" not in said and "done: " in said, said)
