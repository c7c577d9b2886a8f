"""Runs ordinary output of a developer's machine through the program, with 200 secrets loaded: every byte has to come back.

Usage: quiet.py BINARY [--megabytes 150] [--keep DIR]

What is printed is made of what is on this machine (source trees, history, programs, lists of packages) and of what is made here (pictures, dumps,
checksums, tables, other services' tokens), and holds none of the secrets. Prints megabytes, CPU time of the program and false masks by kind of
output; ends with 'quiet: ok', or with what came back changed. `--keep` leaves secrets and files in a directory.
"""

import argparse
import base64
import glob
import gzip
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import uuid
import zlib

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MEGABYTE = 1 << 20
SECRETS = 200
SEED = 29
PATH = "/usr/local/bin:/usr/bin:/bin"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"
WORDS = "orchid saddle walnut granite falcon scribble kitten anthem lisbon meadow copper violin harbor nettle tundra pebble".split()
POLICY = 'scope = "s"\n[sandbox]\nmode = "off"\n[[allow]]\nsecrets = ["q/*"]\ndeliver = "file"\ncommands = [["cat", "**"]]\n'
source = random.Random(SEED)


def word(letters, length):
    return "".join(source.choices(letters, k=length))


def made_by(*command, stdin=None):
    return subprocess.run(command, input=stdin, capture_output=True, check=True, env={"PATH": PATH, "HOME": "/nonexistent"}).stdout


def pem(*options):
    return made_by("openssl", "genpkey", *options).decode()


def shapes():
    """Every kind of secret that a vault of a developer has, made anew at each call."""
    database = lambda: f"{word(LETTERS, 18)}"
    jwt = lambda: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64.urlsafe_b64encode(json.dumps({"sub": word(HEX, 24), "role": "service_role"}).encode()).decode().rstrip("=") + "." + word(LETTERS + "-_", 43)
    ed25519 = lambda: pem("-algorithm", "ed25519")
    return [
        lambda: "sk-proj-" + word(LETTERS, 48),
        lambda: "ghp_" + word(LETTERS, 36),
        lambda: "AKIA" + word("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
        lambda: word(LETTERS + "+/", 40),
        lambda: word(HEX, 32),
        lambda: word(HEX, 64),
        lambda: str(uuid.UUID(int=source.getrandbits(128), version=4)),
        lambda: base64.b64encode(source.randbytes(32)).decode(),
        lambda: base64.b64encode(source.randbytes(64)).decode(),
        lambda: "xoxb-" + word("0123456789", 12) + "-" + word(LETTERS, 24),
        lambda: word("0123456789", 9) + ":AA" + word(LETTERS + "-_", 33),
        jwt,
        lambda: "-".join(source.sample(WORDS, 4)),
        lambda: f"{source.choice(WORDS).title()}{source.randrange(100)}!{source.choice(WORDS)}-{word(LETTERS, 4)}",
        lambda: word(LETTERS + "!#$%&*+-=?@^_~", 16),
        lambda: word(LETTERS, 12),
        lambda: f"postgres://app:{database()}@db.internal:5432/app?sslmode=require",
        lambda: f"mongodb+srv://svc:{database()}@cluster0.example.net/prod?retryWrites=true&w=majority",
        lambda: f"redis://:{database()}@cache-1.internal:6379,cache-2.internal:6379/0",
        lambda: f"Server=tcp:db.example.net,1433;Initial Catalog=app;User ID=app;Password={database()};Encrypt=True;",
        lambda: f"https://hooks.slack.com/services/T{word('ABCDEFGHJK0123456789', 9)}/B{word('ABCDEFGHJK0123456789', 9)}/{word(LETTERS, 24)}",
        lambda: f"machine api.example.com\nlogin deploy\npassword {database()}\n",
        lambda: f"[default]\naws_access_key_id = AKIA{word('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}\naws_secret_access_key = {word(LETTERS + '+/', 40)}\nregion = eu-central-1\noutput = json\n",
        lambda: f"NODE_ENV=production\nPORT=3000\nLOG_LEVEL=info\nDATABASE_URL=postgres://app:{database()}@db:5432/app\nSESSION_SECRET={word(HEX, 64)}\nSTRIPE_KEY=sk_live_{word(LETTERS, 24)}\nFEATURE_X=true\n",
        lambda: json.dumps({"auths": {"ghcr.io": {"auth": base64.b64encode(f"deploy:ghp_{word(LETTERS, 36)}".encode()).decode()}}}, indent="\t"),
        lambda: json.dumps({"type": "service_account", "project_id": "my-project", "private_key_id": word(HEX, 40), "private_key": ed25519(), "client_email": "app@my-project.iam.gserviceaccount.com", "client_id": word("0123456789", 21), "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token"}, indent=2),
        lambda: kubeconfig(ed25519()),
        ed25519,
        lambda: pem("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        lambda: pem("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        ssh_key,
        lambda: json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(source.randbytes(32)).decode().rstrip("="), "alg": "HS256", "use": "sig"}),
        lambda: f"otpauth://totp/Example:ops@example.com?secret={base64.b32encode(source.randbytes(20)).decode()}&issuer=Example&digits=6&period=30",
        lambda: f"<settings><servers><server><id>central</id><username>deploy</username><password>{database()}</password></server></servers></settings>",
    ]


