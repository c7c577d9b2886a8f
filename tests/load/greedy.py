"""Runs that take all that they can of their machine, each ended by its own limits and named; meanwhile the same server answers
another call. As root it does so twice: as root, and as an ordinary user.

Usage: greedy.py BINARY [--short]. Prints what each run came to, and how much longer an echo took beside it; closes with
'greedy: ok', or ends with what is wrong. The limits are small, and a watchdog kills everything if one does not hold.
"""

import argparse
import ctypes
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

USER = 1500
parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--short", action="store_true", help="each run once")
parser.add_argument("--alone", action="store_true", help="as this user only")
args = parser.parse_args()

POLICY = """scope = "s"
[limits]
runs_per_minute = 1000000
timeout = "30s"
processes = 64
memory = "256MiB"
disk = "64MiB"
[[allow]]
secrets = ["one/key"]
deliver = "env"
commands = [["python3", "**"], ["echo", "hi"]]
"""
FORKS = "import os\nwhile 1:\n try: os.fork()\n except OSError: pass"
THREADS = """import threading, time
def wait(): time.sleep(60)
while 1:
 try: threading.Thread(target=wait, daemon=True).start()
 except RuntimeError: pass"""
MEMORY = "held = []\nfor _ in range(128): held.append(bytearray(b'x' * (64 << 20)))"
SHARED = """import os, time
try:
 for n in range(256):
  with open(f"/dev/shm/{n}", "wb") as file:
   for _ in range(32): file.write(b"x" * (1 << 20))
except OSError: pass
held = [bytearray(b"x" * (1 << 20)) for _ in range(64)]
time.sleep(60)"""
HELD = """import os, time
files = []
for _ in range(256):
 files.append(os.memfd_create("m"))
 for _ in range(32): os.write(files[-1], b"x" * (1 << 20))
time.sleep(60)"""
SEGMENTS = """import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
for _ in range(256):
 at = ctypes.c_void_p(libc.shmat(libc.shmget(0, 32 << 20, 0o1600), None, 0))
 ctypes.memset(at, 1, 32 << 20); libc.shmdt(at)
time.sleep(60)"""
FILES = """import os, time
n = 0
while 1:
 for place in [os.environ["HOME"], "/tmp"]:
  with open(f"{place}/{n}", "wb") as file: file.write(b"x" * 300000)
  n += 1"""
NAMES = """import os
n = 0
while 1:
 os.mkdir(f"/tmp/{n}"); n += 1"""
REMOVED = """import os, time
held = []
while 1:
 held.append(open("/tmp/gone", "wb")); os.remove("/tmp/gone"); held[-1].write(b"x" * (4 << 20)); held[-1].flush()"""
ALLOCATED = """import errno, os
file = os.open("/tmp/big", os.O_CREAT | os.O_RDWR)
try: os.posix_fallocate(file, 0, 20 << 30)
except OSError as error: print("refused:", errno.errorcode[error.errno])"""
WATCHERS = """import ctypes, time
libc = ctypes.CDLL(None); n = 0
while libc.inotify_init() >= 0: n += 1
print(n, flush=True); time.sleep(1.5)"""

RUNS = {
    "processes, by forks": (FORKS, "processes"),
    "processes, by threads": (THREADS, "processes"),
    "8 GiB of memory": (MEMORY, "memory"),
    "8 GiB of /dev/shm": (SHARED, "memory"),
    "8 GiB of files in memory": (HELD, "memory"),
    "8 GiB of System V shared memory": (SEGMENTS, "memory"),
    "many files": (FILES, "disk"),
    "many directories": (NAMES, "disk"),
    "removed files, held open": (REMOVED, "disk"),
}


def wrong(what):
    raise SystemExit(f"greedy: {what}")


def descendants(of):
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parents.setdefault(int(file.read().rsplit(b")", 1)[1].split()[1]), []).append(int(name))
        except OSError:
            pass
    found, waiting = [], [of]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def watch_over(pid):
    """In a process of its own: kills all that `pid` has started where the machine is in danger, or it takes too long."""
    until = time.monotonic() + 600
    while os.getppid() == pid:
        time.sleep(0.1)
        with open("/proc/meminfo") as file:
            available = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
        disk = os.statvfs(tempfile.gettempdir())
        below = [number for number in descendants(pid) if number != os.getpid()]
        danger = {
            "memory": available < 3 << 30,
            "disk": disk.f_bavail * disk.f_frsize < 3 << 30,
            "processes": len(below) > 1000,
            "time": time.monotonic() > until,
        }
        if any(danger.values()):
            print(f"greedy: the watchdog ends all: {[name for name, is_so in danger.items() if is_so]}", flush=True)
            os.kill(pid, signal.SIGSTOP)
            for _ in range(50):
                for number in descendants(pid):
                    if number != os.getpid():
                        for end in [signal.SIGSTOP, signal.SIGKILL]:
                            try:
                                os.kill(number, end)
                            except OSError:
                                pass
            os.kill(pid, signal.SIGKILL)


