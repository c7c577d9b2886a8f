"""Drives programs that start a command with a secret through everything that a command can do to it, and through ordinary output.

Usage: run.py BINARY PEERS [--programs NAME…] [--rows N] [--json FILE]

PEERS is the folder of `benches/side-by-side/install.py`; what is not installed there is left out, with its reason. For each program: of each
transform of `tests/leaks/transforms.toml`, with each kind of value, whether the value comes back (its decoder, of `decode.py`, finds twelve bytes in a
row of it); which ordinary files come back changed with 200 secrets loaded; and the CPU time that it adds to a megabyte of ordinary output. A row
whose decoder finds nothing in what the control prints is no row for that kind of value.
"""

import argparse
import base64
import functools
import hashlib
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LEAKS = os.path.join(ROOT, "tests", "leaks")
LOGS = os.path.join(ROOT, "tests", "corpora", "logs")
sys.path[:0] = [HERE, LEAKS]

import decode
import programs

# So many bytes of a value in a row are a leak, whatever their case.
LEAK = 12
# The same secrets in every run; they are of nobody.
SEED = 13
SECRETS = 200
MEGABYTES = 32
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@functools.cache
def kinds():
    """Kinds of value, those of the leak matrix."""
    with open(os.path.join(LEAKS, "values.toml"), "rb") as file:
        return {value["kind"]: value["text"].encode() for value in tomllib.load(file)["value"]}


def pieces(value):
    """What of a value may not come back: of each line of a PEM's body, of others everything."""
    lines = [line for line in value.splitlines() if not line.startswith(b"-----")]
    folded = [line.lower() for line in lines]
    return {line[at : at + LEAK] for line in folded for at in range(len(line) - LEAK + 1)}


def comes_back(value, decoder, output):
    held = [output.lower(), decode.decoded(decoder, output.decode("latin-1")).lower()]
    return any(piece in where for piece in pieces(value) for where in held)


# The value by itself, and in a document of 4 kB.
PLACES = {"alone": 'V="$S"', "in 4 kB": 'V="$(seq 1000 1400) $S $(seq 1400 1800)"'}


def transforms(rows):
    with open(os.path.join(LEAKS, "transforms.toml"), "rb") as file:
        table = tomllib.load(file)["transform"]
    there = lambda tool: any(os.path.exists(f"{place}/{tool}") for place in ["/usr/local/bin", "/usr/bin", "/bin"])
    return [row for row in table if all(there(tool) for tool in row["tools"])][:rows]


def cells(program, value, rows):
    """Of each row and place: whether the value comes back; or why there is none of it."""
    with tempfile.TemporaryDirectory() as folder:
        kept = program.kept(folder, {"S": value})
        try:
            # A value that never arrives would be caught in every row.
            if hashlib.sha256(value).hexdigest().encode() not in kept.output('printf %s "$S" | sha256sum'):
                raise RuntimeError("the value does not reach the command as it was kept")

            def one(job):
                row, place = job
                try:
                    output = kept.output(f'{PLACES[place]}; export V; unset S\n{row["script"]}')
                except (subprocess.TimeoutExpired, RuntimeError) as error:
                    return str(error)[:80]
                return comes_back(value, row["decoder"], program.mask.sub(b"", output))

            jobs = [(row, place) for row in rows for place in PLACES]
            with ThreadPoolExecutor(1 if isinstance(program, programs.Mcp) else 2) as pool:
                found = list(pool.map(one, jobs))
        finally:
            kept.close()
    return {(row["name"], place): cell for (row, place), cell in zip(jobs, found)}


