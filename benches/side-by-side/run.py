"""This program beside others that have the same job, or a part of it: one table, medians and ratios, A B A B.

Usage: run.py BINARY PEERS [--rounds N] [--secrets N,N…] [--events N,N…] [--build SECONDS] [--only NAME,NAME…] [--json FILE]

PEERS is the folder of install.py. The same work for all: /bin/true with one secret out of 10 and out of 10,000, the same in
a sandbox, the names listed, a secret set, the first answer of an MCP server, a call of it. For each row the programs take
turns, one call each, within every round. A program that could not be installed or set up is in the table with the reason.
With --secrets (default 10 to 100,000) what this program and those that keep secrets take over their number, with --events
(default none) what `cargo bench --bench audit` says of this one over audit events.
"""

import argparse
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import measure
import peers
import table

FEW, MANY = 10, 10_000
# What one program may take of one row, in seconds, before it takes no more turns; three it always has.
PATIENCE = 15
# Who takes longer than this for a call with some secrets, in ms, is not asked with more of them.
SLOW = 5000
ROWS = {
    "cold": "run with one secret of 10",
    "cold many": "run with one secret of 10,000",
    "sandboxed": "run in a sandbox",
    "list": "list of 10 names",
    "list many": "list of 10,000 names",
    "set": "set of a secret beside 10",
    "set many": "set of a secret beside 10,000",
    "first": "first answer of an MCP server",
    "mcp list": "MCP call: list",
    "mcp run": "MCP call: run",
    "peak": "memory of a run",
    "resident": "memory of an MCP server",
    "size": "size installed",
    "install": "install, with downloads",
}
UNITS = {"peak": "MB", "resident": "MB", "size": "MB", "install": "s"}


def parsed():
    numbers = lambda text: [int(number) for number in text.split(",") if number]
    parser = argparse.ArgumentParser(description="This program beside others.")
    parser.add_argument("binary")
    parser.add_argument("peers")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--secrets", type=numbers, default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--events", type=numbers, default=[])
    parser.add_argument("--build", type=float, help="seconds of a build of this program from nothing, with downloads")
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--json")
    return parser.parse_args()


def present(args):
    """The programs that are there, ours first, and why the others are not."""
    folder = os.path.abspath(args.peers)
    with open(f"{folder}/installed.json") as file:
        known = json.load(file)
    found, missing = [peers.Ours(args.binary)], {}
    for kind in peers.ALL:
        said = known.get(kind.name, {"reason": "not tried"})
        if args.only and kind.name not in args.only:
            continue
        if "reason" in said:
            missing[kind.name] = said["reason"]
        else:
            found.append(kind(folder))
    return found, missing, known


class Scene:
    """Places of all programs, made as they are needed; who can't keep so many says why."""

    def __init__(self, programs, above):
        self.programs, self.above, self.made, self.refused = programs, above, {}, {}

    def places(self, secrets):
        """Name → place, of those that could be set up with so many secrets."""
        found = {}
        for peer in self.programs:
            key = peer.name, secrets
            if key not in self.made and key not in self.refused and (peer.keeps or secrets == FEW):
                self.make(peer, secrets, key)
            if key in self.made:
                found[peer.name] = self.made[key]
        return found

    def make(self, peer, secrets, key):
        print(f"setting up {peer.name} with {secrets:,}", file=sys.stderr, flush=True)
        try:
            self.made[key] = peer.place(tempfile.mkdtemp(dir=self.above), secrets)
            self.try_out(key, self.made[key].works)
        except (RuntimeError, OSError) as error:
            self.refused[key] = str(error)

    def try_out(self, key, works):
        """What a program can't do with so many is not measured, and said."""
        for name, work in list(works.items()):
            try:
                peers.admin(work.words, work.env, work.cwd, work.stdin, peers.CALL_SECONDS)
            except (RuntimeError, OSError) as error:
                del works[name]
                self.refused[key] = "; ".join(filter(None, [self.refused.get(key), str(error)]))

    def end(self):
        for place in self.made.values():
            place.ends.close()


def works(scene, secrets, work, args):
    """One row: the same work of all that have it, in turns."""
    places = scene.places(secrets)
    lines = {name: place.works[work].once for name, place in places.items() if work in place.works}
    return measure.turns(lines, args.rounds, PATIENCE)


def first_answers(scene, args):
    """A server is started and asked what it is; its memory after that."""
    places = {name: place for name, place in scene.places(FEW).items() if place.mcp}

    def first(work):
        measure.Server(work.words, work.env, work.cwd).end()

    return measure.turns({name: lambda work=place.mcp: first(work) for name, place in places.items()}, args.rounds, PATIENCE)


