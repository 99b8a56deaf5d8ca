#!/usr/bin/env python3
"""Shows that every rule of tools/check.py can fail: a small sound tree, and ways to spoil it.

A case writes files into a copy of the sound tree and says which findings must follow, no more, no
fewer.
"""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check  # noqa: E402  (its folder is known only now)

HERE = pathlib.Path(__file__).resolve().parent

SOUND = {
    ".clang-format": (HERE.parent / ".clang-format").read_text(),
    "tools/layers.txt": "base :\nio : base\nlog : io base\nengine : log/record.h io base\n",
    "tools/fences.txt": "sqlite3.h : src/log/sqlite*\nmutex : src/io/*\n"
                        "*.h : src/io/*  # system\n",
    "tools/banned.txt": (HERE / "banned.txt").read_text(),
    "tools/packages.txt": "# build\ncmake\n",
    "docs/dependencies.md": "# Dependencies\n\n`cmake` builds.\n",
    "README.md": "# Sound\n\nSee [a page](docs/dependencies.md) and [its top](#sound).\n",
    "INVARIANTS.md": "| id | promise | CHECK | test | simulator or audit |\n"
                     "|---|---|---|---|---|\n"
                     "| LOG-1 | it stays | segment | segment_test | durability |\n"
                     "| LOG-2 | dense | — the type says it | segment_test | density |\n",
    "src/base/check.h": "// CHECK.\n#pragma once\n",
    "src/io/clock.h": "// Clock.\n#pragma once\n\n#include <time.h>\n\n#include <mutex>\n",
    "src/log/record.h": "// Record.\n#pragma once\n",
    "src/log/segment.h": "// Segment.\n#pragma once\n",
    "src/log/segment.cc": '#include "log/segment.h"\n\n#include <vector>\n\n'
                          '#include "base/check.h"\n\n'
                          'void append() { CHECK_INVARIANT("LOG-1", true); }\n',
    "src/log/segment_test.cc": "// LOG-1 and LOG-2.\n",
    "src/audit/checker.h": "// LOG-1 and LOG-2.\n#pragma once\n",
}
SOUND["tools/layers.txt"] += "audit : base\n"


def source(*lines):
    return "\n".join(("// A file.", *lines, ""))


def long_function(lines):
    body = ["  from += 1;"] * (lines - 3)
    return source("", "int count(int from) {", *body, "  return from;", "}")