def ssh_key():
    with tempfile.TemporaryDirectory() as folder:
        made_by("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy@example.com", "-f", f"{folder}/key")
        with open(f"{folder}/key") as file:
            return file.read()


def kubeconfig(key):
    encoded = base64.b64encode(key.encode()).decode()
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\nclusters:\n- name: prod\n  cluster:\n    server: https://10.0.0.1:6443\n"
        "contexts:\n- name: prod\n  context:\n    cluster: prod\n    user: admin\n    namespace: default\nusers:\n- name: admin\n  user:\n"
        f"    token: {word(LETTERS, 64)}\n    client-key-data: {encoded}\n"
    )


def read(path, most):
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def files(patterns, most):
    """What stands in files of this machine, one behind the other."""
    all_, length = [], 0
    for path in sorted(path for pattern in patterns for path in glob.glob(os.path.expanduser(pattern), recursive=True)):
        if length >= most:
            break
        if os.path.isfile(path):
            all_.append(read(path, most - length))
            length += len(all_[-1])
    return b"".join(all_)


def said(most, *command):
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout[:most]


def picture(width, height, noisy):
    rows = b"".join(b"\0" + (source.randbytes(3 * width) if noisy else bytes((x * y) & 255 for x in range(3 * width))) for y in range(height))
    chunk = lambda kind, data: len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
    head = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")


def lines(count, one):
    return "".join(one(number) + "\n" for number in range(count)).encode()


def token(_):
    claims = {"iss": "https://login.example.com/", "sub": word(HEX, 24), "aud": "api", "exp": source.randrange(10**9, 2 * 10**9)}
    part = lambda document: base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    return f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': word(HEX, 8)})}.{part(claims)}.{word(LETTERS + '-_', 342)}"


def manifest(number):
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{number}\n  labels: {{app: web}}\nspec:\n  replicas: {number % 7}\n  template:\n"
        f"    spec:\n      containers:\n      - name: web\n        image: ghcr.io/example/web:v{number}@sha256:{word(HEX, 64)}\n        env:\n"
        f"        - name: DATABASE_PASSWORD\n          valueFrom: {{secretKeyRef: {{name: web, key: password}}}}\n---"
    )


def script(number):
    return f"!function(e,t){{var n=t[{number}]||{{}};function r(e){{return\"%{word(HEX, 2)}\"+e.replace(/[\\u00{word(HEX, 2)}'\"]/g,\"\\\\x{word(HEX, 2)}\")}}e.exports={{a{number}:r,b:\"{word(LETTERS, 20)}\"}}}}(this,[]);"


