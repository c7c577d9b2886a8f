"""One run writes gigabytes of everything that the redactor looks at: what the process that redacts holds does not grow.

Usage: flat.py BINARY [--megabytes 256]. The output is rounds of logs, noise, compressed data, base64, escapes and dumps, with values
among them, and one line that takes a quarter of it and never ends. Prints the resident memory behind each round; closes with 'flat: ok', or
ends with what is wrong.
"""

import argparse
import os
import random
import string
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--megabytes", type=int, default=256)
args = parser.parse_args()
BINARY = os.path.realpath(args.binary)
MEGABYTE = 1 << 20
ROUNDS = 8
# What a round may add to the first: what an allocator keeps, none of it a part of the output.
SLACK_KB = 4 << 10
# The most that the process may ever hold: the windows of two streams, and unpackers of megabytes each.
MOST_KB = 160 << 10
POLICY = """scope = "s"
[sandbox]
mode = "off"
[[allow]]
secrets = ["flat/*"]
deliver = "env"
commands = [["python3", "**"]]
"""
source = random.Random(4)
letters = string.ascii_letters + string.digits
SECRETS = {f"flat/{n}": "tok_" + "".join(source.choices(letters, k=40)) for n in range(20)}

# What writes: a megabyte of each kind in turn, so that each has its share of each round.
WRITES = r"""
import base64, gzip, json, os, random, sys, zlib
total, rounds = int(sys.argv[1]), int(sys.argv[2])
value = os.environ["FLAT_7"].encode()
out = sys.stdout.buffer
MEGABYTE = 1 << 20
def logs():
    line = b"2026-11-26T10:00:00Z INFO request id=%d path=/v1/items/%d status=200 took=12ms\n"
    return b"".join(line % (i, i) for i in range(12400)) + b"token " + value + b"\n"
def noise(): return os.urandom(MEGABYTE)
def packed(): return gzip.compress(logs(), 1) + b"\n" + zlib.compress(os.urandom(1 << 16)) * 12
def text(): return b"\n".join(base64.encodebytes(gzip.compress(logs()[: 1 << 16] + value, 1)) for _ in range(80))
def escapes(): return json.dumps(json.dumps({"a\\b": "\u00e9\"%2F&amp;=3D\\u003d" * 20000})).encode() + b"\n"
def dump():
    lines = (b"%08x: %s  ................\n" % (i * 16, os.urandom(16).hex(" ", 2).encode()) for i in range(14000))
    return b"".join(lines)
def beginnings(): return b"x\x9c\x03\x00 H4sI 1f8b08 \x1f\x8b\x08\x08aaa UEsDB BZh91AY&SY" * 20000
MADE = [kind() for kind in [logs, packed, text, escapes, dump, beginnings]]
def put(data):
    global written
    out.write(data)
    written += len(data)
for n in range(rounds):
    written = 0
    while written < total * 3 // 4 // rounds:
        for data in [*MADE, noise()]:
            put(data)
    line = b"no end of this line, " * 49932
    while written < total // rounds:
        put(line)
    out.flush()
    sys.stderr.write("round\n")
    sys.stderr.flush()
"""


def held(pid):
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0])


def operate(env, *words, stdin=None):
    done = subprocess.run([BINARY, *words], env=env, input=stdin, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"authy-mcp {' '.join(words)}: {done.returncode}: {done.stderr}")


def main():
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}
        operate(env, "init", "--unlock", "identity-file")
        for name, value in SECRETS.items():
            operate(env, "admin", "set", name, stdin=value)
        with open(f"{home}/policy.toml", "w") as file:
            file.write(POLICY)
        operate(env, "admin", "policy", "apply", "--yes", f"{home}/policy.toml")
        secrets = [word for name in SECRETS for word in ("--secret", name)]
        command = ["python3", "-c", WRITES, str(args.megabytes * MEGABYTE), str(ROUNDS)]
        words = [BINARY, "run", "--scope", "s", *secrets, "--", *command]
        with open(f"{home}/rounds", "wb") as said:
            child = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=said)
            rounds, shown, leaked = watched(child, f"{home}/rounds")
        code = child.wait()
        with open(f"{home}/rounds") as said:
            told = said.read()
        wrong = judged(code, rounds, shown, leaked)
        sys.exit(f"{wrong}\n{told[-500:]}") if wrong else print("flat: ok")


def watched(child, said):
    """What the process holds behind each round, what it showed, and whether a value was in it."""
    rounds, shown, leaked, tail = [], 0, False, b""
    value = SECRETS["flat/7"].encode()
    while chunk := child.stdout.read1(MEGABYTE):
        shown += len(chunk)
        leaked = leaked or value in tail + chunk
        tail = chunk[-64:]
        if os.path.getsize(said) // len("round\n") > len(rounds):
            rounds.append(held(child.pid))
            print(f"{shown >> 20} MB shown, {rounds[-1][0]} kB held, {rounds[-1][1]} kB at most", flush=True)
    return rounds, shown, leaked


def judged(code, rounds, shown, leaked):
    """What is wrong, if something is."""
    if code or leaked or len(rounds) < ROUNDS - 1:
        return f"exit {code}, {len(rounds)} rounds, {'a value was shown' if leaked else 'no value was shown'}"
    if shown < args.megabytes * MEGABYTE // 2:
        return f"only {shown} bytes came through"
    (_, first), (_, last) = rounds[1], rounds[-1]
    if last > first + SLACK_KB or last > MOST_KB:
        return f"memory grew from {first} to {last} kB"
    return None


if __name__ == "__main__":
    main()
