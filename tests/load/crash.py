"""SIGKILL of the daemon, and of operators' commands, at random moments under load.

Usage: crash.py BINARY [--kills 300]. Prints counts, and closes with 'crash: ok' or what is wrong.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--kills", type=int, default=300)
parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
args = parser.parse_args()
BINARY = os.path.realpath(args.binary)
VALUE = "sk-crash-{:06d}-7Qm2vXz9LrT4"
BUDGET = 1_000_000
POLICY = """scope = "{scope}"
[limits]
runs_per_minute = 1000000
concurrent_runs = 64
[sandbox]
mode = "off"
[[allow]]
secrets = ["s/one"]
deliver = "env"
commands = [["printenv", "*"]]
"""
random.seed(args.seed)


class Stage:
    def __init__(self, home):
        self.home = home
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}
        self.secrets, self.scopes, self.revoked, self.killed, self.broken = [], [], [], 0, 0
        self.failed = []
        self.over = threading.Event()

    def start(self, *words):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([BINARY, *words], env=self.env, text=True, **pipes)

    def admin(self, *words, stdin=""):
        child = self.start(*words)
        out, err = child.communicate(stdin)
        if child.returncode:
            raise SystemExit(f"authy-mcp {' '.join(words)}: {child.returncode}: {err}")
        return out

    def may_be_killed(self, *words, stdin=""):
        """A command that is killed one time in four; whether it acknowledged, and what it said."""
        child = self.start(*words)
        child.stdin.write(stdin)
        child.stdin.close()
        if random.random() < 0.25:
            time.sleep(random.uniform(0.001, 0.03))
            child.kill()
        out = child.stdout.read()
        code = child.wait()
        if code < 0:
            self.killed += 1
        elif code:
            # A command has its turn at the daemon's store: where that is killed, the command says so, and may have been done.
            said = child.stderr.read()
            if "the daemon that keeps the vault" not in said:
                raise SystemExit(f"authy-mcp {' '.join(words)}: {code}: {said}")
            self.broken += 1
        return code == 0, out

    def operate(self):
        # What ends a thread is said by nobody else.
        try:
            self.change()
        except SystemExit as failed:
            self.failed.append(str(failed))

    def change(self):
        number = 0
        while not self.over.is_set():
            number += 1
            done, _ = self.may_be_killed("admin", "set", f"extra/{number}", stdin=VALUE.format(number))
            if done:
                self.secrets.append(f"extra/{number}")
            if number % 4 == 0:
                path = f"{self.home}/{number}.toml"
                with open(path, "w") as file:
                    file.write(POLICY.format(scope=f"p-{number}"))
                done, _ = self.may_be_killed("admin", "policy", "apply", "--yes", path)
                if done:
                    self.scopes.append(f"p-{number}")
            if number % 6 == 0:
                words = ("--json", "admin", "token", "issue", "--scope", "c", "--out", f"{self.home}/{number}.jwt")
                done, said = self.may_be_killed(*words)
                if not done:
                    continue
                issued = json.loads(said)
                done, _ = self.may_be_killed("admin", "token", "revoke", issued["id"])
                if done:
                    self.revoked.append(issued["id"])


class Agent:
    """A client of the initialize era that starts its server again when it is gone."""

    def __init__(self, stage, token):
        self.stage, self.token, self.counts, self.unexpected = stage, token, Counter(), []

    def run(self):
        child = self.stage.start("serve", "--token-file", self.token)
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "crash", "version": "1"}}
        self.ask(child, 0, "initialize", client)
        number = 0
        while not self.stage.over.is_set():
            number += 1
            call = {"name": "run_with_secrets", "arguments": {"command": ["printenv", "S_ONE"], "secrets": ["s/one"]}}
            answer = self.ask(child, number, "tools/call", call)["result"]["structuredContent"]
            if answer.get("stdout") == "[redacted:s/one]\n":
                self.counts["ran"] += 1
            elif answer.get("code") == "busy":
                self.counts["broken off"] += 1
            else:
                self.unexpected.append(answer)
        child.stdin.close()
        child.wait()

    def ask(self, child, number, method, params):
        child.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        if number == 0:
            child.stdin.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}) + "\n")
        child.stdin.flush()
        while True:
            answer = json.loads(child.stdout.readline())
            if answer.get("id") == number:
                return answer


def listener(path):
    """Who listens on a socket, if anybody does."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as stream:
        try:
            stream.connect(path)
            return struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        except OSError:
            return None


