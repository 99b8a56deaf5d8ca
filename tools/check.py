#!/usr/bin/env python3
"""The laws of this repository that a machine can check. `./x check` runs it; a finding is one line

    file:line: rule: what is wrong; what to do

and the exit code is 1 if there is any. Each rule is one function over the tree; tools/check_test.py
shows for each that it can fail. The tables it reads: tools/layers.txt, fences.txt, banned.txt,
packages.txt, and INVARIANTS.md.
"""

import argparse
import dataclasses
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import api_list  # noqa: E402  (its folder is known only now)

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CLANG_FORMAT = "clang-format-19"
SHELLCHECK = "shellcheck"

# Built from halves so that this file does not hold what it forbids.
FORBIDDEN_WORDS = {
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b": "do it, or write it in LIMITS.md",
    r"(?<![\w.~-])/(work|tmp/w|root|home/\w+)" r"/\w": "a path of one machine; make it relative",
}

CODE = (".cc", ".h")
WIDE = (".md", ".txt", ".msg", ".json", ".yaml", ".svg", ".html", ".css", ".js", ".lock", ".sum")


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table: its words, and where it stands."""
    keys: list
    paths: list
    advice: str
    line: int


class Tree:
    """The files of the repository, read once, with C++ also in two stripped forms."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.paths = [path for path in list_paths(self.root) if (self.root / path).is_file()]
        self.texts = {}
        for path in self.paths:
            try:
                self.texts[path] = (self.root / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # binary: golden bytes, pictures
        self.code = {p: strip(t) for p, t in self.texts.items() if p.endswith(CODE)}

    def sources(self):
        """C++ below src/ and include/: path and code without comments, with and without strings."""
        for path, (with_strings, bare) in self.code.items():
            if path.startswith(("src/", "include/")):
                yield path, with_strings, bare

    def table(self, name, separator=":"):
        """The rows of tools/<name>: columns, `separator` between, a comment after ` #`."""
        for number, line in enumerate(self.texts.get(f"tools/{name}", "").splitlines(), 1):
            line = line if separator == "::" else re.sub(r"(^|\s)#.*", "", line)
            if not line.strip() or line.startswith("#"):
                continue
            columns = [column.strip() for column in line.split(f" {separator}", 2)]
            columns += [""] * (3 - len(columns))
            keys = [columns[0]] if separator == "::" else columns[0].split()
            yield Row(keys, columns[1].split(), columns[2], number)


def list_paths(root):
    """What git knows or would know; without git, every file."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, check=True, capture_output=True, text=True)
        return sorted(set(filter(None, listed.stdout.split("\0"))))
    found = []
    for folder, _, names in os.walk(root):
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


TOKENS = re.compile(
    r'//(?:[^\n\\]|\\.|\\\n)*'
    r'|/\*.*?\*/'
    r'|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'", re.DOTALL)


def blank(match):
    """Spaces in place of what matched; lines stay lines."""
    return re.sub(r"[^\n]", " ", match.group())


def strip(text):
    """C++ without comments, and without comments and the insides of strings; line numbers stay."""
    def without_comment(match):
        return blank(match) if match.group().startswith("/") else match.group()

    def without_string(match):
        return blank(match) if match.group().startswith("/") else '"' + blank(match)[1:-1] + '"'

    return TOKENS.sub(without_comment, text), TOKENS.sub(without_string, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def includes(code):
    """(line, header) of each #include, whichever brackets it uses."""
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', code, re.MULTILINE):
        yield line_of(code, match.start()), match.group(1)


# ----------------------------------------------------------------------------------------- includes


def check_layers(tree):
    """A layer includes only what tools/layers.txt allows it, and the table itself has no cycle."""
    allowed = {}
    for row in tree.table("layers.txt"):
        layer = row.keys[0]
        for name in row.paths:
            if name.split("/")[0] not in allowed:
                yield Finding("tools/layers.txt", row.line, "layers",
                              f"{layer} names {name}, which does not stand above it; "
                              "order the rows so that there is no cycle")
        allowed[layer] = row.paths
    for path, code, _ in tree.sources():
        parts = path.split("/")
        if parts[0] != "src":
            continue
        layer = parts[1]
        if layer not in allowed:
            yield Finding(path, 1, "layers", f"src/{layer} is not in tools/layers.txt; add its row")
            continue
        for line, header in includes(code):
            target = header.split("/")[0]
            if target not in allowed or target == layer or "/" not in header:
                continue
            if target not in allowed[layer] and header not in allowed[layer]:
                yield Finding(path, line, "layers",
                              f"{layer} may not include {header}; it may include: "
                              f"{' '.join(allowed[layer]) or 'nothing'} (tools/layers.txt)")


def check_own_includes(tree):
    """Headers of ours are written with quotes, from the root of src/; all others with <>."""
    layers = {row.keys[0] for row in tree.table("layers.txt")}
    for path, code, _ in tree.sources():
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)', code, re.MULTILINE):
            quote, header = match.groups()
            line = line_of(code, match.start())
            top = header.split("/")[0]
            ours = "/" in header and (top in layers or top == "onceflow")
            if quote == '"' and not ours:
                yield Finding(path, line, "includes",
                              f'"{header}" does not start at the root of src/; '
                              'write "layer/name.h", and <> for what is not ours')
            elif quote == "<" and ours:
                yield Finding(path, line, "includes", f'<{header}> is ours; write "{header}"')


