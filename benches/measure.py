"""What the benchmarks share that start the binary: a home, an MCP client over stdio, the machine's floors, and rounds in
which everything takes its turn (A B A B). Times are in milliseconds. Standard library only.
"""

import fcntl
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from typing import NamedTuple

SECRET = "value-of-key-{}-8Zq41LmX"
POLICY = """scope = "{scope}"
[limits]
runs_per_minute = 1000000
concurrent_runs = 64
[sandbox]
mode = "{mode}"
[[allow]]
id = "one"
secrets = ["{secret}"]
deliver = "env"
commands = [["/bin/true"]]
"""
# A scope with each: the sandbox that a policy has by default, and none.
SCOPES = {"on": "required", "off": "off"}


class Taken(NamedTuple):
    """What the rounds of one line took."""

    median: float
    least: float
    rounds: int


def timed(work):
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def turns(lines, rounds, seconds=None):
    """Every line once a round, in order; the first round warms up and is left out. Name → what it took. A line that has
    taken `seconds` takes no more turns, but three at least.
    """
    times = {name: [] for name in lines}
    for _ in range(rounds + 1):
        for name, work in lines.items():
            taken = times[name]
            if seconds is None or len(taken) < 4 or sum(taken) < seconds * 1000:
                taken.append(timed(work))
    return {name: Taken(statistics.median(taken[1:]), min(taken[1:]), len(taken) - 1) for name, taken in times.items()}