def daemon(home):
    """The daemon of a home, and of no other: by its environment, so that one that only starts is found, too; a daemon
    closes that to everybody but root, and then it is who listens on the home's socket. What it forks has its words and
    environment, and a name of its own: that is no daemon."""
    ours = f"AUTHY_MCP_HOME={home}/vault".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            forked = pathlib.Path(f"/proc/{pid}/comm").read_bytes().strip() in (b"authy-nursery", b"authy-supervise")
            if not forked and words[0] == os.fsencode(BINARY) and b"daemon" in words and b"--background" in words:
                if ours in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return int(pid)
        except OSError:
            pass
    return listener(f"{home}/vault/run/daemon.sock")


def main(home):
    stage = Stage(home)
    stage.admin("init", "--no-pin", "--unlock", "identity-file")
    stage.admin("admin", "set", "s/one", stdin=VALUE.format(0))
    with open(f"{home}/c.toml", "w") as file:
        file.write(POLICY.format(scope="c"))
    stage.admin("admin", "policy", "apply", "--yes", f"{home}/c.toml")
    agents = []
    for number in range(3):
        path = f"{home}/agent-{number}.jwt"
        issued = json.loads(stage.admin("--json", "admin", "token", "issue", "--scope", "c", "--max-uses", str(BUDGET), "--out", path))
        agents.append((issued["id"], Agent(stage, path)))
    threads = [threading.Thread(target=agent.run) for (_, agent) in agents]
    threads.append(threading.Thread(target=stage.operate))
    for thread in threads:
        thread.start()
    kills = 0
    while kills < args.kills and all(thread.is_alive() for thread in threads):
        time.sleep(random.uniform(0.02, 0.35))
        pid = daemon(home)
        if pid:
            os.kill(pid, 9)
            kills += 1
    stage.over.set()
    for thread in threads:
        thread.join()
    counts = sum((agent.counts for (_, agent) in agents), Counter())
    print(f"seed {args.seed}: {kills} daemons and {stage.killed} commands killed, {stage.broken} broken off; {dict(counts)}")
    print(f"acknowledged: {len(stage.secrets)} secrets, {len(stage.scopes)} policies, {len(stage.revoked)} revocations")

    # One more daemon, which reports what the last one left.
    last = Agent(stage, f"{home}/agent-0.jwt")
    child = stage.start("serve", "--token-file", last.token)
    last.ask(child, 0, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "crash", "version": "1"}})
    last.ask(child, 1, "tools/call", {"name": "list_allowed", "arguments": {}})
    child.stdin.close()
    child.wait()

    problems = [f"unexpected: {answer}" for (_, agent) in agents for answer in agent.unexpected[:1]]
    problems += stage.failed
    if kills < args.kills:
        problems.append(f"only {kills} kills: a thread ended early")
    listed = set(line.split()[0] for line in stage.admin("admin", "list").splitlines()[1:])
    problems += [f"lost secret {name}" for name in stage.secrets if name not in listed][:2]
    scopes = stage.admin("admin", "policy", "list").split()
    problems += [f"lost policy {scope}" for scope in stage.scopes if scope not in scopes][:2]
    tokens = {token["id"]: token for token in json.loads(stage.admin("--json", "admin", "token", "list"))}
    problems += [f"lost revocation {token}" for token in stage.revoked if not tokens[token]["revoked"]][:2]
    events = [json.loads(line) for line in stage.admin("admin", "audit", "export").splitlines()]
    for action, acknowledged in (("set", stage.secrets), ("policy_apply", stage.scopes), ("token_revoke", stage.revoked)):
        recorded = {event["target"] for event in events if event.get("action") == action}
        problems += [f"no event: {action} {name}" for name in acknowledged if name not in recorded][:2]
    kinds = Counter((event["event"], event["run"]) for event in events if "run" in event)
    runs = {run for (_, run) in kinds}
    wrong = [run for run in runs if kinds[("intent", run)] != 1 or kinds[("outcome", run)] != 1]
    interrupted = sum(event.get("outcome") == "interrupted" for event in events)
    print(f"{len(runs)} runs on record, {interrupted} of them interrupted")
    if wrong:
        problems.append(f"{len(wrong)} runs without exactly one intent and one outcome")
    # Uses: the intent is on record first, then the use is taken, then a value is revealed. A call that broke off
    # between may have an intent without a use, and no run; none that ran is missed, none counted twice.
    for (token, agent) in agents:
        intents = sum(event["event"] == "intent" and event.get("token") == token for event in events)
        used = tokens[token]["uses"]
        if not agent.counts["ran"] <= used <= intents <= used + agent.counts["broken off"]:
            problems.append(f"{token}: {used} uses for {intents} intents, {agent.counts}")
    print(stage.admin("admin", "audit", "verify").strip())
    stage.admin("admin", "verify")
    stage.admin("lock")
    return problems


with tempfile.TemporaryDirectory(prefix="authy-mcp-crash-") as home:
    problems = main(home)
print("crash: " + ("; ".join(problems) or "ok"))
sys.exit(bool(problems))