def check_fences(tree):
    """A foreign header is included only where tools/fences.txt says."""
    rows = list(tree.table("fences.txt"))
    layers = {row.keys[0] for row in tree.table("layers.txt")} | {"onceflow"}
    for path, code, _ in tree.sources():
        for line, header in includes(code):
            if "/" in header and header.split("/")[0] in layers:
                continue
            row = next((row for row in rows if matches(header, row.keys)), None)
            if row is None and ("/" in header or "." in header):
                yield Finding(path, line, "fences",
                              f"<{header}> is in no row of tools/fences.txt; "
                              "add one, with its reason in docs/dependencies.md, or do without")
            elif row is not None and not matches(path, row.paths):
                yield Finding(path, line, "fences",
                              f"<{header}> may be included only in: {' '.join(row.paths)}")


def check_banned(tree):
    """No call of tools/banned.txt: clock, system, threads, chance, exceptions, bare memory."""
    rows = [(re.compile(row.keys[0]), row) for row in tree.table("banned.txt", "::")]
    for path, _, bare in tree.sources():
        for pattern, row in rows:
            if matches(path, row.paths):
                continue
            for match in pattern.finditer(bare):
                advice = row.advice.lstrip(": ")
                yield Finding(path, line_of(bare, match.end()), "banned",
                              f"`{match.group().strip()}`; {advice}")


# -------------------------------------------------------------------------------------------- shape


def check_size(tree):
    """No file of code longer than FILE_LINES_MAX lines, no line wider than COLUMNS_MAX columns."""
    for path, text in tree.texts.items():
        program = path.endswith(CODE + (".py", ".cmake")) or text.startswith("#!")
        lines = text.splitlines()
        if program and len(lines) > FILE_LINES_MAX:
            yield Finding(path, FILE_LINES_MAX + 1, "size",
                          f"{len(lines)} lines; split it by nouns, {FILE_LINES_MAX} at most")
        if not program or path.endswith(WIDE):
            continue
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and "://" not in line:
                yield Finding(path, number, "width",
                              f"{len(line)} columns; break the line, {COLUMNS_MAX} at most")


SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$")


def functions(bare):
    """(first line, last line, head) of each function body; what is nested in one counts with it."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", blank, bare, flags=re.MULTILINE)
    depth, head_from, opened = 0, 0, None
    for match in re.finditer(r"[{};]", code):
        position, token = match.start(), match.group()
        if token == "{":
            head = code[head_from:position]
            if opened is None and "(" in head and not SCOPE.search(head) \
                    and not re.search(r"[^=!<>]=\s*$", head):
                opened = (depth, position, head.strip())
            depth += 1
        elif token == "}":
            depth -= 1
            if opened is not None and depth == opened[0]:
                yield line_of(code, opened[1]), line_of(code, position), opened[2]
                opened = None
        head_from = position + 1


def check_function_length(tree):
    """No function longer than FUNCTION_LINES_MAX lines, tests apart."""
    for path, _, bare in tree.sources():
        if path.endswith("_test.cc"):
            continue
        for first, last, head in functions(bare):
            count = last - first + 1
            if count > FUNCTION_LINES_MAX:
                name = re.search(r"([\w:~]+)\s*\(", head)
                yield Finding(path, first, "function",
                              f"{name.group(1) if name else 'function'} has {count} lines; "
                              f"name its parts, {FUNCTION_LINES_MAX} at most")


def check_openings(tree):
    """A source opens with what it is, unless its header says so; a header has #pragma once."""
    for path, with_strings, _ in tree.sources():
        header = re.sub(r"(_test)?\.cc$", ".h", path)
        told_by_header = header != path and header in tree.texts
        if not told_by_header and not tree.texts[path].startswith("//"):
            yield Finding(path, 1, "opening", "say in a comment on line 1 what this file is, who "
                          "owns it and which thread runs it")
        if path.endswith(".h") and "#pragma once" not in with_strings:
            yield Finding(path, 1, "opening", "a header needs #pragma once")


