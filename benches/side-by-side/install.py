"""Installs the programs that are measured beside this one, each from its registry, each optional.

Usage: install.py FOLDER [NAME…] [--minutes N]

What was installed, how long it took and what failed is written to FOLDER/installed.json; a name that is given is tried anew.
Cargo builds one crate at a time and everything is niced, so that a machine stays usable. Packages of the distribution need root.
"""

import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import peers


def reason(done):
    """The line that says what went wrong."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm error", "e:"))]
    return (errors or lines or [f"exit code {done.returncode}"])[0][:200]


def went(way, until):
    """Why a way did not go through, or None."""
    for words in way:
        try:
            left = max(until - time.monotonic(), 1)
            done = subprocess.run(["nice", "-n", "19", *words], capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            return "took longer than it was given"
        if done.returncode != 0:
            return reason(done)
    return None


def installed(peer, minutes):
    there, begun = os.path.exists(peer.program), time.monotonic()
    reasons = []
    for way in peer.ways():
        if why := went(way, begun + minutes * 60):
            reasons.append(why)
            continue
        # What was there already says nothing about the time that it takes.
        took = {} if there else {"seconds": round(time.monotonic() - begun, 1)}
        return {"version": peer.version()} | took
    return {"reason": "; then ".join(reasons)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--minutes", type=float, default=25, help="that one program may take")
    args = parser.parse_args()
    folder = os.path.abspath(args.folder)
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/installed.json"
    known = json.load(open(path)) if os.path.exists(path) else {}
    for kind in peers.ALL:
        if kind.name in args.names or (not args.names and kind.name not in known):
            known[kind.name] = installed(kind(folder), args.minutes)
            print(kind.name, known[kind.name], flush=True)
            with open(path, "w") as out:
                json.dump(known, out, indent=1)


if __name__ == "__main__":
    main()
