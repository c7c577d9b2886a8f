"""Many servers, driven by the official Python SDK, and an operator who works meanwhile.

Usage: soak.py BINARY [--seconds 120] [--servers 8] [--no-daemon]. Prints counts, and closes with 'soak: ok' or what is wrong.
"""

import argparse
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections import Counter

from mcp import Client, StdioServerParameters

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--servers", type=int, default=8)
parser.add_argument("--no-daemon", action="store_true")
args = parser.parse_args()
BINARY = os.path.realpath(args.binary)
WAY = ["--no-daemon"] if args.no_daemon else []
VALUE = "sk-soak-{:06d}-7Qm2vXz9LrT4"
POLICY = """scope = "soak"
[limits]
runs_per_minute = 1000000
concurrent_runs = 64
[[allow]]
id = "one"
secrets = ["s/rotated", "s/fixed"]
deliver = "env"
commands = [["printenv", "*"], ["true"]]
"""


class Stage:
    def __init__(self, home):
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}
        self.acknowledged = []

    def admin(self, *words, stdin=None):
        done = subprocess.run([BINARY, *WAY, *words], env=self.env, input=stdin, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"authy-mcp {' '.join(words)}: {done.returncode}: {done.stderr}")
        return done.stdout

    def operate(self, until):
        """Rotates, sets, removes, applies, issues and revokes, as fast as it goes."""
        counts = Counter()
        number = 0
        while time.monotonic() < until:
            number += 1
            self.admin("admin", "set", "s/rotated", stdin=VALUE.format(number))
            self.admin("admin", "set", f"extra/{number}", stdin=VALUE.format(number))
            self.acknowledged.append(f"extra/{number}")
            counts["set"] += 2
            if number % 3 == 0:
                self.admin("admin", "policy", "apply", "--yes", self.env["HOME"] + "/policy.toml")
                counts["policy"] += 1
            if number % 5 == 0:
                issued = json.loads(self.admin("--json", "admin", "token", "issue", "--scope", "soak", "--out", self.env["HOME"] + f"/{number}.jwt"))
                self.admin("admin", "token", "revoke", issued["id"])
                counts["token"] += 2
            self.admin("admin", "list")
            counts["list"] += 1
        return counts


async def agent(stage, until, counts, unexpected):
    server = StdioServerParameters(command=BINARY, args=[*WAY, "serve", "--scope", "soak"], env=stage.env)
    async with Client(server, read_timeout_seconds=120) as client:
        while time.monotonic() < until:
            run = {"command": ["printenv", "S_ROTATED"], "secrets": ["s/rotated"]}
            answer = (await client.call_tool("run_with_secrets", run)).structured_content
            if answer.get("stdout") == "[redacted:s/rotated]\n":
                counts["run"] += 1
            else:
                unexpected.append(answer)
            answer = (await client.call_tool("run_with_secrets", {"command": ["id"], "secrets": ["s/fixed"]})).structured_content
            if answer.get("code") == "command_not_allowed":
                counts["denied"] += 1
            else:
                unexpected.append(answer)
            answer = (await client.call_tool("list_allowed", {})).structured_content
            if answer.get("scope") == "soak":
                counts["list_allowed"] += 1
            else:
                unexpected.append(answer)


async def main(home):
    stage = Stage(home)
    stage.admin("init", "--no-pin", "--unlock", "identity-file")
    for name in ("s/rotated", "s/fixed"):
        stage.admin("admin", "set", name, stdin=VALUE.format(0))
    policy = pathlib.Path(home, "policy.toml")
    policy.write_text(POLICY)
    stage.admin("admin", "policy", "apply", "--yes", str(policy))
    until = time.monotonic() + args.seconds
    counts, unexpected = Counter(), []
    agents = [agent(stage, until, counts, unexpected) for _ in range(args.servers)]
    operated, *_ = await asyncio.gather(asyncio.to_thread(stage.operate, until), *agents)
    if not args.no_daemon:
        status = json.loads(stage.admin("--json", "status"))["daemon"]
        print(f"daemon: {status['calls']} calls, {status['runs']} runs, {status['denials']} refused, {status['latency_ms']}")
        # What is summed up of refusals is on record when it ends.
        stage.admin("lock")
    print(f"agents: {dict(counts)}; operator: {dict(operated)}")
    events = [json.loads(line) for line in stage.admin("admin", "audit", "export").splitlines()]
    kinds = Counter((event["event"], event["run"]) for event in events if "run" in event)
    runs = {run for (_, run) in kinds}
    wrong = [run for run in runs if kinds[("intent", run)] != 1 or kinds[("outcome", run)] != 1]
    listed = stage.admin("admin", "list")
    lost = [name for name in stage.acknowledged if name not in listed]
    # Each refusal has an event, or is one of those that were summed up.
    summed = sum(event["number"] for event in events if event["event"] == "denials_summed")
    denied = summed + sum(event["event"] == "denied" for event in events)
    print(stage.admin("admin", "audit", "verify").strip())
    stage.admin("admin", "verify")
    problems = []
    if unexpected:
        problems.append(f"{len(unexpected)} unexpected answers, as {unexpected[0]}")
    if wrong or len(runs) != counts["run"]:
        problems.append(f"{len(runs)} runs on record for {counts['run']}, {len(wrong)} without exactly one intent and outcome")
    if denied != counts["denied"]:
        problems.append(f"{denied} refusals on record for {counts['denied']}")
    if lost:
        problems.append(f"lost: {lost[:3]}")
    if min(counts.values(), default=0) == 0:
        problems.append("nothing was done")
    return problems


with tempfile.TemporaryDirectory(prefix="authy-mcp-soak-") as home:
    problems = asyncio.run(main(home))
print("soak: " + ("; ".join(problems) or "ok"))
sys.exit(bool(problems))
