"""The table of what this program may cost: each line beside the sum of floors that it is held to, from one run.

Usage: table.py BINARY [--rounds N] [--secrets N] [--events N] [--no-benches] [--bare FILE] [--json FILE]

Floors, on the file system of the homes: S spawns and waits for /bin/true, F appends 400 bytes and syncs them, E calls a
tool that does nothing of a bare server of the protocol's library, B starts the binary (--version). All lines of a group
take turns within every round. Build first: cargo build --release --bins --example bare. The lines on the audit log and on
redaction are what `cargo bench --bench audit` and `--bench redact` print (--no-benches leaves them out). Needs strace and strip.
"""

import argparse
import json
import os
import re
import selectors
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from typing import NamedTuple

import measure

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CONNECTIONS = 8
# "as with none": what two medians of one run differ by without a reason.
AS_WITH_NONE = 1.1


class Line(NamedTuple):
    """One line of the table. A bound is a sum of floors and of milliseconds, or a plain figure."""

    what: str
    bound: str
    at_most: float
    figure: float
    unit: str = "ms"
    at_least: bool = False

    @property
    def met(self):
        return self.figure >= self.at_most if self.at_least else self.figure <= self.at_most


def parsed():
    parser = argparse.ArgumentParser(description="What this program may cost, and what it costs.")
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--secrets", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn of the runs a second")
    parser.add_argument("--no-benches", action="store_true")
    parser.add_argument("--bare")
    parser.add_argument("--json")
    return parser.parse_args()


def sum_of(bound, taken):
    """The value of a bound as `B + S + F + 3`, in ms."""
    total = 0.0
    for term in bound.removesuffix(" ms").split(" + "):
        times, floor = re.fullmatch(r"(\d+ )?([SFEB])", term).groups() if re.search("[SFEB]", term) else (None, None)
        total += float(times or 1) * taken[floor].median if floor else float(term)
    return total


def held_to(what, bound, taken, key):
    return Line(what, bound, sum_of(bound, taken), taken[key].median)


def calls(args, few, cold, many, above):
    """One secret, and many beside it: over MCP with the daemon, and cold, where none stands."""
    off, on = few.serve("off"), few.serve("on")
    lines = measure.floors(above, few.binary, measure.bare_server(few.binary, args.bare)) | {
        "mcp off": lambda: few.call(off),
        "mcp on": lambda: few.call(on),
        "list": lambda: on.call("list_allowed"),
        "cold off": lambda: measure.spawn(cold.cold("off"), cold.env),
        "cold on": lambda: measure.spawn(cold.cold("on"), cold.env),
        "many off": lambda: measure.spawn(many.cold("off"), many.env),
        "many on": lambda: measure.spawn(many.cold("on"), many.env),
    }
    taken = measure.turns(lines, args.rounds)
    found = [
        held_to("MCP run, unsandboxed", "S + F + E + 0.8 ms", taken, "mcp off"),
        held_to("MCP run, sandboxed", "S + F + E + 3.3 ms", taken, "mcp on"),
        held_to("list_allowed", "E + 0.3 ms", taken, "list"),
        held_to("cold run, unsandboxed", "B + S + F + 3 ms", taken, "cold off"),
        held_to("cold run, sandboxed", "B + S + F + 8 ms", taken, "cold on"),
    ]
    for way, name in (("off", "unsandboxed"), ("on", "sandboxed")):
        bound = taken[f"cold {way}"].median + 1
        what = f"the same with {args.secrets:,} secrets, {name}"
        found.append(Line(what, "with one + 1 ms", bound, taken[f"many {way}"].median))
    found.append(Line("a stdio server with the daemon, resident", "12 MB", 12, on.resident(), "MB"))
    for server in (off, on):
        server.end()
    few.lock()
    return taken, found


def counts(home, above):
    """What a cold sandboxed run asks the system for."""
    traced = ["execve", "pivot_root", "fsync", "fdatasync", "openat", "openat2"]
    seen = measure.traced(home.cold("on"), home.env, traced, above)
    names = Counter(call.split("(")[0] for call in seen)
    started = sum(call.startswith("execve(") and f'"{home.binary}"' in call for call in seen)
    engine = any("open" in call and "/store/index/" in call for call in seen)
    return [
        Line("cold run: executions of the binary", "1", 1, started, ""),
        Line("cold run: sandboxes built", "1", 1, names["pivot_root"], ""),
        Line("cold run: engines opened", "0", 0, int(engine), ""),
        Line("cold run: syncs", "2", 2, names["fsync"] + names["fdatasync"], ""),
    ]


class Connections:
    """Servers of one scope, each of a principal of its own, and a call of each in flight."""

    def __init__(self, home, scope):
        self.home = home
        self.servers = [self.server(scope, number) for number in range(CONNECTIONS)]

    def server(self, scope, number):
        file = f"{self.home.dir}/{scope}-{number}.jwt"
        self.home.ok("admin", "token", "issue", "--scope", scope, "--subject", f"{scope}-{number}", "--out", file)
        return measure.Server([self.home.binary, "serve", "--token-file", file], self.home.env)

    def rate(self, seconds):
        """Runs a second, with the next call sent as soon as an answer is there."""
        arguments = {"command": ["/bin/true"], "secrets": [self.home.secret]}
        ready = selectors.DefaultSelector()
        for server in self.servers:
            ready.register(server.process.stdout, selectors.EVENT_READ, server)
            server.send("run_with_secrets", arguments)
        begun, done, left = time.perf_counter(), 0, len(self.servers)
        while left:
            for key, _ in ready.select():
                key.data.result("run_with_secrets")
                took = time.perf_counter() - begun
                if took < seconds:
                    done += 1
                    key.data.send("run_with_secrets", arguments)
                else:
                    left -= 1
                    ready.unregister(key.fileobj)
        return done / seconds

    def end(self):
        for server in self.servers:
            server.end()


