"""C29: every command of README.md and docs/ runs as it is printed."""

import os
import re
import shutil
import subprocess

from harness import ONCEFLOW, ROOT, check, onceflow

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^onceflow (\w+)(?![=\w])((?:.*\\\n|.*\n(?=\s+\[))*.*)$", re.MULTILINE)
BUILD = re.compile(r"^\./x (demo|test|build)\b.*\n", re.MULTILINE)


def blocks(page, language):
    return [match["text"] for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
            if match["language"] == language]


def every_block_says_what_it_is(at):
    """`sh` is run, `text` is what is printed or how a command is called, `yaml` is a file."""
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
            check(match["language"] in ("sh", "text", "yaml", "sql", "cpp", "json"),
                  f"{page.name}: a block that begins with {match['text'].splitlines()[0]!r} has no "
                  "language")


def commands_run_as_they_are_printed(at):
    """The `sh` blocks of a page, in their order, in one shell, in a folder as a clone has it."""
    count = 0
    for page in PAGES:
        script = "".join(BUILD.sub("", text) for text in blocks(page, "sh"))
        if not script.strip():
            continue
        count += 1
        folder = at / page.stem
        folder.mkdir()
        shutil.copytree(ROOT / "examples", folder / "examples")
        done = run_alone(script, folder)
        check(done.returncode == 0, f"{page.name}: {done.stdout}")
        check_plain_results(page, done.stdout)
    check(count > 0, "no page has a block to run")


def run_alone(script, folder):
    """In a network of its own, so that the ports are those of the page; what it leaves behind in
    the background ends with it."""
    text = ("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n" + script)
    (folder / "bin").mkdir()
    (folder / "bin" / "onceflow").symlink_to(ONCEFLOW)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", "-c", text]
    if os.geteuid() == 0:
        command = ["unshare", "--net", "bash", "-c", "ip link set lo up 2>/dev/null || "
                   "ifconfig lo up; exec bash -c \"$0\"", text]
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)


def check_plain_results(page, printed):
    """Comments after commands that hold JSON say what is printed: it must have been."""
    for text in blocks(page, "sh"):
        for promised in re.findall(r"# (\{.*\})$", text, re.MULTILINE):
            check(promised in printed, f"{page.name}: {promised} was not printed, but {printed}")


def flags_that_pages_name_are_there(at):
    """`onceflow VERB ... --flag` in a block: VERB --help knows the flag."""
    helps = {}
    for page in PAGES:
        for text in blocks(page, "sh") + blocks(page, "text"):
            for verb, rest in CALL.findall(text):
                if verb not in helps:
                    helps[verb] = onceflow(verb, "--help", code=0)
                for flag in re.findall(r"(?<![\w-])--[a-z][\w.-]*", rest):
                    check(flag in helps[verb], f"{page.name}: onceflow {verb} has no {flag}")


def pipeline_files_of_pages_are_valid(at):
    for page in PAGES:
        for text in blocks(page, "yaml"):
            if not re.search(r"^name:", text, re.MULTILINE):
                continue
            (at / "p.yaml").write_text(text, encoding="utf-8")
            onceflow("validate", "p.yaml", at=at,
                     environment={"PG_DSN": "postgresql://u@127.0.0.1/d"})


def examples_are_valid_and_explained(at):
    for file in sorted((ROOT / "examples").glob("*.yaml")):
        for verb in ["validate", "explain"]:
            onceflow(verb, file, at=at, environment={"PG_DSN": "postgresql://u@127.0.0.1/d"})
