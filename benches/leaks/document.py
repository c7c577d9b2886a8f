"""Writes docs/leak-benchmark.md from benches/results/leaks.json: nothing in that page is typed by hand.

Usage: document.py [--check]

--check writes nothing, and fails if the page is not what the results say.
"""

import argparse
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
RESULTS = os.path.join(ROOT, "benches", "results", "leaks.json")
PAGE = os.path.join(ROOT, "docs", "leak-benchmark.md")
HEAD = """# Leak benchmark

What comes back of a secret that a command was given, through programs that start commands with secrets. Each transform of
`tests/leaks/transforms.toml` is done by real tools to four kinds of value, alone and in the middle of a document of 4 kB; what comes back is decoded, and
twelve bytes of the value in a row are a leak. Then ordinary files are printed with 200 secrets loaded: they must come back as they
were. The last column is the CPU time of a megabyte of log lines, printing included. A row whose decoder finds nothing in what the
control prints is no row for that value. Redaction is a net, never a boundary: what is `open` here is open to an agent.

This page is written by `benches/leaks/document.py` from `benches/results/leaks.json`, which one run made:

```
cargo build --release
python3 benches/side-by-side/install.py PEERS
python3 benches/leaks/run.py target/release/authy-mcp PEERS --json benches/results/leaks.json
python3 benches/leaks/document.py
```

To add a program, add a class to `benches/leaks/programs.py`.
"""


def table(rows, left=1):
    head, *body = rows
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body]) + "\n"


def caught(judged):
    """Of the rows, those by which nothing came back."""
    return judged["rows"] - len(judged["open"]) - len(judged["failed"])


def overview(programs):
    kinds = list(next(iter(programs.values()))["values"])
    head = ["program", "version", *[f"{kind}: alone, in 4 kB" for kind in kinds], "files changed", "CPU a MB (ms)"]
    rows = [head]
    for name, found in programs.items():
        cells = []
        for kind in kinds:
            places = found["values"][kind]
            cells.append("not kept" if "reason" in places else ", ".join(f"{caught(judged)} of {judged['rows']}" for judged in places.values()))
        ordinary, cpu = found["ordinary"], found["cpu_ms"]
        changed = "not measured" if "reason" in ordinary else f"{len(ordinary['changed'])} of {ordinary['files']}"
        cost = "—" if cpu is None or isinstance(cpu, dict) else f"{cpu:.2f}"
        rows.append([name, found["version"] or "—", *cells, changed, cost])
    return table(rows, 2)


def open_rows(programs, name):
    """By which rows a program's values came back."""
    kinds = programs[name]["values"]
    columns = [(kind, place) for kind, places in kinds.items() if "reason" not in places for place in places]
    every = sorted({row for kind, place in columns for row in kinds[kind][place]["open"]})
    rows = [["transform", *[f"{kind}, {place}" for kind, place in columns]]]
    for row in every:
        rows.append([row.replace("\\|", "|").replace("|", "\\|"), *["open" if row in kinds[kind][place]["open"] else "" for kind, place in columns]])
    return table(rows, len(rows[0])) if every else "None.\n"


def failures(programs):
    lines = []
    for name, found in programs.items():
        for kind, places in found["values"].items():
            if "reason" in places:
                lines.append(f"- {name}, {kind}: {places['reason']}\n")
                continue
            for place, judged in places.items():
                if judged["failed"]:
                    some = next(iter(judged["failed"].items()))
                    lines.append(f"- {name}, {kind}, {place}: {len(judged['failed'])} rows failed, the first: {some[0]}: {some[1]}\n")
        if isinstance(found["cpu_ms"], dict):
            lines.append(f"- {name}, CPU: {found['cpu_ms']['reason']}\n")
        if found["ordinary"].get("changed"):
            lines.append(f"- {name} changed {', '.join(found['ordinary']['changed'])}\n")
    return "".join(lines) or "None.\n"


def page(results):
    there = {name: found for name, found in results["programs"].items() if "reason" not in found}
    missing = [f"- {name}: {found['reason']}\n" for name, found in results["programs"].items() if "reason" in found]
    what = "".join(f"- {name}: {found['what']}\n" for name, found in there.items())
    machine = results["machine"]
    text = f"{HEAD}\nLinux {machine['kernel']}, {machine['cores']} cores; {len(results['rows'])} transforms. Caught:\n\n{overview(there)}\n{what}"
    if missing:
        text += f"\nNot measured:\n\n{''.join(missing)}"
    for name in there:
        if name.startswith("authy-mcp"):
            text += f"\n## Open: {name}\n\n{open_rows(there, name)}"
    return text + f"\n## What went wrong, or was changed\n\n{failures(there)}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with open(RESULTS) as file:
        text = page(json.load(file))
    if args.check:
        with open(PAGE) as file:
            sys.exit(0 if file.read() == text else f"{PAGE} is not what {RESULTS} says: python3 benches/leaks/document.py")
    with open(PAGE, "w") as out:
        out.write(text)


if __name__ == "__main__":
    main()