def check_words(tree):
    """No word that says `later`, no path of one machine."""
    for path, text in tree.texts.items():
        for pattern, advice in FORBIDDEN_WORDS.items():
            for match in re.finditer(pattern, text):
                yield Finding(path, line_of(text, match.start()), "words",
                              f"`{match.group()}`; {advice}")


def check_scripts(tree):
    """Every script parses."""
    for path, text in tree.texts.items():
        first = text.split("\n", 1)[0]
        if path.endswith(".py"):
            try:
                compile(text, path, "exec")
            except SyntaxError as error:
                yield Finding(path, error.lineno or 1, "scripts", f"python: {error.msg}")
        elif is_bash(text):
            parsed = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True)
            if parsed.returncode != 0:
                place = re.search(r"line (\d+): (.*)", parsed.stderr)
                line, reason = place.groups() if place else (1, parsed.stderr.strip())
                yield Finding(path, int(line), "scripts", f"bash: {reason}")
        if first.startswith("#!") and not os.access(tree.root / path, os.X_OK):
            yield Finding(path, 1, "scripts", "has #! but is not executable; chmod +x")


def is_bash(text):
    first = text.split("\n", 1)[0]
    return first.startswith("#!") and "bash" in first


def check_shell(tree):
    """shellcheck has nothing to say about the shell scripts and what they source."""
    if shutil.which(SHELLCHECK) is None:
        print(f"check: {SHELLCHECK} is not here, so the shell scripts are only parsed; ./x setup",
              file=sys.stderr)
        return
    paths = [path for path, text in tree.texts.items() if is_bash(text)]
    if not paths:
        return
    said = subprocess.run([SHELLCHECK, "--external-sources", "--check-sourced", "--format=gcc",
                           *paths], cwd=tree.root, capture_output=True, text=True)
    found = re.findall(r"^(\S+?):(\d+):\d+: (?:error|warning|note): (.*)", said.stdout,
                       re.MULTILINE)
    # What does not parse is a finding of check_scripts already.
    unparsed = {path for path, _, reason in found if reason.endswith("[SC1073]")}
    for path, line, reason in found:
        if path not in unparsed:
            yield Finding(path, int(line), "shell", reason)


def check_format(tree):
    """clang-format has nothing to change."""
    if shutil.which(CLANG_FORMAT) is None:
        print(f"check: {CLANG_FORMAT} is not here, so the format is not checked; ./x setup",
              file=sys.stderr)
        return
    if not (tree.root / ".clang-format").exists():
        yield Finding(".clang-format", 1, "format", "missing")
        return
    paths = [path for path in tree.code if not path.startswith("tests/golden/")]
    jobs = os.cpu_count() or 1
    running = [subprocess.Popen([CLANG_FORMAT, "--dry-run", *paths[job::jobs]], cwd=tree.root,
                                stderr=subprocess.PIPE, text=True)
               for job in range(jobs) if paths[job::jobs]]
    reported = set()
    for process in running:
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)",
                                 process.communicate()[1], re.MULTILINE):
            path, line, _ = match.groups()
            if path not in reported:
                reported.add(path)
                yield Finding(path, int(line), "format", "not as clang-format writes it; ./x fmt")


# ---------------------------------------------------------------------------------------- documents


def check_links(tree):
    """A link of a document leads to a file, and its anchor to a heading."""
    for path, text in tree.texts.items():
        if not path.endswith(".md"):
            continue
        prose = re.sub(r"^```.*?^```|`[^`\n]*`", blank, text, flags=re.MULTILINE | re.DOTALL)
        for match in re.finditer(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)", prose):
            target, _, anchor = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            line = line_of(prose, match.start())
            goal = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            if not (tree.root / goal).exists():
                yield Finding(path, line, "links", f"{target} does not exist")
            elif anchor and goal in tree.texts and anchor not in anchors(tree.texts[goal]):
                yield Finding(path, line, "links", f"{goal} has no heading #{anchor}")


