"""Another scope's echo beside four hostile streams, beside four streams of plain noise, and alone; alternating, in one run.

Usage: hostile.py BINARY [--calls 20] [--no-daemon]. Prints medians and ratios, and closes with 'hostile: ok' or what is wrong.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--calls", type=int, default=20)
parser.add_argument("--no-daemon", action="store_true")
args = parser.parse_args()
BINARY = os.path.realpath(args.binary)
WAY = ["--no-daemon"] if args.no_daemon else []
POLICY = """scope = "{scope}"
[limits]
runs_per_minute = 1000000
concurrent_runs = 64
[[allow]]
secrets = ["one/key"]
deliver = "env"
commands = [["python3", "**"], ["echo", "hi"]]
"""
ENDLESS = "import sys\nb={}\nwhile 1: sys.stdout.buffer.write(b); sys.stderr.buffer.write(b)"
STREAMS = {
    "alone": None,
    "noise": ENDLESS.format("__import__('random').Random(1).randbytes(131072)"),
    "x\\x9c": ENDLESS.format('b"x\\x9c"*65536'),
    "zeros in zlib": ENDLESS.format("__import__('zlib').compress(bytes(900000))*64"),
}
SECONDS = 3


class Server:
    def __init__(self, scope, env):
        words = [BINARY, *WAY, "serve", "--scope", scope]
        self.child = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.next = 0
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
        self.answer(self.send("initialize", hello))
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def write(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def send(self, method, params):
        self.next += 1
        self.write({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
        return self.next

    def run(self, *command, seconds=60):
        arguments = {"command": command, "secrets": ["one/key"], "timeout_seconds": seconds}
        return self.send("tools/call", {"name": "run_with_secrets", "arguments": arguments})

    def answer(self, number):
        while (message := json.loads(self.child.stdout.readline())).get("id") != number:
            pass
        return message["result"].get("structuredContent")


def measure(hostile, honest, code):
    numbers = [server.run("python3", "-c", code, seconds=SECONDS) for server in hostile] if code else []
    time.sleep(0.7)
    begun = time.monotonic()
    echoed = honest.answer(honest.run("echo", "hi"))
    took = time.monotonic() - begun
    if echoed["stdout"] != "hi\n":
        raise SystemExit(f"hostile: the echo came to {echoed}")
    for server, number in zip(hostile, numbers):
        ran = server.answer(number)
        if ran["outcome"] != "timed_out":
            raise SystemExit(f"hostile: a stream came to {ran['outcome']}")
        longest[code] = max(longest.get(code, 0), ran["duration_ms"] / 1000)
    return took


longest = {}
with tempfile.TemporaryDirectory() as home:
    env = {"PATH": os.environ["PATH"], "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}

    def admin(*words, stdin=""):
        subprocess.run([BINARY, *WAY, *words], env=env, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)

    # What remembers the vault would be in the home of whoever runs this, and stay there.
    admin("init", "--no-pin", "--unlock", "identity-file")
    admin("admin", "set", "one/key", stdin="sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5eUo2W")
    for scope in ["hostile", "honest"]:
        with open(f"{home}/{scope}.toml", "w") as file:
            file.write(POLICY.format(scope=scope))
        admin("admin", "policy", "apply", "--yes", f"{home}/{scope}.toml")
    hostile, honest = [Server("hostile", env) for _ in range(4)], Server("honest", env)
    honest.answer(honest.run("echo", "hi"))
    taken = {name: [] for name in STREAMS}
    for _ in range(args.calls):
        for name, code in STREAMS.items():
            taken[name].append(measure(hostile, honest, code))
    alone = statistics.median(taken["alone"])
    for name, code in STREAMS.items():
        median = statistics.median(taken[name])
        ends = f", its runs end after {longest[code]:.1f} s of {SECONDS}" if code else ""
        print(f"{name}: echo takes {median * 1000:.0f} ms, {median / alone:.1f} times as long as alone{ends}")
    for server in [*hostile, honest]:
        server.child.stdin.close()
        server.child.wait()
    subprocess.run([BINARY, "lock"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("hostile: ok")