class CheckTest(unittest.TestCase):
    def findings(self, changes):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**SOUND, **changes}.items():
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                if text is not None:
                    file.write_text(text)
                    file.chmod(0o755 if text.startswith("#!/") else 0o644)
            tree = check.Tree(root)
            return [finding for rule in check.RULES for finding in rule(tree)]

    def expect(self, changes, *expected):
        found = sorted(f"{finding.path}:{finding.line}: {finding.rule}"
                       for finding in self.findings(changes))
        self.assertEqual(found, sorted(expected))

    def test_sound_tree_has_no_findings(self):
        self.expect({})

    # ------------------------------------------------------------------------------------ includes

    def test_layer_includes_only_what_it_may(self):
        self.expect({"src/io/disk.cc": source('#include "log/segment.h"')},
                    "src/io/disk.cc:2: layers")

    def test_layer_may_include_a_single_header_of_another(self):
        self.expect({"src/engine/task.cc": source('#include "log/record.h"')})
        self.expect({"src/engine/task.cc": source('#include "log/segment.h"')},
                    "src/engine/task.cc:2: layers")

    def test_tests_obey_the_law_of_their_layer(self):
        self.expect({"src/io/disk_test.cc": source('#include "engine/task.h"')},
                    "src/io/disk_test.cc:2: layers")

    def test_include_in_a_comment_is_none(self):
        self.expect({"src/io/disk.cc": source('/* so:', '#include "log/segment.h"', '*/')})

    def test_every_layer_has_a_row(self):
        self.expect({"src/extra/file.cc": source()}, "src/extra/file.cc:1: layers")

    def test_table_of_layers_has_no_cycle(self):
        self.expect({"tools/layers.txt": "base : log\n" + SOUND["tools/layers.txt"][7:]},
                    "tools/layers.txt:1: layers")

    def test_own_header_is_named_from_the_root(self):
        self.expect({"src/log/index.cc": source('#include "segment.h"')},
                    "src/log/index.cc:2: fences", "src/log/index.cc:2: includes")
        self.expect({"src/log/index.cc": source("#include <base/check.h>")},
                    "src/log/index.cc:2: includes")

    def test_foreign_header_stays_behind_its_fence(self):
        self.expect({"src/log/sqlite_log.cc": source("#include <sqlite3.h>")})
        for header in ("sqlite3.h", "mutex"):
            self.expect({"src/log/index.cc": source(f"#include <{header}>")},
                        "src/log/index.cc:2: fences")

    def test_foreign_header_without_a_row_is_forbidden(self):
        self.expect({"src/io/disk.cc": source("#include <rocksdb/db>")},
                    "src/io/disk.cc:2: fences")

    # -------------------------------------------------------------------------------------- banned

    def test_banned_calls_are_found(self):
        for call in ("std::chrono::steady_clock::now();", "time(nullptr);", "clock_gettime(0, p);",
                     "std::this_thread::sleep_for(x);", "::open(path, 0);", "pread(1, p, 2, 3);",
                     "fsync(1);", "x = ::socket(1, 2, 3);", "std::filesystem::path p;",
                     "std::thread t;", "std::mutex m;", "thread_local int x;",
                     "std::random_device r;", "std::mt19937 r;", "rand();", "getenv(name);",
                     "std::cout << 1;", "fmt::print(text);", "printf(text);", "exit(1);",
                     "std::abort();", "throw 1;", "assert(true);",
                     "p = new Thing;", "delete p;", "free(p);",
                     "std::free(p);", "p = malloc(1);", 'fail(ErrorCode::kCorrupt, "x");'):
            with self.subTest(call):
                text = source("", f"void f() {{ {call} }}")
                self.expect({"src/log/index.cc": text}, "src/log/index.cc:3: banned")

    def test_what_looks_like_a_banned_call_is_none(self):
        for code in ("void open(int name);", "static_assert(true);",
                     "Index(const Index&) = delete;",
                     'auto t = "throw new Thing";', "int x = file.time(0);", "// throw new Thing",
                     "int new_count = 1;", "Task abort();",
                     "View free();", "auto p = std::unique_ptr<T>(new T(1));",
                     "auto x = Disk::open(path);", "int y = 1'000'000;"):
            with self.subTest(code):
                self.expect({"src/log/index.cc": source("", code)})

    def test_tests_may_throw_but_not_read_the_clock(self):
        self.expect({"src/log/index_test.cc": source("", "void f() { throw 1; }")})
        self.expect({"src/log/index_test.cc":
                     source("", "auto t = std::chrono::system_clock::now();")},
                    "src/log/index_test.cc:3: banned")

    def test_io_and_the_tests_outside_src_are_free(self):
        code = source("", "auto t = std::chrono::system_clock::now();")
        self.expect({"src/io/os_clock.cc": code, "tests/chaos/kill.cc": code})

    # --------------------------------------------------------------------------------------- shape

    def test_long_file_is_found(self):
        self.expect({"src/log/index.cc": source(*["//"] * 800)}, "src/log/index.cc:801: size")

    def test_wide_line_is_found(self):
        self.expect({"tools/some.py": "x = 1  #" + " wide" * 20 + "\n"}, "tools/some.py:1: width")

    def test_long_function_is_found(self):
        self.expect({"src/log/index.cc": long_function(70)})
        self.expect({"src/log/index.cc": long_function(71)}, "src/log/index.cc:3: function")
        self.expect({"src/log/index_test.cc": long_function(71)})

    def test_file_says_what_it_is(self):
        self.expect({"src/log/index.h": "#pragma once\n"}, "src/log/index.h:1: opening")
        self.expect({"src/log/index.h": "// An index.\n"}, "src/log/index.h:1: opening")
        self.expect({"src/log/index.cc": "int x;\n"}, "src/log/index.cc:1: opening")
        self.expect({"src/log/index.h": "// An index.\n#pragma once\n",
                     "src/log/index.cc": "int x;\n"})

    def test_words_that_say_later_are_found(self):
        for word in ("TO" "DO", "FIX" "ME", "XX" "X", "see /wo" "rk/main", "/tm" "p/w/x"):
            with self.subTest(word):
                self.expect({"src/log/index.cc": source(f"// {word}")},
                            "src/log/index.cc:2: words")

    def test_script_that_does_not_parse_is_found(self):
        self.expect({"tools/some.py": "def f(:\n"}, "tools/some.py:1: scripts")
        self.expect({"tools/some": "#!/usr/bin/env bash\nif true; then\n"},
                    "tools/some:3: scripts")

    def test_unsound_shell_is_found(self):
        self.expect({"tools/some": "#!/usr/bin/env bash\nset -eu\ncd $1\n"},
                    "tools/some:3: shell")

    def test_format_is_found(self):
        self.expect({"src/log/index.cc": source("int   x;")}, "src/log/index.cc:2: format")

    # ----------------------------------------------------------------------------------- documents

    def test_dead_link_is_found(self):
        self.expect({"docs/page.md": "[x](gone.md)\n"}, "docs/page.md:1: links")
        self.expect({"docs/page.md": "\n[x](../README.md#gone)\n"}, "docs/page.md:2: links")
        self.expect({"docs/page.md": "[x](../README.md#sound) [y](https://kafka.apache.org/)\n"})

    def test_package_without_a_reason_is_found(self):
        self.expect({"tools/packages.txt": "cmake\nninja-build\n"},
                    "tools/packages.txt:2: packages")

    def test_list_of_apis_that_is_not_the_tables_is_found(self):
        def page(rows):
            return ("# Limits\n" + check.api_list.BEGIN +
                    "| not there | key | what to know |\n|---|---|---|\n" + rows +
                    check.api_list.END)
        known = "# all\n0 : Produce\n43 : ElectLeaders : one node\n"
        table = source("constexpr auto kApi = api<&handle_produce>();")
        tree = {"tools/kafka_apis.txt": known, "src/broker/api_table.cc": table}
        layers = {"tools/layers.txt": SOUND["tools/layers.txt"] + "broker : base\n"}
        row = "| ElectLeaders | 43 | one node |\n"
        self.expect({**tree, **layers, "LIMITS.md": page(row)})
        self.expect({**tree, **layers, "LIMITS.md": page("")}, "LIMITS.md:1: apis")
        self.expect({**tree, **layers, "LIMITS.md": "# Limits\n"}, "LIMITS.md:1: apis")
        self.expect({**tree, **layers, "LIMITS.md": page(row),
                     "tools/kafka_apis.txt": known.replace(" : one node", "")},
                    "LIMITS.md:1: apis")

    def test_promise_without_a_guard_is_found(self):
        self.expect({"src/log/segment.cc": "\n"}, "INVARIANTS.md:3: invariants")
        self.expect({"src/log/segment_test.cc": "// LOG-1.\n"}, "INVARIANTS.md:4: invariants")
        self.expect({"src/audit/checker.h": "// LOG-1.\n#pragma once\n"},
                    "INVARIANTS.md:4: invariants")

    def test_excuse_without_a_reason_is_found(self):
        table = SOUND["INVARIANTS.md"].replace("— the type says it", "—")
        self.expect({"INVARIANTS.md": table}, "INVARIANTS.md:4: invariants")

    def test_promise_that_is_in_no_table_is_found(self):
        code = source("", 'void f() { CHECK_INVARIANT("LOG-9", true); }')
        self.expect({"src/log/index.cc": code}, "src/log/index.cc:3: invariants")

    def test_missing_table_of_promises_is_found(self):
        self.expect({"INVARIANTS.md": "# None\n", "src/log/segment.cc": "\n"},
                    "INVARIANTS.md:1: invariants")


if __name__ == "__main__":
    unittest.main(verbosity=0)