def many_secrets():
    """Keys, passwords of words, tokens and identifiers, as vaults have them."""
    source = random.Random(SEED)
    word = lambda letters, length: "".join(source.choices(letters, k=length))
    shapes = [
        lambda: "sk-proj-" + word(LETTERS, 40),
        lambda: "ghp_" + word(LETTERS, 36),
        lambda: "AKIA" + word("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
        lambda: word("0123456789abcdef", 32),
        lambda: word(LETTERS + "+/", 40),
        lambda: f"{source.choice(['summer', 'lisbon', 'granite', 'falcon'])}-{source.randrange(10**6)}-{word(LETTERS, 6)}",
        lambda: f"postgres://app:{word(LETTERS, 20)}@db.internal:5432/app?sslmode=require",
        lambda: word("0123456789abcdef", 8) + "-" + word("0123456789abcdef", 4) + "-4" + word("0123456789abcdef", 3) + "-" + word("0123456789abcdef", 12),
    ]
    return {f"S_{number}": shapes[number % len(shapes)]().encode() for number in range(SECRETS)}


def ordinary(program):
    """Ordinary files that come back changed, and what a megabyte of them costs beyond printing it."""
    with tempfile.TemporaryDirectory() as folder:
        kept = program.kept(folder, many_secrets())
        try:
            changed, files = [], sorted(os.listdir(LOGS))
            for name in files:
                with open(os.path.join(LOGS, name), "rb") as file:
                    there = file.read()
                os.makedirs(f"{folder}/logs", exist_ok=True)
                # Through the environment of no program, and from where each may read: the script has it.
                out = kept.output("base64 -d <<'END'\n" + base64.b64encode(there).decode() + "\nEND")
                if out != there:
                    changed.append(name)
        finally:
            kept.close()
    return {"files": len(files), "changed": changed}


def cpu(program):
    """Milliseconds of CPU that a megabyte of ordinary output costs, printing included; None where output is cut short."""
    if isinstance(program, programs.Mcp):
        return None
    line = "2026-11-26T10:00:00Z INFO request id=%d path=/v1/items status=200 took=12ms"
    script = f"yes '{line % 1}' | head -c {MEGABYTES << 20}"
    with tempfile.TemporaryDirectory() as folder:
        kept = program.kept(folder, {"S": kinds()["random"]})
        try:
            used = []
            for _ in range(3):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                if len(kept.output(script)) != MEGABYTES << 20:
                    return None
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        finally:
            kept.close()
    return round(min(used) * 1000 / MEGABYTES, 3)


def driven(program, rows, valid):
    """All of one program."""
    result = {"what": program.what, "version": program.version(), "values": {}}
    for kind, value in kinds().items():
        try:
            found = cells(program, value, rows)
        except (RuntimeError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            result["values"][kind] = {"reason": str(error)[:160]}
            continue
        result["values"][kind] = {place: judged(found, place, valid and valid[kind][place]) for place in PLACES}
    for name, work in {"ordinary": ordinary, "cpu_ms": cpu}.items():
        try:
            result[name] = work(program)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            result[name] = {"reason": str(error)[:160]}
    return result


def judged(found, place, valid):
    """Of the rows that say something: how many they are, those by which the value comes back, and those that went wrong."""
    cells = {row: cell for (row, at), cell in found.items() if at == place and (valid is None or row in valid)}
    return {
        "rows": len(cells),
        "open": [row for row, cell in cells.items() if cell is True],
        "failed": {row: cell for row, cell in cells.items() if isinstance(cell, str)},
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("peers")
    parser.add_argument("--programs", nargs="*")
    parser.add_argument("--rows", type=int, help="the first rows only")
    parser.add_argument("--json")
    args = parser.parse_args()
    rows, valid = transforms(args.rows), None
    results = {"machine": {"kernel": ".".join(platform.release().split(".")[:2]), "cores": os.cpu_count()}, "rows": [row["name"] for row in rows], "programs": {}}
    for kind in programs.ALL:
        if kind is not programs.Control and args.programs and kind.name not in args.programs:
            continue
        program = kind(args.binary, os.path.abspath(args.peers))
        if not program.is_there():
            results["programs"][program.name] = {"what": program.what, "reason": "not installed"}
            continue
        found = results["programs"][program.name] = driven(program, rows, valid)
        if kind is programs.Control:
            valid = {kind: {place: judged["open"] for place, judged in places.items()} for kind, places in found["values"].items()}
            for places in found["values"].values():
                for cells_ in places.values():
                    cells_["rows"] = len(cells_["open"])
        summary(program.name, found)
    if args.json:
        with open(args.json, "w") as out:
            json.dump(results, out, indent=1, ensure_ascii=False)
            out.write("\n")


def summary(name, found):
    print(f"{name} {found['version']}")
    for kind, places in found["values"].items():
        if "reason" in places:
            print(f"  {kind}: {places['reason']}")
            continue
        for place, judged in places.items():
            came, failed = len(judged["open"]), len(judged["failed"])
            print(f"  {kind}, {place}: {judged['rows'] - came - failed} of {judged['rows']} caught, {failed} failed")
    print(f"  ordinary files: {found['ordinary']}; CPU a megabyte: {found['cpu_ms']} ms", flush=True)


if __name__ == "__main__":
    main()
