"""Writes docs/performance.md and its charts from results: nothing in that page is typed by hand.

Usage: document.py [--results FOLDER] [--out FOLDER] [--check]

Results are JSON files below benches/results; a section whose file is not there is left out: table.json of table.py,
profile.json of profile.py, side-by-side.json of run.py, callgrind.json of guard.py, and fresh-clone.json: {"machine": {…}, "said": "…", "steps":
[{"step": "…", "seconds": 1.0}, …]}, by hand or by what measures it. --check writes nothing, and fails if a page or a chart is not what the
results say.
"""

import argparse
import json
import os
import sys

import charts

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "benches"))

import measure
from run import MANY, ROWS, UNITS

OURS = "authy-mcp"
HEAD = """# Performance

What a call costs, beside the least that the machine takes, beside what is promised, and beside other programs. This page is
written by `benches/side-by-side/document.py` from the files in `benches/results`; nothing in it is typed by hand.
"""
METHOD = """## Method

Everything in a table was measured in one run. The lines of a group take turns in every round (A B A B), so that a busy moment
meets all of them; the first round warms up and is left out; figures are medians. All programs are started by the same function
of the same script. Times are of the wall clock; what is synced goes to the disk of that machine, so compare within a table, not
with another page. What is measured is the binary as it is delivered (the profile `dist`); what is counted, and the lines on the
audit log and on redaction, are of `release`. Secrets have some 25 bytes; the program that is run is `/bin/true`.

```
cargo build --profile dist --bins --example bare
python3 benches/table.py target/dist/authy-mcp --json benches/results/table.json
python3 benches/profile.py target/dist/authy-mcp --json benches/results/profile.json
python3 benches/side-by-side/install.py PEERS
python3 benches/side-by-side/run.py target/dist/authy-mcp PEERS --events 1000,10000,100000,1000000 --json benches/results/side-by-side.json
python3 benches/guard.py target/release/authy-mcp --costs benches/results/callgrind.json
python3 benches/side-by-side/document.py
```

`benches/guard.py` counts instructions and system calls of fixed paths in CI and holds them to `benches/guard.json`. It does not
time anything.
"""


def table(rows, left=1):
    """A Markdown table; the first row is its head, columns behind the first `left` are figures."""
    head, *body = rows
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body]) + "\n"


def amount(value):
    return str(int(value)) if value == int(value) and value < 100 else charts.figure(value)


def machine(result):
    where = result["machine"]
    busy = " It was busy with other work: a quiet one takes less." if where["load"] >= where["cores"] else ""
    return (
        f"{where['cores']} cores ({where['processor']}), {where['memory']} of memory, Linux {where['kernel']}, "
        f"{where['file system']}; load at the start {where['load']}.{busy}"
    )


def promised(result):
    floors = [["floor", "what", "ms"]]
    floors += [[name, measure.FLOORS[name], charts.figure(value)] for name, value in result["floors"].items()]
    lines = [["line", "at most", "is", "measured", ""]]
    for line in result["lines"]:
        bound = f"at least {line['bound']}" if line["at_least"] else line["bound"]
        unit = f" {line['unit']}" if line["unit"] else ""
        verdict = "met" if line["met"] else "**not met**"
        lines.append([line["what"], bound, f"{amount(line['at_most'])}{unit}", f"{amount(line['figure'])}{unit}", verdict])
    missed = [line["what"] for line in result["lines"] if not line["met"]]
    said = "All are met in this run." if not missed else f"{len(missed)} of {len(result['lines'])} are not met in this run."
    return (
        "## What is promised\n\nEach line is a sum of floors, taken in the same run on the same file system, and a little more. "
        f"{said}\n\n{machine(result)} Medians of {result['rounds']} rounds.\n\n{table(floors, 2)}\n{table(lines, 2)}"
    )


def beside(result):
    programs = result["programs"]
    names = list(programs)
    rows = [["", *names]]
    for row, what in ROWS.items():
        unit, cells = UNITS.get(row, "ms"), []
        ours = result["rows"][row].get(OURS)
        for name in names:
            taken = result["rows"][row].get(name)
            ratio = f" ({charts.figure(taken['median'] / ours['median'])}×)" if taken and ours and name != OURS else ""
            cells.append(f"{charts.figure(taken['median'])}{ratio}" if taken else "")
        rows.append([f"{what}, {unit}", *cells])
    about = [["program", "version", "what it is, as far as it is measured here"]]
    about += [[name, said["version"], said["what"]] for name, said in programs.items()]
    out = [f"- {name}: {why}" for name, why in result["missing"].items()]
    out += [f"- {name} with {secrets:,} secrets: {why}" for name, secrets, why in result["refused"]]
    out = "\nLeft out:\n\n" + "\n".join(out) + "\n" if out else ""
    return (
        "## Beside others\n\nThe same work, as far as a program has it; an empty cell is work that it does not have. In parentheses, "
        f"how many times as much as ours.\n\n{machine(result)} Up to {result['rounds']} rounds; who is slow had fewer, three at least.\n\n"
        f"{table(rows)}\n{table(about, 3)}{out}\n"
        "`run with one secret` of ours is unsandboxed there and sandboxed in its own row, in both with policy, redaction and a synced "
        "audit event; programs that keep no secrets start the same command in their sandbox. Memory of a run is that of the largest "
        "process; size is without an interpreter that is needed (node for npm packages, none for the others).\n\n"
        "![Beside others](performance/beside.svg)\n"
    )