def ordinary(most):
    """Output by its kind: what each command of a working day prints."""
    crates, programs = "~/.cargo/registry/src/*/*", ["/usr/bin/*", "~/.cargo/bin/*"]
    elf = files(programs, most // 5)
    sums = lines(most // 20 // 90, lambda n: f"{word(HEX, 64)}  target/release/deps/lib{source.choice(WORDS)}-{word(HEX, 16)}.rlib")
    return {
        "source trees": files([f"{crates}/**/*.rs", f"{crates}/**/*.c"], most // 4),
        "other text of source trees": files([f"{crates}/**/*.{end}" for end in ["md", "toml", "json", "js", "yml", "html", "css", "xml", "txt"]], most // 10),
        "lock files": files(["~/.cargo/registry/src/*/*/Cargo.lock", f"{ROOT}/**/Cargo.lock"], most // 15),
        "git log -p": said(most // 8, "git", "log", "-p", "--stat", "-n", "400"),
        "git log, raw": said(most // 20, "git", "log", "--format=raw", "-n", "4000"),
        "packed crates": files(["~/.cargo/registry/cache/*/*.crate"], most // 8),
        "tar": said(most // 10, "tar", "-C", "/usr/share", "-cf", "-", "doc"),
        "ELF": elf,
        "strings": said(most // 20, "strings", "-n", "6", "/usr/bin/git"),
        "pictures": b"".join(picture(400, 400, noisy) for noisy in [True, False] * 4),
        "UUIDs": lines(most // 20 // 40, lambda _: str(uuid.UUID(int=source.getrandbits(128), version=4))),
        "checksums": sums,
        "tokens of other services": lines(most // 30 // 600, token),
        "images with digests": lines(most // 30 // 110, lambda n: f"registry.example.com/team/app-{n}:1.{n}.0@sha256:{word(HEX, 64)} Pulled {n} seconds ago"),
        "base64 of noise": base64.encodebytes(source.randbytes(most // 40)),
        "base64 in one line": base64.b64encode(source.randbytes(most // 60)),
        "gzip": gzip.compress(elf[: most // 40], 6),
        "scripts, minified": "".join(script(n) for n in range(most // 30 // 160)).encode(),
        "CSV": lines(most // 30 // 75, lambda n: f'{n},"{source.choice(WORDS)}, {source.choice(WORDS)}",{source.random():.12f},{word(HEX, 12)},2026-11-{n % 28 + 1:02d}T10:00:00Z'),
        "manifests": lines(most // 30 // 420, manifest),
        "ls -lR": said(most // 20, "ls", "-lR", "/usr/share/doc", "/usr/lib", "/etc"),
        "xxd": said(most // 20, "xxd", "-l", str(most // 80), "/usr/bin/git"),
        "hexdump -C": said(most // 30, "hexdump", "-C", "-n", str(most // 150), "/usr/bin/git"),
        "od": said(most // 30, "od", "-A", "x", "-t", "x4", "-N", str(most // 100), "/usr/bin/git"),
        "od -c": said(most // 40, "od", "-c", "-N", str(most // 200), "/usr/bin/git"),
        "lists of packages": said(most // 6, "apt-cache", "dumpavail"),
        "logs in JSON": lines(most // 20 // 150, lambda n: json.dumps({"ts": n, "level": "info", "trace_id": word(HEX, 32), "msg": f'GET /v1/items/{n}?q=%22{source.choice(WORDS)}%22 "ok"', "ms": source.random()})),
        "logs of tests/corpora": files([f"{ROOT}/tests/corpora/logs/*"], most),
    }


def operate(binary, env, *words, stdin=None):
    return subprocess.run([binary, *words], env=env, input=stdin, capture_output=True)


def vault(binary, home):
    """A vault of secrets that `set` takes without a flag."""
    env = {"PATH": PATH, "HOME": home, "AUTHY_MCP_HOME": f"{home}/vault"}
    operate(binary, env, "init", "--unlock", "identity-file")
    kinds, held, refused = shapes(), {}, 0
    while len(held) < SECRETS:
        name, value = f"q/{len(held)}", kinds[(len(held) + refused) % len(kinds)]().encode()
        if operate(binary, env, "admin", "set", name, stdin=value).returncode:
            refused += 1
            if refused > SECRETS:
                sys.exit(f"no more than {len(held)} secrets were taken")
            continue
        held[name] = value
    with open(f"{home}/policy.toml", "w") as file:
        file.write(POLICY)
    applied = operate(binary, env, "admin", "policy", "apply", "--yes", f"{home}/policy.toml")
    if applied.returncode:
        sys.exit(applied.stderr.decode())
    return env, held


def masks(binary, env, names, path):
    """How often something is masked in a file, and the first place of it; CPU time of the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [binary, "run", "--scope", "s", *(word for name in names for word in ("--secret", name)), "--", "cat", path]
    done = subprocess.run(command, env=env, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    there = read(path, -1)
    if done.returncode:
        sys.exit(f"exit {done.returncode}: {done.stderr[-300:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.stdout == there:
        return 0, "", cpu
    at = next((at for at, (one, other) in enumerate(zip(done.stdout, there)) if one != other), min(len(there), len(done.stdout)))
    count = done.stdout.count(b"[redacted:") - there.count(b"[redacted:")
    return max(count, 1), f"{done.stdout[max(at - 60, 0) : at + 60]} was {there[max(at - 60, 0) : at + 60]}", cpu


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--megabytes", type=int, default=150)
    parser.add_argument("--keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = args.keep or f"{home}/files"
        os.makedirs(folder, exist_ok=True)
        env, held = vault(os.path.realpath(args.binary), home)
        total, cpu, wrong = 0, 0.0, 0
        for number, (kind, text) in enumerate(ordinary(args.megabytes * MEGABYTE).items()):
            path = f"{folder}/{number:02d}"
            with open(path, "wb") as file:
                file.write(text)
            count, where, took = masks(os.path.realpath(args.binary), env, held, path)
            total, cpu, wrong = total + len(text), cpu + took, wrong + count
            print(f"{kind}: {len(text) / 1e6:.1f} MB, {took:.1f} s, {count} false masks {where}", flush=True)
        if args.keep:
            os.makedirs(f"{folder}/secrets", exist_ok=True)
            for name, value in held.items():
                with open(f"{folder}/secrets/{name.replace('/', '@')}", "wb") as file:
                    file.write(value)
        digest = hashlib.sha256(b"".join(held.values())).hexdigest()[:8]
        print(f"{total / 1e6:.0f} MB with {len(held)} secrets ({digest}), {cpu:.0f} s of CPU, {wrong} false masks")
        if total < args.megabytes * 1e6:
            sys.exit("less output than was asked for")
        print("quiet: ok") if not wrong else sys.exit(1)


if __name__ == "__main__":
    main()
