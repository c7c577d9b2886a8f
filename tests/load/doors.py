"""The doors under load: what anybody can do to others by calling, badly or too often.

Usage: doors.py BINARY [--short] [--no-daemon]. One server over HTTP; one after the other 2,500 garbage tokens (400 at once), 1,024
half-open connections, 300 refused calls in flight, and one call with 60,000 names. Under each, another scope's calls
(from a process of their own) alternate with the same without it: medians of 20, as ratios. Closes with 'doors: ok' or what is wrong. Loopback
only, standard library only, over within ten minutes; --short asks for a tenth.
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--short", action="store_true", help="a tenth of it, for every change")
parser.add_argument("--no-daemon", action="store_true")
args = parser.parse_args()
BINARY = os.path.realpath(args.binary)
WAY = ["--no-daemon"] if args.no_daemon else []
SHARE = 10 if args.short else 1
GARBAGE, AT_ONCE, HALVES, REFUSED, NAMES = 2500 // SHARE, 400 // SHARE, 1024 // SHARE, 300 // SHARE, 60_000
CALLS = 6 if args.short else 20
BLOCK = 3 if args.short else 5
LONGEST = 600
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "doors", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
POLICY = """scope = "{}"
[limits]
runs_per_minute = 1000000
[[allow]]
id = "one"
secrets = ["s/key"]
deliver = "env"
commands = [["true"]]
"""
problems = []


def wrong(what):
    problems.append(what)
    print(f"WRONG {what}")


class Stage:
    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}

    def admin(self, *words, stdin=None):
        done = subprocess.run([BINARY, *WAY, *words], env=self.env, input=stdin, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise SystemExit(f"authy-mcp {' '.join(words)}: {done.returncode}: {done.stderr}")
        return done.stdout

    def log_bytes(self):
        return sum(path.stat().st_size for path in (self.home / "vault/audit").rglob("*") if path.is_file())

    def set_up(self):
        # What remembers the vault would be in the home of whoever runs this, and stay there.
        self.admin("init", "--no-pin", "--unlock", "identity-file")
        self.admin("admin", "set", "s/key", stdin="sk-doors-7Qm2vXz9LrT4")
        for scope in ("honest", "hostile"):
            file = self.home / f"{scope}.toml"
            file.write_text(POLICY.format(scope))
            self.admin("admin", "policy", "apply", "--yes", str(file))
        return [self.admin("admin", "token", "issue", "--scope", scope).strip() for scope in ("honest", "hostile")]

    @contextlib.contextmanager
    def server(self):
        words = [BINARY, *WAY, "serve", "--http", "127.0.0.1:0"]
        child = subprocess.Popen(words, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            line = child.stderr.readline()
            port = int(line.split("127.0.0.1:")[1].split("/")[0])
            threading.Thread(target=child.stderr.read, daemon=True).start()
            yield port
        finally:
            child.terminate()
            child.wait(20)
            if not args.no_daemon:
                self.admin("lock")


class Client:
    def __init__(self, port, token):
        self.port, self.token = port, token

    def call(self, tool, arguments):
        """The status, and where it is a success, what the tool answered."""
        params = {"name": tool, "arguments": arguments, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
            "Connection": "close",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/mcp", body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            return response.status, None
        lines = [line[5:] for line in text.splitlines() if line.startswith("data:")] or [text]
        return 200, json.loads(lines[-1])["result"]["structuredContent"]

    def run(self):
        return self.call("run_with_secrets", {"command": ["true"], "secrets": ["s/key"]})


class Load:
    """Something that goes on from `begin` to `end`; what it saw is in `seen`."""

    def __init__(self):
        self.seen, self.stop, self.threads = Counter(), threading.Event(), []

    def spread(self, count, work):
        self.threads = [threading.Thread(target=self.keep, args=(work,), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def keep(self, work):
        while not self.stop.is_set():
            try:
                said = work()
            except (OSError, http.client.HTTPException) as error:
                said = type(error).__name__
            if said is None:
                return
            self.seen[said] += 1

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


class Garbage(Load):
    """Tokens that are none, until all have been shown."""

    def __init__(self, port, like):
        super().__init__()
        self.port, self.like, self.left, self.lock = port, like, GARBAGE, threading.Lock()

    def begin(self):
        self.stop.clear()
        self.spread(AT_ONCE, self.one)

    def one(self):
        with self.lock:
            if self.left <= 0:
                return None
            self.left -= 1
            number = self.left
        shapes = ["x.y.z", self.like[:-8] + f"{number:08d}", "A" * 4000, f"{number}"]
        return Client(self.port, shapes[number % 4]).call("list_allowed", {})[0]

    def finish(self):
        """Those that are left, so that all of them were shown."""
        self.begin()
        for thread in self.threads:
            thread.join(120)


class Halves(Load):
    """Connections with half a request each, opened anew where the server closes them."""

    def __init__(self, port):
        super().__init__()
        self.port, self.open = port, []

    def begin(self):
        for _ in range(HALVES):
            stream = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            with contextlib.suppress(OSError):
                stream.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            self.open.append(stream)
        self.seen["opened"] += HALVES

    def end(self):
        for stream in self.open:
            stream.close()
        self.open = []


class Refused(Load):
    """Calls that no rule allows, so many in flight."""

    def __init__(self, port, token):
        super().__init__()
        self.client = Client(port, token)

    def begin(self):
        self.stop.clear()
        self.spread(REFUSED, self.one)

    def one(self):
        status, answer = self.client.call("run_with_secrets", {"command": ["false"], "secrets": ["s/key"]})
        if status == 429:
            # A second is what the server asks for; 300 threads that spin would take the machine by themselves.
            self.stop.wait(1)
        return answer.get("code") if answer else status


class Names(Load):
    """One call after the other that names more secrets than there are."""

    def __init__(self, port, token):
        super().__init__()
        self.client = Client(port, token)

    def begin(self):
        self.stop.clear()
        self.spread(1, self.one)

    def one(self):
        names = [f"z/{number}" for number in range(NAMES)]
        status, answer = self.client.call("run_with_secrets", {"command": ["true"], "secrets": names})
        return answer.get("code") if answer else status


class Apart:
    """A client in a process of its own: beside 300 threads of this one, they would be what is measured."""

    def __init__(self, port, token):
        self.ours, theirs = multiprocessing.Pipe()
        self.child = multiprocessing.Process(target=self.serve, args=(Client(port, token), theirs), daemon=True)
        self.child.start()
        theirs.close()

    @staticmethod
    def serve(client, calls):
        while calls.recv():
            begun = time.monotonic()
            try:
                said = client.run()
            except (OSError, http.client.HTTPException) as error:
                said = type(error).__name__, None
            calls.send((time.monotonic() - begun, *said))

    def run(self):
        self.ours.send(True)
        return self.ours.recv()

    def close(self):
        self.ours.send(False)
        self.child.join(20)


def timed(client):
    took, status, answer = client.run()
    if status != 200 or answer.get("exit_code") != 0:
        wrong(f"an honest call was answered {status}: {answer}")
    return took


def measure(stage, name, load, honest, hostile_codes):
    """The honest call with the load and without it, in turn; and an operator's command under it."""
    without, beside, sets = [], [], []
    for number in range(CALLS // BLOCK):
        without += [timed(honest) for _ in range(BLOCK)]
        load.begin()
        time.sleep(0.05)
        beside += [timed(honest) for _ in range(BLOCK)]
        begun = time.monotonic()
        stage.admin("admin", "set", "s/other", stdin=f"sk-doors-{number:06d}-2vXz9LrT4")
        sets.append(time.monotonic() - begun)
        load.end()
    if isinstance(load, Garbage):
        load.finish()
    bad = {said: count for said, count in load.seen.items() if said not in hostile_codes}
    if bad:
        wrong(f"{name}: {bad}")
    alone, loaded = statistics.median(without), statistics.median(beside)
    print(
        f"{name}: honest call {alone * 1000:.1f} ms alone, {loaded * 1000:.1f} ms beside, ratio {loaded / alone:.2f}, "
        f"longest {max(beside) * 1000:.0f} ms; admin set {statistics.median(sets) * 1000:.0f} ms; seen {dict(load.seen)}"
    )


def main(home):
    stage = Stage(home)
    honest_token, hostile_token = stage.set_up()
    with stage.server() as port:
        honest = Apart(port, honest_token)
        timed(honest)
        before = stage.log_bytes()
        refusals = {"command_not_allowed", "rate_limited", 429}
        # A connection that has shown nothing may be closed to make room for another.
        closed = {"ConnectionResetError", "RemoteDisconnected", "BrokenPipeError"}
        measure(stage, "garbage tokens", Garbage(port, honest_token), honest, {401} | closed)
        measure(stage, "half-open connections", Halves(port), honest, {"opened"})
        measure(stage, "refused calls", Refused(port, hostile_token), honest, refusals)
        measure(stage, "60,000 names", Names(port, hostile_token), honest, {"bad_argument", "rate_limited", 413, 429})
        honest.close()
        grown = stage.log_bytes() - before
        print(f"the audit log grew by {grown / 1000:.0f} kB")
        if grown >= 1_000_000:
            wrong(f"the audit log grew by {grown} bytes")
    stage.admin("admin", "audit", "verify")


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))
signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"doors: not over within {LONGEST} s"))
signal.alarm(LONGEST)
with tempfile.TemporaryDirectory(prefix="authy-mcp-doors-") as home:
    main(home)
print("doors: " + ("; ".join(problems[:5]) or "ok"))
sys.exit(bool(problems))
