"""The programs that are driven through the leak benchmark: a row each, with how it keeps secrets and starts a command with one.

To add one: a class with `name`, `what`, and `kept`, which puts secrets away and returns how a command is started with them; how
it is installed is a row of `benches/side-by-side/peers.py`. What it cannot keep (a value of several lines, say) it says by
raising, and the cell says so.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "side-by-side"), os.path.join(HERE, "..")]

import measure
import peers

# What one command may take: some start an interpreter first.
SECONDS = 60


@dataclass
class Kept:
    """Secrets that a program keeps, and how it starts a command with them in its environment."""

    words: list
    env: dict
    folder: str
    ends: list = field(default_factory=list)

    def output(self, script):
        """What comes out of a shell script: both streams, each by itself."""
        done = subprocess.run(
            [*self.words, "sh", "-c", script], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
        return done.stdout + done.stderr

    def close(self):
        for end in self.ends:
            end()


def said(words, env, folder, given=None):
    done = subprocess.run(words, env=env, cwd=folder, input=given, capture_output=True, timeout=SECONDS)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"`{os.path.basename(words[0])} {words[1]}`: {(lines or ['failed'])[-1].strip()[:120]}")
    return done.stdout.decode()


class Program:
    name = what = ""
    # A program of others: how it is installed, and where.
    peer = None
    # What stands in a value's place.
    mask = re.compile(rb"(?!)")

    def __init__(self, binary, peers_folder):
        self.binary = os.path.realpath(binary)
        self.installed = self.peer(peers_folder) if self.peer else None

    def is_there(self):
        return self.installed is None or os.path.exists(self.installed.program)

    def version(self):
        return self.installed.version() if self.installed else ""

    def kept(self, folder, secrets):
        """Puts secrets away, by the name of the variable that brings each: bytes."""
        raise NotImplementedError


class Control(Program):
    """Nothing is kept and nothing is masked: what a decoder must find."""

    name, what = "env", "the control: the value in the environment, nothing masked"

    def kept(self, folder, secrets):
        env = peers.surroundings(folder) | {name: os.fsdecode(value) for name, value in secrets.items()}
        return Kept(["env"], env, folder)


class Ours(Program):
    what = "this program"
    mask = re.compile(rb"\[redacted:[^\]]*\]")

    def version(self):
        return said([self.binary, "--version"], {}, "/").split()[-1]

    def kept(self, folder, secrets):
        env = peers.surroundings(folder, AUTHY_MCP_HOME=f"{folder}/vault", XDG_RUNTIME_DIR=folder)
        said([self.binary, "--no-daemon", "init", "--no-pin", "--unlock", "identity-file"], env, folder)
        names = {name: "k/" + name.lower().replace("_", "-") for name in secrets}
        for name, value in secrets.items():
            path = f"{folder}/value"
            with open(path, "wb") as out:
                out.write(value)
            said([self.binary, "--no-daemon", "admin", "set", names[name], "--from-file", path], env, folder)
            os.remove(path)
        table = ", ".join(f'"{names[name]}" = "{name}"' for name in secrets)
        with open(f"{folder}/policy.toml", "w") as out:
            out.write(
                'scope = "on"\n[limits]\nruns_per_minute = 1000000\noutput = "1MiB"\n[sandbox]\nread = ["/srv", "/opt"]\n[[allow]]\nid = "one"\n'
                f'secrets = [{", ".join(json.dumps(names[name]) for name in secrets)}]\ndeliver = "env"\nenv = {{ {table} }}\n'
                'commands = "any"\n'
            )
        said([self.binary, "--no-daemon", "admin", "policy", "apply", "--yes", f"{folder}/policy.toml"], env, folder)
        return self.started(env, folder, list(names.values()))


class Run(Ours):
    name, what = "authy-mcp run", "this program, as a person starts a command"

    def started(self, env, folder, names):
        return Kept([self.binary, "--no-daemon", "run", "--scope", "on", *[word for name in names for word in ("--secret", name)], "--"], env, folder)


class Mcp(Ours):
    name, what = "authy-mcp over MCP", "this program, as an agent calls it"

    def started(self, env, folder, names):
        server = measure.Server([self.binary, "--no-daemon", "serve", "--scope", "on"], env, folder)

        class Called(Kept):
            def output(self, script):
                server.send("run_with_secrets", {"command": ["sh", "-c", script], "secrets": names, "timeout_seconds": SECONDS})
                found = server.answer()["result"]["structuredContent"]
                if "outcome" not in found:
                    raise RuntimeError(f"{found.get('code')}: {found.get('message')}")
                return (found.get("stdout", "") + found.get("stderr", "")).encode()

        return Called([], env, folder, [server.end])


class Authy(Program):
    name, peer, what = "authy run", peers.Authy, "a vault of one age file"

    def kept(self, folder, secrets):
        program = self.installed.program
        env = peers.surroundings(folder, AUTHY_KEYFILE=f"{folder}/key")
        said([program, "init", "--generate-keyfile", f"{folder}/key"], env, folder)
        for name, value in secrets.items():
            said([program, "store", name.lower().replace("_", "-")], env, folder, value)
        said([program, "policy", "create", "on", "--allow", "*"], env, folder)
        return Kept([program, "run", "--scope", "on", "--uppercase", "--replace-dash", "_", "--"], env, folder)


class Dotenvx(Program):
    name, peer, what = "dotenvx run", peers.Dotenvx, "each value encrypted in a .env file"

    def kept(self, folder, secrets):
        program, env = self.installed.program, peers.surroundings(folder)
        with open(f"{folder}/.env", "w") as out:
            for name, value in secrets.items():
                text = value.decode()
                if "'" in text:
                    raise RuntimeError("a value with a single quote is not written")
                out.write(f"{name}='{text}'\n")
        said([program, "encrypt"], env, folder)
        return Kept([program, "run", "--quiet", "--"], env, folder)


class Varlock(Program):
    name, peer, what = "varlock run", peers.Varlock, "a schema over .env files, values masked in output"
    mask = re.compile("\u2592+".encode())

    def kept(self, folder, secrets):
        # In single quotes nothing is expanded; of several lines in their own kind of quotes.
        lines = []
        for name, value in secrets.items():
            text = value.decode()
            quote = "'''" if "\n" in text else "'"
            if quote in text:
                raise RuntimeError("a value with such quotes is not written")
            lines.append(f"{name}={quote}{text}{quote}\n")
        with open(f"{folder}/.env.schema", "w") as out:
            out.write("# @defaultSensitive=true\n# ---\n" + "".join(lines))
        return Kept([self.installed.program, "run", "--"], peers.surroundings(folder), folder)


class Doppler(Program):
    name, peer, what = "doppler run", peers.Doppler, "a client of a hosted service, which a server on loopback stands in for"

    def kept(self, folder, secrets):
        values = {name: value.decode() for name, value in secrets.items()}
        service = peers.served(values)
        env = peers.surroundings(folder, DOPPLER_TOKEN="dp.st.dev.stands-in")
        host = ["--api-host", f"http://127.0.0.1:{service.server_port}", "--no-check-version"]
        return Kept([self.installed.program, "run", *host, "--no-fallback", "--"], env, folder, [service.shutdown])


class Fnox(Program):
    name, peer, what = "fnox exec", peers.Fnox, "values encrypted by age in a file"

    def kept(self, folder, secrets):
        program, key = self.installed.program, f"{folder}/key.txt"
        env = peers.surroundings(folder, FNOX_AGE_KEY_FILE=key)
        said(["age-keygen", "-o", key], env, folder)
        public = said(["age-keygen", "-y", key], env, folder).strip()
        with open(f"{folder}/fnox.toml", "w") as out:
            out.write(f'default_provider = "age"\n[providers.age]\ntype = "age"\nrecipients = ["{public}"]\n')
        for name, value in secrets.items():
            said([program, "set", name], env, folder, value)
        return Kept([program, "exec", "--"], env, folder)


ALL = [Control, Mcp, Run, Authy, Fnox, Dotenvx, Varlock, Doppler]
