"""D9: what came from the environment is not shown, whatever key of the pipeline file it is given
to, by no command and on no page."""

import json

from harness import Worker, check, onceflow, produce, wait_for

SECRET = "hunter2-Zq9"
SHORT = "q7"

# Each key that takes a value of the environment, with a file in which it does.
BASE = """
name: NAME
bootstrap.servers: "SERVERS"
source: { kafka: { topics: ["TOPIC"], group.id: "GROUP" } }
sinks:
  - kafka: { topic: "OUT" }
  - sqlite: { file: "FILE", table: "TABLE", mode: upsert, key: ["KEY"], columns: { k: $.k } }
"""
SOUND = {"NAME": "p", "SERVERS": "127.0.0.1:1", "TOPIC": "t", "GROUP": "g", "OUT": "out",
         "FILE": "out.db", "TABLE": "rows", "KEY": "k"}
POSTGRES = """
name: p
bootstrap.servers: 127.0.0.1:1
source: { kafka: { topics: [t] } }
sinks: [ { postgres: { dsn: "DSN", table: "TABLE" } } ]
"""
QUICK = [["validate"], ["explain"], ["explain", "--json"], ["run"]]
COMMANDS = [*QUICK, ["plan"], ["audit", "--json"], ["reset"]]


def filled(text, values):
    for name, value in values.items():
        text = text.replace(name, value, 1)
    return text


def said_by_all(at, text, commands, **variables):
    """What each command says of the file. No cluster is there: they end by themselves, or are
    ended."""
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = ""
    for command in commands:
        if command == ["run"]:
            with Worker(at, text, environment=variables) as worker:
                worker.stop()
                said += all_said(worker)
        else:
            said += onceflow(command[0], "p.yaml", *command[1:], at=at, code=None,
                             environment=variables)
    return said


def all_said(worker):
    return worker.said() + worker.process.stdout.read()


def no_key_shows_it(at):
    """Whole, and in the middle of a longer value; in files that are refused and in sound ones."""
    for key in SOUND:
        for written, value in (("${env:PW}", SECRET), ("a${env:PW}b", SECRET),
                               ("${env:PW}", SHORT), ("${env:PW}", f"!{SECRET}"),
                               ("${env:PW}", f'{SECRET}"\\')):
            text = filled(BASE, {**SOUND, key: written})
            (at / "p.yaml").write_text(text, encoding="utf-8")
            said = onceflow("validate", "p.yaml", at=at, code=None, environment={"PW": value})
            check(SECRET not in said and f"`{SHORT}`" not in said, f"{key}: {said}")
            said = onceflow("explain", "p.yaml", at=at, code=None, environment={"PW": value})
            check(SECRET not in said, f"{key}: {said}")


def no_command_shows_it(at):
    values = {**SOUND, "NAME": "n${env:PW}", "TOPIC": "t.${env:PW}", "GROUP": "${env:PW}",
              "OUT": "o${env:PW}", "FILE": "${env:PW}.db"}
    said = said_by_all(at, filled(BASE, values), COMMANDS, PW=SECRET)
    check(SECRET not in said, said)
    check("${env:PW}" in said, "nothing was masked, so nothing was tried")


def no_command_shows_a_dsn(at):
    for dsn in (f"host=127.0.0.1 port=1 dbname={SECRET} password={SECRET}",
                f"postgresql://me:{SECRET}@127.0.0.1:1/db", f"not a dsn {SECRET}", SECRET):
        said = said_by_all(at, filled(POSTGRES, {"DSN": "${env:PW}", "TABLE": "t"}), QUICK,
                           PW=dsn)
        check(dsn not in said, said)
        check(f"password={SECRET}" not in said and f":{SECRET}@" not in said, said)


def a_table_named_by_a_secret(at):
    """The case as it was found."""
    text = filled(BASE, {**SOUND, "TABLE": "${env:PW}"})
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at, code=2, environment={"PW": "s3cr3t pass"})
    check("s3cr3t" not in said and "table `${env:PW}`" in said, said)


def no_page_of_a_running_worker_shows_it(at):
    text = """
name: "n-${env:PW}"
source: { kafka: { topics: ["t-${env:PW}"] } }
sinks: [ { kafka: { topic: "o-${env:PW}" } } ]
"""
    with Worker(at, text, environment={"PW": SECRET}) as worker:
        produce(worker.address, f"t-{SECRET}", ['{"k":1}'])
        wait_for(worker.is_running, "it runs")
        for path in ("/status", "/metrics", "/healthz", "/readyz"):
            shown = worker.get(path)
            check(SECRET not in shown, f"{path}: {shown}")
        check("n-${env:PW}" in worker.get("/status"), worker.get("/status"))
        check(worker.stop() == 0, worker.said())
        said = all_said(worker)
        check(SECRET not in said and "n-${env:PW}" in said, said)
    said = onceflow("audit", "p.yaml", "--json", "--data-dir", at / "data", at=at, code=None,
                    environment={"PW": SECRET})
    check(SECRET not in said and json.loads(said), said)


def a_variable_that_is_empty_or_missing_is_named(at):
    text = filled(BASE, {**SOUND, "TABLE": "${env:PW}"})
    (at / "p.yaml").write_text(text, encoding="utf-8")
    said = onceflow("validate", "p.yaml", at=at, code=2, environment={"PW": ""})
    check("`table` is empty" in said, said)
