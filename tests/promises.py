#!/usr/bin/env python3
"""Holds SECURITY.md against what really ran: tests/promises.py TESTS_LOG SCRIPTS_LOG

TESTS_LOG is what `cargo test` printed, SCRIPTS_LOG one script a line, each written after it ended well. Every
row of a table whose last column is "test" must name at least one test, each by its full path:
`lib::…` (unit tests), `it::…`, `daemon::…`, `doc::FILE` (a documentation test of that file), or `tests/…` (a
script). A test that was ignored, renamed or filtered out is missing here.
"""
import re
import sys

NAME = re.compile(r"`((?:lib|it|daemon|doc)::[^`]+|tests/[^`]+\.(?:sh|py))`")


def ran(log):
    """The tests that passed, under the name of the binary that they are in."""
    found, binary = set(), None
    for line in log:
        if match := re.match(r"\s*Running (unittests )?(\S+) \(", line):
            unit, path = match.groups()
            binary = "lib" if unit and path == "src/lib.rs" else re.sub(r"^tests/|/main\.rs$|\.rs$", "", path)
        elif line.strip().startswith("Doc-tests "):
            binary = "doc"
        elif match := re.match(r"test (\S+)( - .*)? \.\.\. ok$", line.rstrip()):
            found.add(f"{binary}::{match.group(1)}")
    return found


def rows(text):
    """Line number and last cell of each row of a table of promises."""
    tests = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            tests = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[-1] == "test":
            tests = True
        elif tests and not set(line) <= set("|- "):
            yield number, cells[-1]


def main():
    tests, scripts = sys.argv[1:]
    with open(tests, encoding="utf-8", errors="replace") as log:
        passed = ran(log)
    with open(scripts, encoding="utf-8") as log:
        passed |= {line.strip() for line in log}
    with open("SECURITY.md", encoding="utf-8") as file:
        promises = list(rows(file.read()))
    wrong = []
    for number, cell in promises:
        named = NAME.findall(cell)
        if not named:
            wrong.append(f"SECURITY.md:{number}: names no test by its full path")
        wrong += [f"SECURITY.md:{number}: {name} did not run" for name in named if name not in passed]
    for line in wrong:
        print(line)
    print(f"{len(promises)} promises, {len(passed)} tests and scripts that ran, {len(wrong)} wrong")
    return 1 if wrong or not promises else 0


sys.exit(main())