def spawn(words, env=None, cwd=None, stdin=None):
    """Starts a program as every line does, so that all pay the same for it, and waits until it ended well."""
    with open(stdin or os.devnull) as given:
        done = subprocess.run(words, env=env, cwd=cwd, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        again = subprocess.run(words, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        raise SystemExit(f"{words}: {done.returncode}: {again.stdout}{again.stderr}")


class Server:
    """An MCP server over stdio, and calls to it."""

    def __init__(self, words, env, cwd=None):
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=cwd, text=True
        )
        self.number = 0
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "benches", "version": "1"}}
        self.ask("initialize", hello)
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def send(self, tool, arguments):
        self.number += 1
        params = {"name": tool, "arguments": arguments}
        self.say({"jsonrpc": "2.0", "id": self.number, "method": "tools/call", "params": params})

    def answer(self):
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"{self.process.args} ended: {self.process.wait()}")
            answer = json.loads(line)
            if answer.get("id") == self.number:
                return answer

    def ask(self, method, params):
        self.number += 1
        self.say({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        return self.answer()

    def call(self, tool, **arguments):
        self.send(tool, arguments)
        return self.result(tool)

    def result(self, tool):
        answer = self.answer()
        result = answer.get("result", {})
        found = result.get("structuredContent") or {}
        if "error" in answer or result.get("isError") or found.get("exit_code", 0) != 0:
            raise SystemExit(f"{tool}: {answer}")
        return found

    def resident(self):
        return resident(self.process.pid)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Home:
    """A home of a binary, with secrets and a scope for each of `SCOPES` that has one of them."""

    def __init__(self, binary, above, secrets=10, pinned=False):
        self.binary = os.path.realpath(binary)
        self.dir = tempfile.mkdtemp(dir=above)
        self.env = {
            "PATH": os.environ["PATH"], "HOME": self.dir, "AUTHY_MCP_HOME": f"{self.dir}/home", "XDG_RUNTIME_DIR": self.dir,
        }
        self.ok("init", "--unlock", "identity-file", *([] if pinned else ["--no-pin"]))
        env_file = f"{self.dir}/.env"
        with open(env_file, "w") as out:
            out.writelines(f"KEY_{number}={SECRET.format(number)}\n" for number in range(secrets))
        self.ok("admin", "import", env_file, "--prefix", "s/", "--all")
        names = json.loads(self.ok("--json", "admin", "list"))
        self.secret = next(row["name"] for row in (names if isinstance(names, list) else names["secrets"]))
        for scope, mode in SCOPES.items():
            with open(f"{self.dir}/{scope}.toml", "w") as out:
                out.write(POLICY.format(scope=scope, mode=mode, secret=self.secret))
            self.ok("admin", "policy", "apply", f"{self.dir}/{scope}.toml", "--yes")
        self.value = f"{self.dir}/value"
        with open(self.value, "w") as out:
            out.write("a-value-8Zq41LmX0\n")

    def ok(self, *words, daemon=False):
        """A command of the operator, and what it printed."""
        words = [self.binary, *([] if daemon else ["--no-daemon"]), *words]
        done = subprocess.run(words, env=self.env, text=True, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"{words}: {done.stderr}")
        return done.stdout

    def cold(self, scope):
        """The words of a run that uses no daemon."""
        return [self.binary, "--no-daemon", "run", "--scope", scope, "--", "/bin/true"]

    def run(self, *words, daemon=False, stdin=None):
        spawn([self.binary, *([] if daemon else ["--no-daemon"]), *words], env=self.env, stdin=stdin)

    def serve(self, scope, daemon=True):
        return Server([self.binary, *([] if daemon else ["--no-daemon"]), "serve", "--scope", scope], self.env)

    def call(self, server):
        return server.call("run_with_secrets", command=["/bin/true"], secrets=[self.secret])

    def daemon(self):
        """The process id of the daemon, which is started if it doesn't stand."""
        status = json.loads(self.ok("--json", "status", daemon=True))
        if not status["running"]:
            self.ok("unlock", daemon=True)
            status = json.loads(self.ok("--json", "status", daemon=True))
        return status["daemon"]["pid"]

    def start(self):
        """Starts a daemon that stands beside none, and waits until it says that it listens."""
        words = [self.binary, "daemon", "--background"]
        daemon = subprocess.Popen(words, env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with daemon.stdout:
            said = daemon.stdout.readline()
        if daemon.wait() != 0 or said != "ready\n":
            raise SystemExit(f"{words}: {said!r}")

    def lock(self):
        """Ends the daemon, and waits until it has let go of the vault."""
        subprocess.run([self.binary, "lock"], env=self.env, capture_output=True)
        with open(f"{self.env['AUTHY_MCP_HOME']}/vault.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


def floors(above, binary=None, bare=None):
    """The least that this machine takes, as lines: S, F, B and, where the bare server is there, E."""
    file = os.open(f"{above}/floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def append():
        os.write(file, b"x" * 400)
        os.fdatasync(file)

    found = {"S": lambda: spawn(["/bin/true"]), "F": append}
    if bare:
        server = Server([bare], {})
        found["E"] = lambda: server.call("nothing")
    if binary:
        found["B"] = lambda: spawn([binary, "--version"])
    return found


FLOORS = {
    "S": "spawn of /bin/true, and its end",
    "F": "append of 400 bytes, and fdatasync",
    "E": "call of a tool that does nothing, bare rmcp server",
    "B": "start of this binary (--version)",
}


def bare_server(binary, given=None):
    """The bare server that was built beside a binary: `cargo build --release --example bare`."""
    path = given or os.path.join(os.path.dirname(os.path.realpath(binary)), "examples", "bare")
    if not os.path.exists(path):
        raise SystemExit(f"{path} is not there: cargo build --release --example bare")
    return path


def traced(words, env, calls, above):
    """What a command and all that it starts ask the system for: a line for each of these calls that went well."""
    out = f"{above}/strace"
    spawn(["strace", "-f", "-qq", "-s", "4096", "-e", "trace=" + ",".join(calls), "-o", out, *words], env=env)
    begun, whole = {}, []
    with open(out) as trace:
        for line in trace:
            pid, call = line.rstrip("\n").split(None, 1)
            if call.endswith("<unfinished ...>"):
                begun[pid] = call.removesuffix("<unfinished ...>")
                continue
            if call.startswith("<... "):
                call = begun.pop(pid, "") + call.split(" resumed>", 1)[1]
            whole.append(call)
    return [call for call in whole if re.match(r"\w+\(", call) and not re.search(r"= -1 E\w+ ", call)]


def peak(words, env=None, cwd=None, stdin=None):
    """Resident memory of the largest process of a command, in MB: by GNU time, whose own is small."""
    with open(stdin or os.devnull) as given:
        done = subprocess.run(["/usr/bin/time", "-f", "%M", *words], env=env, cwd=cwd, stdin=given, capture_output=True, text=True)
    return int(done.stderr.split()[-1]) / 1024


def resident(pid):
    """Resident memory of a process, in MB."""
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1]) / 1024


def stripped(binary, above):
    """Size of the binary without symbols, in MB."""
    out = f"{above}/stripped"
    subprocess.run(["strip", "-o", out, binary], check=True)
    return os.path.getsize(out) / 1e6


def machine(above):
    """The machine, without anything that names it."""
    with open("/proc/cpuinfo") as cpus:
        model = re.search(r"model name\s*: (.*)", cpus.read())
    with open("/proc/meminfo") as memory:
        total = int(re.search(r"MemTotal:\s*(\d+)", memory.read())[1])
    kind = subprocess.run(["df", "--output=fstype", above], capture_output=True, text=True).stdout.split()[-1]
    return {
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.machine(),
        "memory": f"{total / 1024 / 1024:.0f} GiB",
        "kernel": re.match(r"\d+\.\d+", platform.release())[0],
        "file system": kind,
        "load": round(os.getloadavg()[0], 1),
    }
