"""What a call costs, beside the floors of this machine, for one binary or several, side by side.

Usage: latency.py BINARY… [--rounds N] [--secrets N]

Floors of the same run, on the file system of the homes: S spawns and waits for /bin/true, F appends 400 bytes and syncs
them. Lines: B starts the binary (--version); a cold `run` of /bin/true with one secret (no daemon, identity file), without
a sandbox and with one; the same call over MCP to a server that stands (its broker in the server, and behind a daemon);
`list_allowed`; `admin list`; `admin set`. The binaries take turns within every round (A B A B); medians in milliseconds.
Standard library only.
"""

import argparse
import tempfile

import measure

parser = argparse.ArgumentParser()
parser.add_argument("binaries", nargs="+")
parser.add_argument("--rounds", type=int, default=21)
parser.add_argument("--secrets", type=int, default=10)
args = parser.parse_args()


def lines(home):
    alone = home.serve("on", daemon=False)
    daemon = home.serve("on")
    return {
        "B: --version": lambda: home.run("--version"),
        "cold run, no sandbox": lambda: measure.spawn(home.cold("off"), home.env),
        "cold run, sandboxed": lambda: measure.spawn(home.cold("on"), home.env),
        "MCP run, sandboxed, broker in the server": lambda: home.call(alone),
        "MCP run, sandboxed, daemon": lambda: home.call(daemon),
        "list_allowed, broker in the server": lambda: alone.call("list_allowed"),
        "list_allowed, daemon": lambda: daemon.call("list_allowed"),
        "admin list": lambda: home.run("admin", "list"),
        "admin set": lambda: home.run("admin", "set", "t/x", stdin=home.value),
    }


with tempfile.TemporaryDirectory(prefix="authy-mcp-latency-") as above:
    homes = [measure.Home(binary, above, args.secrets) for binary in args.binaries]
    columns = [lines(home) for home in homes]
    turns = {(name, 0): work for name, work in measure.floors(above).items()}
    turns |= {(name, at): column[name] for name in columns[0] for at, column in enumerate(columns)}
    medians = {key: taken.median for key, taken in measure.turns(turns, args.rounds).items()}
    for name in measure.floors(above):
        print(f"{name + ': ' + measure.FLOORS[name]:42} {medians[(name, 0)]:8.2f}")
    for name in columns[0]:
        found = [medians[(name, at)] for at in range(len(homes))]
        ratio = f"   {found[-1] / found[0]:5.2f}" if len(found) > 1 else ""
        print(f"{name:42} " + " ".join(f"{value:8.2f}" for value in found) + ratio)
    for home in homes:
        home.lock()