class Server:
    def __init__(self, binary, env):
        words = [binary, "--no-daemon", "serve", "--scope", "s"]
        self.child = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.next, self.answers, self.told = 0, {}, threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
        self.answer(self.send("initialize", hello))
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def read(self):
        for line in self.child.stdout:
            message = json.loads(line)
            with self.told:
                self.answers[message.get("id")] = message
                self.told.notify_all()

    def write(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def send(self, method, params):
        self.next += 1
        self.write({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
        return self.next

    def run(self, *command):
        arguments = {"command": command, "secrets": ["one/key"]}
        return self.send("tools/call", {"name": "run_with_secrets", "arguments": arguments})

    def has(self, number):
        with self.told:
            return number in self.answers

    def answer(self, number):
        with self.told:
            if not self.told.wait_for(lambda: number in self.answers, 60):
                wrong("the server does not answer")
            return self.answers.pop(number)["result"].get("structuredContent")

    def echo(self):
        begun = time.monotonic()
        ran = self.answer(self.run("echo", "hi"))
        if ran.get("stdout") != "hi\n":
            wrong(f"the echo came to {ran}")
        return time.monotonic() - begun


def beside(server, code):
    """What a run comes to, and how long an echo takes meanwhile."""
    number, echoes = server.run("python3", "-c", code), []
    time.sleep(0.05)
    while True:
        echoes.append(server.echo())
        if server.has(number):
            return server.answer(number), statistics.median(echoes)


def is_counted(server):
    """Whether the kernel counts the processes of this user's runs: not those of root without a control group."""
    ran = server.answer(server.run("echo", "hi"))
    refused = ran.get("code") == "sandbox_unavailable" and "within its limits" in ran.get("message", "")
    return not (refused and os.getuid() == 0)


def check(server, times):
    alone = statistics.median([server.echo() for _ in range(20)])
    print(f"  an echo alone takes {alone * 1000:.1f} ms")
    for name, (code, limit) in RUNS.items():
        for _ in range(times):
            ran, echo = beside(server, code)
            if (ran.get("outcome"), ran.get("limit")) != ("resource_limit", limit):
                wrong(f"{name}: {ran}")
            took = ran["duration_ms"] / 1000
            print(f"  {name}: {ran['outcome']}, {limit}, after {took:.1f} s; an echo meanwhile {echo / alone:.1f} times as long")
    ran, _ = beside(server, ALLOCATED)
    if ran.get("stdout") != "refused: EFBIG\n":
        wrong(f"20 GiB at once: {ran}")
    print("  20 GiB at once: refused")
    number = server.run("python3", "-c", WATCHERS)
    time.sleep(0.8)
    if ctypes.CDLL(None).inotify_init() < 0:
        wrong("a run takes all inotify instances of its user")
    taken = int(server.answer(number)["stdout"])
    print(f"  inotify instances: the run had {taken}, and its user has some left")
    if not descendants_end(server):
        wrong("something of a run is left")
    return ran["sandbox"]


def descendants_end(server):
    """Whether nothing that a run started is there any more."""
    for _ in range(100):
        left = []
        for pid in descendants(server.child.pid):
            try:
                with open(f"/proc/{pid}/comm") as file:
                    left.append(file.read().strip())
            except OSError:
                pass
        if not [name for name in left if name.startswith("python")]:
            return True
        time.sleep(0.1)
    return False


def groups():
    """Control groups of runs: with them, all that lies below /sys/fs/cgroup has a name that begins so."""
    found = []
    for place, below, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{place}/{name}" for name in below if name.startswith("authy-mcp-")]
    return found


def all_of_it(binary):
    watchdog = os.fork()
    if watchdog == 0:
        watch_over(os.getppid())
        os._exit(0)
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": "/usr/bin:/bin", "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}

        def admin(*words, text=""):
            done = subprocess.run([binary, "--no-daemon", *words], env=env, input=text, text=True, capture_output=True)
            if done.returncode != 0:
                wrong(f"{words}: {done.stderr}")

        admin("init", "--no-pin", "--unlock", "identity-file")
        admin("admin", "set", "one/key", text="sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5eUo2W")
        with open(f"{home}/s.toml", "w") as file:
            file.write(POLICY)
        admin("admin", "policy", "apply", "--yes", f"{home}/s.toml")
        before = set(groups())
        server = Server(binary, env)
        try:
            if is_counted(server):
                sandbox = f"sandbox: {check(server, 1 if args.short else 3)}"
            else:
                sandbox = "skipped as root: nothing counts its processes here"
        finally:
            server.child.stdin.close()
            server.child.wait(20)
        for _ in range(100):
            left = set(groups()) - before
            if not left:
                break
            time.sleep(0.1)
        if left:
            wrong(f"control groups are left: {left}")
        print(f"  {sandbox}")
    os.kill(watchdog, signal.SIGKILL)
    os.waitpid(watchdog, 0)


def as_a_user():
    with tempfile.TemporaryDirectory() as dir:
        os.chmod(dir, 0o755)
        for source, name in [(args.binary, "authy-mcp"), (__file__, "greedy.py")]:
            shutil.copy(source, f"{dir}/{name}")
            os.chmod(f"{dir}/{name}", 0o755)
        user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        words = [*user, "/usr/bin/python3", f"{dir}/greedy.py", f"{dir}/authy-mcp", "--alone"]
        short = ["--short"] if args.short else []
        done = subprocess.run([*words, *short], cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/"})
        if done.returncode != 0:
            sys.exit(done.returncode)


print(f"as {'root' if os.getuid() == 0 else 'an ordinary user'}", flush=True)
all_of_it(os.path.realpath(args.binary))
if os.getuid() == 0 and not args.alone:
    as_a_user()
if not args.alone:
    print("greedy: ok")
