"""Two operators and four servers at one vault, and a thousand calls at once: nobody is told that it is busy.

Usage: crowd.py BINARY [--calls 5000] [--at-once 1000]

Twice, with a daemon and without one: four stdio servers make so many calls between them (nine of ten `list_allowed`, the tenth a
run), while two operators set secrets, list them and apply a policy, one command after the other, until the servers are done. Then
one client sends so many `list_allowed` before it reads an answer. Every call and every command has to come to what it asked for;
at the end the vault and the audit's chain are verified, and each secret that was acknowledged is there. Standard library only.
"""

import argparse
import collections
import json
import os
import subprocess
import tempfile
import threading

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--calls", type=int, default=5000)
parser.add_argument("--at-once", type=int, default=1000)
args = parser.parse_args()
binary = os.path.realpath(args.binary)

POLICY = """scope = "s"
[limits]
runs_per_minute = 1000000
[sandbox]
mode = "off"
[[allow]]
id = "one"
secrets = ["a/key"]
deliver = "env"
commands = [["/bin/true"]]
"""


class Server:
    """A stdio server, and calls to it."""

    def __init__(self, home, words):
        self.process = subprocess.Popen(
            [binary, *words, "serve", "--scope", "s"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=home.env, text=True,
        )
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "crowd", "version": "1"}}
        self.say({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello})
        self.answer()
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def answer(self):
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("crowd: a server ended")
            answer = json.loads(line)
            if "id" in answer:
                return answer

    def ask(self, number, tool, **arguments):
        params = {"name": tool, "arguments": arguments}
        self.say({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def came_to(answer):
    """What a call came to: `ok`, or a refusal's code."""
    result = answer.get("result")
    if result is None:
        return f"error {answer['error']['message']}"
    if not result.get("isError"):
        return "ok"
    return result["structuredContent"].get("code", "error")


class Home:
    def __init__(self, above, words):
        self.dir = tempfile.mkdtemp(dir=above)
        self.words = words
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "AUTHY_MCP_HOME": f"{self.dir}/home"}
        self.ok("init", "--unlock", "identity-file", "--no-pin")
        self.ok("admin", "set", "a/key", stdin="a-value-of-some-length-8Zq4\n")
        self.policy = f"{self.dir}/s.toml"
        with open(self.policy, "w") as out:
            out.write(POLICY)
        self.ok("admin", "policy", "apply", self.policy, "--yes")

    def run(self, *words, stdin=""):
        return subprocess.run([binary, *self.words, *words], env=self.env, text=True, input=stdin, capture_output=True)

    def ok(self, *words, stdin=""):
        done = self.run(*words, stdin=stdin)
        if done.returncode != 0:
            raise SystemExit(f"crowd: {words}: {done.stderr}")
        return done.stdout


def crowd(home):
    """What the calls and the commands came to, and what was acknowledged."""
    calls, commands, acknowledged = collections.Counter(), collections.Counter(), ["a/key"]
    over, lock = threading.Event(), threading.Lock()

    def serve(number):
        server = Server(home, home.words)
        for call in range(args.calls // 4):
            if call % 10 == 9:
                server.ask(call, "run_with_secrets", command=["/bin/true"], secrets=["a/key"])
            else:
                server.ask(call, "list_allowed")
            said = came_to(server.answer())
            with lock:
                calls[said] += 1
        server.end()

    def operate(number):
        turn = 0
        while not over.is_set():
            name = f"o{number}/{turn}"
            for words, stdin in (
                (("admin", "set", name), "a-value-of-some-length-8Zq4\n"),
                (("admin", "list"), ""),
                (("admin", "policy", "apply", home.policy, "--yes"), ""),
            ):
                done = home.run(*words, stdin=stdin)
                said = "ok" if done.returncode == 0 else f"{' '.join(words[:2])}: {done.stderr.strip()[:200]}"
                with lock:
                    commands[said] += 1
                    if said == "ok" and words[1] == "set":
                        acknowledged.append(name)
            turn += 1

    servers = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    operators = [threading.Thread(target=operate, args=(number,)) for number in range(2)]
    for thread in servers + operators:
        thread.start()
    for thread in servers:
        thread.join()
    over.set()
    for thread in operators:
        thread.join()
    return calls, commands, acknowledged


def at_once(home):
    """What so many calls come to that are sent before an answer is read."""
    server = Server(home, home.words)
    came = collections.Counter()

    def read():
        for _ in range(args.at_once):
            came[came_to(server.answer())] += 1

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(args.at_once):
        server.ask(number, "list_allowed")
    reader.join()
    server.end()
    return came


failed = False
with tempfile.TemporaryDirectory() as above:
    for what, words in (("with a daemon", []), ("without a daemon", ["--no-daemon"])):
        home = Home(above, words)
        calls, commands, acknowledged = crowd(home)
        print(f"{what}: {sum(calls.values())} calls {dict(calls)}, {sum(commands.values())} commands {dict(commands)}")
        many = at_once(home)
        print(f"{what}: {args.at_once} list_allowed at once {dict(many)}")
        listed = home.ok("--json", "admin", "list")
        lost = [name for name in acknowledged if f'"{name}"' not in listed]
        print(f"{what}: {len(acknowledged)} secrets acknowledged, {len(lost)} lost")
        home.ok("admin", "verify")
        home.ok("admin", "audit", "verify")
        failed |= bool(lost) or any(set(found) != {"ok"} for found in (calls, commands, many))
        home.run("lock")
print("crowd: failed" if failed else "crowd: ok")
raise SystemExit(1 if failed else 0)
