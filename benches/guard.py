"""What fixed paths cost, counted and not timed: instructions of the process, and system calls of a sandboxed run.

Usage: guard.py BINARY [--write] [--costs FILE]

Instructions are counted by valgrind (callgrind), of the process that has the broker: its start, a cold `run` without a
sandbox, a call of `list_allowed`, a call of `run_with_secrets` without a sandbox (valgrind does not know Landlock's calls).
What forked children and the started program take is not in it. A call's figure is the difference between many and few
calls, so that the server's start is not in it. They are held to a band around the figures of guard.json.

System calls are counted by strace, of a cold sandboxed `run` with everything that it starts, and must not become more.

Ends with 'guard: ok' or with what left its bounds. --write writes the figures of this machine as the new ones: a change that
costs more says why in its commit, and one that costs less makes the band follow. --costs writes the ten functions that take
most of `run_with_secrets`, as JSON. Needs valgrind and strace; standard library only.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import struct
import sys
import tempfile
from collections import Counter

import measure

FIGURES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "guard.json")
# Hashes, encryption and threads make a run differ from the next by some percent, and compilers by more.
BAND = 0.15
FEW, MANY = 10, 50
TOP = 10
# How each is counted, `clone` and its kin for processes alone: the number of threads is that of the cores.
CALLS = {
    "execve": ["execve", "execveat"],
    "processes": ["clone", "clone3", "fork", "vfork"],
    "mount": ["mount", "fsmount", "move_mount", "open_tree", "mount_setattr"],
    "pivot_root": ["pivot_root"],
    "unshare": ["unshare", "setns"],
    "landlock_restrict_self": ["landlock_restrict_self"],
    "seccomp": ["seccomp"],
    "sync": ["fsync", "fdatasync", "syncfs", "sync", "msync", "sync_file_range"],
}
# prctl(2) and its PR_GET_AUXV, by machine.
PRCTL = {"x86_64": 157, "aarch64": 167}
PR_GET_AUXV, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, EINVAL = 0x41555856, 38, 22, 2, 22


class Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def hide_vdso():
    """Refuses PR_GET_AUXV to everything that is started from here: the kernel's answer names a vDSO that valgrind has
    unmapped, and rustix would read it. What it asks next, /proc/self/auxv, is as valgrind wants it.
    """
    load, equal, give = 0x20, 0x15, 0x06
    code = [
        (load, 0, 0, 0), (equal, 0, 3, PRCTL[platform.machine()]),
        (load, 0, 0, 16), (equal, 0, 1, PR_GET_AUXV),
        (give, 0, 0, 0x00050000 | EINVAL), (give, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = Program(6, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise SystemExit(f"guard: no filter of system calls: {os.strerror(ctypes.get_errno())}")


class Valgrind:
    """Counts the instructions of one process."""

    def __init__(self, home, above):
        self.home, self.above = home, above

    def words(self, *words):
        # Forked children write files of their own: which is whose, the process id says.
        log, out = f"{self.above}/log.%p", f"{self.above}/callgrind.%p"
        return ["valgrind", "--tool=callgrind", f"--log-file={log}", f"--callgrind-out-file={out}", self.home.binary, *words]

    def counted(self, pid):
        with open(f"{self.above}/log.{pid}") as log:
            return int(re.search(r"Collected : (\d+)", log.read())[1])

    def command(self, *words):
        """Instructions of a command's first process."""
        with open(os.devnull) as nothing:
            child = measure.subprocess.Popen(self.words(*words), env=self.home.env, stdin=nothing, stdout=measure.subprocess.DEVNULL)
        if child.wait() != 0:
            raise SystemExit(f"guard: {words} ended with {child.returncode} under valgrind")
        return self.counted(child.pid)

    def server(self, call, times):
        server = measure.Server(self.words("--no-daemon", "serve", "--scope", "off"), self.home.env)
        for _ in range(times):
            call(server)
        server.end()
        return self.counted(server.process.pid)

    def call(self, call):
        """Instructions of a call to a server that stands."""
        return (self.server(call, MANY) - self.server(call, FEW)) // (MANY - FEW)

    def costs(self, call):
        """The functions that take most of many calls, the server's start among them."""
        server = measure.Server(self.words("--no-daemon", "serve", "--scope", "off"), self.home.env)
        for _ in range(MANY):
            call(server)
        server.end()
        words = ["callgrind_annotate", "--show-percs=yes", f"{self.above}/callgrind.{server.process.pid}"]
        text = measure.subprocess.run(words, capture_output=True, text=True, check=True).stdout
        lines = re.findall(r"^ *([\d,]+) \( *([\d.]+)%\)  (\S*?:)?(.+?)(?: \[.*\])?$", text, re.M)
        rows = [(int(count.replace(",", "")), float(share), name) for count, share, _, name in lines if "PROGRAM TOTALS" not in name]
        return [{"function": name, "instructions": count, "share": share} for count, share, name in rows[:TOP]]


def instructions(home, above):
    valgrind = Valgrind(home, above)
    return {
        "--version": valgrind.command("--version"),
        "run": valgrind.command(*home.cold("off")[1:]),
        "list_allowed": valgrind.call(lambda server: server.call("list_allowed")),
        "run_with_secrets": valgrind.call(home.call),
    }


def system_calls(home, above):
    kinds = {name: kind for kind, names in CALLS.items() for name in names}
    seen = measure.traced(home.cold("on"), home.env, list(kinds), above)
    found = Counter({kind: 0 for kind in CALLS})
    for call in seen:
        if "CLONE_THREAD" not in call:
            found[kinds[call.split("(")[0]]] += 1
    # What root alone may read is hidden, file by file: how many there are is the machine's. Each is mounted, then closed.
    found["mount"] -= 2 * sum('mount("/dev/null"' in call or "size=1m" in call for call in seen)
    return dict(found)


def compare(found, known):
    """What left its bounds, with each figure printed beside its bound."""
    wrong = []
    for name, figure in found["instructions"].items():
        bound = known["instructions"][name]
        change = figure / bound - 1
        print(f"instructions  {name:24}{figure:>14,}{bound:>14,}{change:>+9.1%}")
        if abs(change) > BAND:
            word = "more" if change > 0 else "fewer, which is good: write the new figures with --write"
            wrong.append(f"{name} takes {figure:,} instructions, {abs(change):.0%} {word}")
    for name, figure in found["system calls"].items():
        bound = known["system calls"][name]
        print(f"system calls  {name:24}{figure:>14,}{bound:>14,}")
        if figure > bound:
            wrong.append(f"a sandboxed run has {figure} of {name}, and {bound} are allowed")
    return wrong


def main():
    parser = argparse.ArgumentParser(description="Counts what fixed paths cost.")
    parser.add_argument("binary")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--costs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="authy-mcp-guard-") as above:
        home = measure.Home(args.binary, above)
        found = {"system calls": system_calls(home, above)}
        # From here on nothing that is started may gain privileges.
        hide_vdso()
        found["instructions"] = instructions(home, above)
        if args.costs:
            what = f"{MANY} calls of `run_with_secrets` without a sandbox, and the server's start"
            costs = {"what": what, "costs": Valgrind(home, above).costs(home.call)}
            with open(args.costs, "w") as out:
                json.dump(costs, out, indent=1)
                out.write("\n")
    if args.write:
        with open(FIGURES, "w") as out:
            json.dump(found, out, indent=1, sort_keys=True)
            out.write("\n")
    with open(FIGURES) as file:
        wrong = compare(found, json.load(file))
    print("guard: " + ("; ".join(wrong) or "ok"))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