def calls(scene, args):
    """Calls of servers that stand, and what memory those hold afterwards."""
    places = {name: place for name, place in scene.places(FEW).items() if place.mcp}
    servers = {name: measure.Server(place.mcp.words, place.mcp.env, place.mcp.cwd) for name, place in places.items()}
    found = {}
    for kind in ("list", "run"):
        lines = {}
        for name, place in places.items():
            if kind in place.tools:
                tool, arguments = place.tools[kind]
                lines[name] = lambda server=servers[name], tool=tool, arguments=arguments: server.call(tool, **arguments)
        found[f"mcp {kind}"] = measure.turns(lines, args.rounds, PATIENCE)
    found["resident"] = {name: once(server.resident()) for name, server in servers.items()}
    for server in servers.values():
        server.end()
    return found


def once(value):
    return measure.Taken(value, value, 1)


def rows(scene, args, known):
    found = {}
    for work in ("cold", "list", "set"):
        found[work] = works(scene, FEW, work, args)
        found[f"{work} many"] = works(scene, MANY, work, args)
    found["sandboxed"] = works(scene, FEW, "sandboxed", args)
    found["first"] = first_answers(scene, args)
    found |= calls(scene, args)
    places = scene.places(FEW)
    found["peak"] = {}
    for name, place in places.items():
        if work := place.works.get("cold") or place.works.get("sandboxed"):
            found["peak"][name] = once(measure.peak(work.words, work.env, work.cwd))
    found["size"] = {peer.name: once(peer.size()) for peer in scene.programs if peer.name != "authy-mcp"}
    found["size"]["authy-mcp"] = once(measure.stripped(args.binary, scene.above))
    found["install"] = {name: once(said["seconds"]) for name, said in known.items() if "seconds" in said and name in places}
    if args.build:
        found["install"]["authy-mcp"] = once(args.build)
    return {row: found[row] for row in ROWS}


def over_secrets(scene, args):
    """Cost over the number of secrets. Who is slow with some is not asked with more."""
    found, slow = {}, set()
    for secrets in args.secrets:
        scene.programs = [peer for peer in scene.programs if peer.keeps and peer.name not in slow]
        for work, word in (("cold", "run"), ("list", "list"), ("set", "set")):
            for name, taken in works(scene, secrets, work, args).items():
                found.setdefault(f"{name}: {word}", {})[secrets] = taken.median
                if taken.median > SLOW:
                    slow.add(name)
    return found


def over_events(args):
    """Cost over audit events: what the benchmark of the audit log prints for each number."""
    found = {}
    for events in args.events:
        for name, (none, full) in table.audit_rows(events).items():
            found.setdefault(name, {}).setdefault(0, none)
            found[name][events] = full
    return found


def show(programs, found, missing, refused):
    names = [peer.name for peer in programs]
    print(f"{'':34}" + "".join(f"{name:>20}" for name in names))
    for row, what in ROWS.items():
        ours = found[row].get("authy-mcp")
        cells = []
        for name in names:
            taken = found[row].get(name)
            ratio = f" {taken.median / ours.median:7.2f}x" if taken and ours else f"{'':9}"
            cells.append(f"{taken.median:11.2f}{ratio}" if taken else f"{'-':>11}{'':9}")
        print(f"{what + ', ' + UNITS.get(row, 'ms'):34}" + "".join(cells))
    for name, why in missing.items():
        print(f"{name}: left out: {why}")
    for (name, secrets), why in refused.items():
        print(f"{name} with {secrets:,} secrets: left out: {why}")


def write(path, result):
    if path:
        with open(path, "w") as out:
            json.dump(result, out, indent=1)
            out.write("\n")


def main():
    args = parsed()
    programs, missing, known = present(args)
    about = {peer.name: {"version": peer.version(), "what": peer.what} for peer in programs}
    with tempfile.TemporaryDirectory(prefix="authy-mcp-side-", ignore_cleanup_errors=True) as above:
        machine = measure.machine(above)
        scene = Scene(programs, above)
        found = rows(scene, args, known)
        secrets = over_secrets(scene, args)
        scene.end()
    show(programs, found, missing, scene.refused)
    result = {
        "machine": machine, "rounds": args.rounds, "programs": about, "missing": missing,
        "refused": [[name, secrets, why] for (name, secrets), why in scene.refused.items()],
        "rows": {row: {name: taken._asdict() for name, taken in found[row].items()} for row in ROWS},
        "secrets": secrets, "events": {},
    }
    write(args.json, result)
    # The longest comes last, and nothing is lost if it fails.
    result["events"] = over_events(args)
    write(args.json, result)


if __name__ == "__main__":
    main()
