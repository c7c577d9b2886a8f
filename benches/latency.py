"""What a call costs, beside the floors of this machine, for one binary or several, side by side.

Usage: latency.py BINARY… [--rounds N] [--secrets N]

Floors of the same run, on the file system of the homes: S spawns and waits for /bin/true, F appends 400 bytes and syncs
them, B starts the binary (--version). Lines: a cold `run` of /bin/true with one secret (no daemon, identity file), without
a sandbox and with one; the same call over MCP to a server that stands (its broker in the server, and behind a daemon);
`list_allowed`; `admin list`; `admin set`. The binaries take turns within every round (A B A B); medians in milliseconds.
Standard library only.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("binaries", nargs="+")
parser.add_argument("--rounds", type=int, default=21)
parser.add_argument("--secrets", type=int, default=10)
args = parser.parse_args()

POLICY = """scope = "{scope}"
[limits]
runs_per_minute = 1000000
[sandbox]
mode = "{mode}"
[[allow]]
id = "one"
secrets = ["s/key-0"]
deliver = "env"
commands = [["/bin/true"]]
"""


def timed(work):
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


class Server:
    """A stdio server, and calls to it."""

    def __init__(self, home, words):
        self.process = subprocess.Popen(
            [*home.base, *words, "serve", "--scope", "on"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=home.env, text=True,
        )
        self.number = 0
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "latency", "version": "1"}}
        self.ask("initialize", hello)
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.say({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self.number:
                return answer

    def call(self, tool, **arguments):
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        result = answer["result"]["structuredContent"]
        if answer["result"].get("isError") or result.get("exit_code", 0) != 0:
            raise SystemExit(f"{tool}: {result}")
        return result

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Home:
    """A home of one binary, with secrets and two scopes."""

    def __init__(self, binary, above):
        self.binary = os.path.realpath(binary)
        self.dir = tempfile.mkdtemp(dir=above)
        self.env = {
            "PATH": os.environ["PATH"], "HOME": self.dir, "AUTHY_MCP_HOME": f"{self.dir}/home", "XDG_RUNTIME_DIR": self.dir,
        }
        self.base = [self.binary]
        self.ok("init", "--unlock", "identity-file", "--no-pin")
        env_file = f"{self.dir}/.env"
        with open(env_file, "w") as out:
            out.writelines(f"KEY_{n}=value-of-key-{n}-8Zq41LmX\n" for n in range(args.secrets))
        self.ok("admin", "import", env_file, "--prefix", "s/", "--all")
        names = json.loads(self.ok("--json", "admin", "list"))
        names = [row["name"] for row in (names if isinstance(names, list) else names["secrets"])]
        for scope, mode in (("off", "off"), ("on", "required")):
            text = POLICY.format(scope=scope, mode=mode).replace("s/key-0", names[0])
            with open(f"{self.dir}/{scope}.toml", "w") as out:
                out.write(text)
            self.ok("admin", "policy", "apply", f"{self.dir}/{scope}.toml", "--yes")
        self.secret = names[0]

    def ok(self, *words, stdin=""):
        done = subprocess.run([*self.base, "--no-daemon", *words], env=self.env, text=True, input=stdin, capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"{self.binary} {words}: {done.stderr}")
        return done.stdout

    def lines(self):
        alone = Server(self, ["--no-daemon"])
        daemon = Server(self, [])
        run = {"command": ["/bin/true"], "secrets": [self.secret]}
        yield "B: --version", lambda: subprocess.run([self.binary, "--version"], stdout=subprocess.DEVNULL, check=True)
        yield "cold run, no sandbox", lambda: self.ok("run", "--scope", "off", "--", "/bin/true")
        yield "cold run, sandboxed", lambda: self.ok("run", "--scope", "on", "--", "/bin/true")
        yield "MCP run, sandboxed, broker in the server", lambda: alone.call("run_with_secrets", **run)
        yield "MCP run, sandboxed, daemon", lambda: daemon.call("run_with_secrets", **run)
        yield "list_allowed, broker in the server", lambda: alone.call("list_allowed")
        yield "list_allowed, daemon", lambda: daemon.call("list_allowed")
        yield "admin list", lambda: self.ok("admin", "list")
        yield "admin set", lambda: self.ok("admin", "set", "t/x", stdin="a-value-8Zq41LmX0\n")


def floors(above):
    file = os.open(f"{above}/floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def append():
        os.write(file, b"x" * 400)
        os.fdatasync(file)

    yield "S: /bin/true", lambda: subprocess.run(["/bin/true"], check=True)
    yield "F: append and sync", append


with tempfile.TemporaryDirectory(prefix="authy-mcp-latency-") as above:
    homes = [Home(binary, above) for binary in args.binaries]
    columns = [list(home.lines()) for home in homes]
    base = list(floors(above))
    times = {}
    for number in range(args.rounds + 1):
        for name, work in base:
            times.setdefault((name, 0), []).append(timed(work))
        for row in zip(*columns):
            for column, (name, work) in enumerate(row):
                times.setdefault((name, column), []).append(timed(work))
    medians = {key: statistics.median(taken[1:]) for key, taken in times.items()}
    for name, _ in base:
        print(f"{name:42} {medians[(name, 0)]:8.2f}")
    for name, _ in columns[0]:
        found = [medians[(name, column)] for column in range(len(homes))]
        ratio = f"   {found[-1] / found[0]:5.2f}" if len(found) > 1 else ""
        print(f"{name:42} " + " ".join(f"{value:8.2f}" for value in found) + ratio)
    for home in homes:
        subprocess.run([home.binary, "lock"], env=home.env, capture_output=True)