def rates(args, home):
    """Runs a second of several principals, with the sandbox and without it in turns."""
    ways = {scope: Connections(home, scope) for scope in ("on", "off")}
    found = {scope: [] for scope in ways}
    for number in range(6):
        for scope, connections in ways.items():
            rate = connections.rate(args.seconds)
            if number:
                found[scope].append(rate)
    for connections in ways.values():
        connections.end()
    home.lock()
    words = f"{CONNECTIONS} connections"
    return [
        Line(f"runs a second, {words}, sandboxed, own networks", "300", 300, statistics.median(found["on"]), "/s", True),
        Line(f"runs a second, {words}, unsandboxed", "600", 600, statistics.median(found["off"]), "/s", True),
    ]


def many_secrets(args, home, above):
    """A daemon above many secrets: its start, a change, its memory."""
    taken = measure.floors(above)
    starts = []
    for _ in range(max(args.rounds // 6, 3)):
        home.lock()
        starts.append(measure.timed(home.start))
    server = home.serve("on")
    home.call(server)
    memory = measure.resident(home.daemon())
    taken["set"] = lambda: home.run("admin", "set", "t/x", daemon=True, stdin=home.value)
    taken = measure.turns(taken, args.rounds // 2)
    server.end()
    home.lock()
    words = f"{args.secrets:,} secrets"
    return [
        Line(f"{words}: the daemon's start, until it listens", "150 ms", 150, statistics.median(starts)),
        held_to(f"{words}: `admin set`, the whole command", "3 F + 3 ms", taken, "set"),
        Line(f"{words}: the daemon's memory behind a run", "80 MB", 80, memory, "MB"),
    ]


def bench(name, *words):
    """What a benchmark of this crate prints."""
    command = ["cargo", "bench", "--locked", "--bench", name, "--", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return done.stdout


def audit_rows(events):
    """Lines of `benches/audit.rs`, name → with no events, with so many."""
    rows = {}
    for line in bench("audit", str(events)).splitlines():
        if row := re.fullmatch(r"(.{44})\s*([\d.]+)\s+([\d.]+)\s+[\d.]+", line):
            rows[row[1].strip()] = float(row[2]), float(row[3])
    return rows


def audit(args):
    """With so many events, beside none."""
    rows, found = audit_rows(args.events), []
    for name, words, unit in (
        ("a fresh daemon's first call, ms", "first call of a fresh daemon", "ms"),
        ("its memory behind it, MB", "its memory", "MB"),
        ("audit show --last 5, ms", "audit show --last 5", "ms"),
    ):
        none, full = rows[name]
        what = f"{args.events:,} audit events: {words}"
        found.append(Line(what, f"as with none (x {AS_WITH_NONE})", none * AS_WITH_NONE, full, unit))
    return found


def redaction():
    """Lines of `benches/redact.rs` for one secret and for a thousand."""
    text = bench("redact")
    found = []
    for secrets, logs, worst in ((1, 300, 20), (1000, 100, 10)):
        words = f"{secrets:,} secret{'s' * (secrets > 1)}"
        ordinary = re.search(rf"^ *{secrets} secrets: redactor +([\d.]+) MB/s", text, re.M)
        hostile = re.search(rf"^ *{secrets} secrets: the worst of .* goes at ([\d.]+) MB", text, re.M)
        found.append(Line(f"redaction, ordinary logs, {words}", f"{logs} MB/s", logs, float(ordinary[1]), "MB/s", True))
        found.append(Line(f"redaction, worst found input, {words}", f"{worst} MB/s", worst, float(hostile[1]), "MB/s", True))
    ready = re.search(r"needles of 1000 secrets ready in ([\d.]+) ms \(.*?\), ([\d.]+) MB; one more in ([\d.]+) ms", text)
    for what, limit, unit, figure in zip(
        ("needles of 1,000 secrets ready", "their memory", "one more"), (100, 64, 1), ("ms", "MB", "ms"), ready.groups()
    ):
        found.append(Line(what, f"{limit} {unit}", limit, float(figure), unit))
    return found


def measured(args):
    with tempfile.TemporaryDirectory(prefix="authy-mcp-table-") as above:
        # Before anything of this is among what the machine does.
        where = measure.machine(above)
        few, cold = measure.Home(args.binary, above, 1), measure.Home(args.binary, above, 1)
        many = measure.Home(args.binary, above, args.secrets, pinned=True)
        taken, lines = calls(args, few, cold, many, above)
        lines += counts(cold, above)
        lines += rates(args, few)
        lines += many_secrets(args, many, above)
        lines.append(Line("the binary, stripped", "15 MB", 15, measure.stripped(args.binary, above), "MB"))
    if not args.no_benches:
        lines += audit(args) + redaction()
    return where, {name: taken[name].median for name in measure.FLOORS}, lines


def main():
    args = parsed()
    machine, floors, lines = measured(args)
    for name, value in floors.items():
        print(f"{name}  {measure.FLOORS[name]:56} {value:8.2f} ms")
    print(f"\n{'':58}{'bound':>20}{'':>10}{'figure':>10}")
    for line in lines:
        verdict = "met" if line.met else "NOT MET"
        print(f"{line.what:58}{line.bound:>20}{line.at_most:>10.2f}{line.figure:>10.2f} {line.unit:5}{verdict}")
    if args.json:
        rows = [line._asdict() | {"met": bool(line.met)} for line in lines]
        with open(args.json, "w") as out:
            json.dump({"machine": machine, "floors": floors, "rounds": args.rounds, "lines": rows}, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
