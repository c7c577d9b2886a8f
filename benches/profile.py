"""Where the time of a call is: by step, as the log has them, and by process.

Usage: profile.py BINARY [--calls N] [--json FILE]

A run over MCP with a daemon and a cold one, each without a sandbox and with one, and `list_allowed`. Steps are what the log
says of each run (docs/operations.md); what of a call's time is in none of them, on the way there and back and in the start of
a process, is its own line. Processor time, of user and system, is that of /proc and of wait4(2), spread over all calls: with
two processors it may be more than the time of the clock. Logging takes a little itself. Standard library only.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

import measure

# What the log calls them, in order, and what they are.
STEPS = {
    "open_us": "the vault and the audit log are opened",
    "policy_us": "the session is rebuilt, and the policy decides",
    "audit_us": "the intent is written and synced",
    "reveal_us": "the value is decrypted, what is looked for is made ready",
    "spawn_us": "directories, streams, threads; the supervisor is told",
    "program_us": "sandbox, program, its end and its leavings",
    "conclude_us": "the outcome is written",
}
TICK = 1000 / os.sysconf("SC_CLK_TCK")


def logged(file, skip):
    """Medians of what the log says of runs, in ms, without the first ones."""
    with open(file) as log:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read())
    found = {step: [int(us) / 1000 for us in re.findall(rf"\b{step}=(\d+)", text)][skip:] for step in STEPS}
    return {step: statistics.median(times) for step, times in found.items() if times}


def ticks(binary):
    """What each process of a binary has had of the processors, and its ended children: name and pid → user, system, in ms."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") != binary:
                continue
            with open(f"/proc/{pid}/stat") as stat:
                text = stat.read()
        except OSError:
            continue
        fields = text.rsplit(")", 1)[1].split()
        own, children = [TICK * int(number) for number in fields[11:13]], [TICK * int(number) for number in fields[13:15]]
        found[(pid, text.split("(")[1].split(")")[0])] = (own, children)
    return found


def spent(binary, names, work):
    """What processes with these pids took while something was done: name → user, system, in ms."""
    before = ticks(binary)
    work()
    after = ticks(binary)
    found = {}
    for key, (own, children) in after.items():
        label = names.get(key[0]) or ("nursery" if key[1] == "authy-nursery" else None)
        if key not in before or label is None:
            continue
        for name, now, then in ((label, own, before[key][0]), ("supervisors and programs", children, before[key][1])):
            total = found.setdefault(name, [0.0, 0.0])
            found[name] = [total[i] + now[i] - then[i] for i in (0, 1)]
    return found


def path(what, wall, steps, cpu):
    rows = [{"step": STEPS[step], "ms": ms} for step, ms in steps.items()]
    if rows:
        rows.append({"step": "the way there and back, and the start of processes", "ms": wall - sum(steps.values())})
    shares = [{"process": name, "user": user, "system": system} for name, (user, system) in cpu.items()]
    return {"path": what, "wall": wall, "steps": rows, "cpu": shares}


def over_mcp(home, calls, above):
    found = []
    for scope, words in (("off", "MCP run, unsandboxed"), ("on", "MCP run, sandboxed")):
        log = f"{above}/{scope}.log"
        daemon = subprocess.Popen(
            [home.binary, "-vv", "--log-file", log, "daemon"], env=home.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        daemon.stdout.readline()
        server = home.serve(scope)
        names = {str(server.process.pid): "server", str(home.daemon()): "daemon"}
        times = []
        for _ in range(10):
            home.call(server)
        cpu = spent(home.binary, names, lambda: times.extend(measure.timed(lambda: home.call(server)) for _ in range(calls)))
        cpu = {name: [ms / calls for ms in both] for name, both in cpu.items()}
        found.append(path(words, statistics.median(times), logged(log, 10), cpu))
        if scope == "on":
            times = []
            ask = lambda: times.extend(measure.timed(lambda: server.call("list_allowed")) for _ in range(calls))
            cpu = {name: [ms / calls for ms in both] for name, both in spent(home.binary, names, ask).items() if max(both) > 0}
            found.append(path("list_allowed", statistics.median(times), {}, cpu))
        server.end()
        home.lock()
        daemon.wait()
    return found


def cold(home, calls, above):
    found = []
    for scope, words in (("off", "cold run, unsandboxed"), ("on", "cold run, sandboxed")):
        log, times, own = f"{above}/cold-{scope}.log", [], []
        for _ in range(calls):
            begun = time.perf_counter()
            child = subprocess.Popen(
                [home.binary, "-vv", "--log-file", log, *home.cold(scope)[1:]], env=home.env,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                raise SystemExit(f"a cold run of {scope} ended with {child.returncode}")
            times.append((time.perf_counter() - begun) * 1000)
            own.append((used.ru_utime * 1000, used.ru_stime * 1000))
        cpu = {"the command and what it started": [statistics.mean(one) for one in zip(*own)]}
        found.append(path(words, statistics.median(times), logged(log, 0), cpu))
    return found


def main():
    parser = argparse.ArgumentParser(description="Where the time of a call is.")
    parser.add_argument("binary")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="authy-mcp-profile-") as above:
        result = {"machine": measure.machine(above), "calls": args.calls}
        home = measure.Home(args.binary, above)
        result["paths"] = [*over_mcp(home, args.calls, above), *cold(home, args.calls // 3, above)]
    for one in result["paths"]:
        print(f"{one['path']}: {one['wall']:.2f} ms")
        for row in one["steps"]:
            print(f"  {row['ms']:8.3f}  {row['step']}")
        for row in one["cpu"]:
            print(f"  {row['user']:8.3f} user {row['system']:8.3f} system  {row['process']}")
    if args.json:
        with open(args.json, "w") as out:
            json.dump(result, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