def anchors(text):
    """The anchors that a document's headings make, as GitHub writes them."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*)$", text, re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-"))
    return found


def check_packages(tree):
    """Each package of tools/packages.txt has its reason in docs/dependencies.md."""
    reasons = tree.texts.get("docs/dependencies.md", "")
    for row in tree.table("packages.txt"):
        package = row.keys[0]
        if f"`{package}`" not in reasons:
            yield Finding("tools/packages.txt", row.line, "packages",
                          f"{package} is not in docs/dependencies.md; add its reason and fence")


INVARIANT = re.compile(r"\b[A-Z]{3}-\d+\b")


def invariant_rows(text):
    """(line, id, {column: cell}) of each row of the tables that start with a column `id`."""
    header = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = [cell.lower() for cell in cells]
            continue
        found = INVARIANT.search(cells[0])
        if found:
            yield number, found.group(), dict(zip(header, cells))


def check_invariants(tree):
    """Each promise of INVARIANTS.md has a CHECK, a test, and a checker in simulator or audit.

    A cell that starts with a dash and gives a reason excuses its column; a dash alone does not.
    """
    text = tree.texts.get("INVARIANTS.md", "")
    guards = {"check": set(), "test": set(), "sim": set()}
    named = []
    for path, content in tree.texts.items():
        ids = set(INVARIANT.findall(content))
        in_test = path.endswith("_test.cc") or path.startswith("tests/")
        if in_test:
            guards["test"] |= ids
        elif path.startswith(("src/sim/", "src/audit/")) and path.endswith(CODE):
            guards["sim"] |= ids
        if path.startswith("src/") and path.endswith(CODE) and not in_test:
            for match in re.finditer(r'\bCHECK_INVARIANT\(\s*"([^"]+)"', tree.code[path][0]):
                guards["check"].add(match.group(1))
                named.append((path, line_of(content, match.start()), match.group(1)))
    wanted = {"check": ('a CHECK_INVARIANT("{0}", ...) in src', ("check",)),
              "test": ("a test that names {0}", ("test",)),
              "sim": ("a checker in src/sim or src/audit that names {0}", ("sim", "audit"))}
    known = set()
    for line, invariant, cells in invariant_rows(text):
        known.add(invariant)
        for guard, (what, words) in wanted.items():
            cell = next((cell for column, cell in cells.items()
                         if any(word in column for word in words)), "")
            excuse = re.match(r"[—–-]+\s*(.*)", cell)
            if excuse and not excuse.group(1):
                yield Finding("INVARIANTS.md", line, "invariants",
                              f"{invariant} excuses its {guard} without a reason; write it")
            elif not excuse and invariant not in guards[guard]:
                yield Finding("INVARIANTS.md", line, "invariants",
                              f"{invariant} lacks {what.format(invariant)}; add it, or excuse it "
                              "in the table with a dash and a reason")
    if not known:
        yield Finding("INVARIANTS.md", 1, "invariants", "has no table of promises")
    for path, line, invariant in named:
        if invariant not in known:
            yield Finding(path, line, "invariants", f"{invariant} is not in INVARIANTS.md")


def check_api_list(tree):
    """LIMITS.md names the APIs that the broker does not have, as its table says now."""
    paths = (api_list.PAGE, api_list.KNOWN, api_list.TABLE)
    if any(path not in tree.texts for path in paths):
        return
    page, known, table = (tree.texts[path] for path in paths)
    try:
        is_current = api_list.with_list(page, known, table) == page
    except ValueError as error:
        yield Finding(api_list.PAGE, 1, "apis", str(error))
        return
    if not is_current:
        yield Finding(api_list.PAGE, 1, "apis",
                      "the list of APIs is not what the broker's table says; run tools/api_list.py")


RULES = [check_layers, check_own_includes, check_fences, check_banned, check_size,
         check_function_length, check_openings, check_words, check_scripts, check_shell,
         check_links, check_packages, check_invariants, check_api_list, check_format]


def main():
    parser = argparse.ArgumentParser(description="checks the laws of this repository")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    tree = Tree(parser.parse_args().root)
    findings = [finding for rule in RULES for finding in rule(tree)]
    for finding in findings:
        print(finding)
    print(f"check: {len(tree.paths)} files, {len(RULES)} rules, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