def losses(result):
    """Rows in which somebody takes less than we do."""
    found = []
    for row, what in ROWS.items():
        ours = result["rows"][row].get(OURS)
        if not ours:
            continue
        for name, taken in sorted(result["rows"][row].items(), key=lambda item: item[1]["median"]):
            if name != OURS and taken["median"] < ours["median"]:
                unit = UNITS.get(row, "ms")
                figures = f"{charts.figure(taken['median'])} {unit}", f"{charts.figure(ours['median'])} {unit}"
                found.append([what, name, *figures, f"{ours['median'] / taken['median']:.1f}×"])
    return found


def where_we_lose(results):
    text = "## Where we lose\n\n"
    if "side-by-side" in results:
        found = losses(results["side-by-side"])
        text += "Rows in which another program takes less, computed from the table above:\n\n" if found else "In no row of the table above.\n\n"
        text += table([["work", "program", "its figure", "ours", "we take"], *found], 2) + "\n" if found else ""
    missed = [line for line in results.get("table", {"lines": []})["lines"] if not line["met"]]
    if missed:
        text += "Promises that this machine did not see met:\n\n"
        text += "".join(f"- {line['what']}: {amount(line['figure'])} {line['unit']} (bound {amount(line['at_most'])})\n" for line in missed)
    return text


def growth(result):
    text = "## Over the number of secrets and events\n\n"
    for key, words, caption in (
        ("secrets", "secrets", "Cost over the number of secrets, ms"),
        ("events", "audit events", "Cost over the number of audit events, ms and MB"),
    ):
        series = result[key]
        if not series:
            continue
        numbers = sorted({int(number) for values in series.values() for number in values})
        rows = [[caption, *(f"{number:,}" for number in numbers)]]
        for name, values in series.items():
            rows.append([name, *(charts.figure(values[str(n)]) if str(n) in values else "" for n in numbers)])
        text += f"{table(rows)}\n![{caption}](performance/{key}.svg)\n\n"
    return text + "Programs that take more than 5 s for a call are not asked with more secrets.\n"


def profile(result):
    text = (
        "## Where the time is\n\nBy step, as the log has them (medians; docs/operations.md), and by what each process had of the "
        f"processors, spread over {result['calls']} calls (a third of them cold), one after another. What was tried to make it "
        f"less, and why it is not less, is in [decision 0011](decisions/0011-what-a-call-costs.md).\n\n{machine(result)}\n\n"
    )
    for one in result["paths"]:
        rows = [[f"{one['path']}: {charts.figure(one['wall'])} ms", "ms"]]
        rows += [[row["step"], charts.figure(row["ms"])] for row in one["steps"]]
        rows += [
            [f"processors: {row['process']}", f"{charts.figure(row['user'])} user, {charts.figure(row['system'])} system"]
            for row in one["cpu"]
        ]
        text += f"{table(rows)}\n"
    return text


def costs(result):
    rows = [["function", "instructions", "share"]]
    rows += [[f"`{one['function']}`", f"{one['instructions']:,}", f"{one['share']:.1f} %"] for one in result["costs"]]
    said = f"By callgrind, of {result['what']}. It emulates a processor without SHA instructions, so that hashes weigh more than they do."
    return f"## The ten largest costs\n\n{said}\n\n{table(rows)}"


def fresh_clone(result):
    rows = [["step", "time"], *([one["step"], f"{one['seconds']:.0f} s"] for one in result["steps"])]
    return f"## From a fresh clone\n\n{result['said']} {machine(result)}\n\n{table(rows)}"


def drawn(results):
    """The charts, by their file."""
    side = results.get("side-by-side")
    if not side:
        return {}
    numbered = lambda series: {name: {int(n): value for n, value in values.items()} for name, values in series.items()}
    found = {}
    if side["secrets"]:
        runs = {name: values for name, values in numbered(side["secrets"]).items() if name.endswith("run") or name.startswith(OURS)}
        found["secrets"] = charts.lines("Cost over the number of secrets", runs, "secrets in the vault", "ms")
    if side["events"]:
        found["events"] = charts.lines("Cost over audit events", numbered(side["events"]), "audit events", "ms or MB, as named")
    rows = ["cold", "cold many", "sandboxed", "list", "set", "first"]
    groups = {ROWS[row]: {name: taken["median"] for name, taken in side["rows"][row].items()} for row in rows if side["rows"][row]}
    found["beside"] = charts.bars("The same work, beside others", groups, "ms")
    return {f"performance/{name}.svg": svg for name, svg in found.items()}


def page(results):
    sections = [HEAD]
    if "table" in results:
        sections.append(promised(results["table"]))
    if "side-by-side" in results:
        sections.append(beside(results["side-by-side"]))
    sections.append(where_we_lose(results))
    for name, section in (("side-by-side", growth), ("profile", profile), ("callgrind", costs), ("fresh-clone", fresh_clone)):
        if name in results:
            sections.append(section(results[name]))
    return "\n".join([*sections, METHOD])


def differs(path, text):
    if not os.path.exists(path):
        return True
    with open(path) as file:
        return file.read() != text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", default=os.path.join(ROOT, "benches", "results"))
    parser.add_argument("--out", default=os.path.join(ROOT, "docs"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    results = {}
    for name in os.listdir(args.results):
        if name.endswith(".json"):
            with open(f"{args.results}/{name}") as file:
                results[name.removesuffix(".json")] = json.load(file)
    files = {"performance.md": page(results)} | drawn(results)
    if args.check:
        wrong = [name for name, text in files.items() if differs(f"{args.out}/{name}", text)]
        sys.exit(f"not what benches/results say: {', '.join(wrong)}; run document.py" if wrong else 0)
    os.makedirs(f"{args.out}/performance", exist_ok=True)
    for name, text in files.items():
        with open(f"{args.out}/{name}", "w") as out:
            out.write(text)


if __name__ == "__main__":
    main()
