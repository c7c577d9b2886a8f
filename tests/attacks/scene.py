"""The scene of the escape test: a vault, a victim, and runs of ways.py without a sandbox and in it.

`scene.py BINARY PYTHON DIR`, as the user whose runs they are; prints a line of JSON: what contained the runs, and for
each way whether it got through, without a sandbox and in it.
"""
import ctypes, fcntl, json, os, re, shutil, socket, subprocess, sys, threading, time

binary, python, scene_dir = sys.argv[1:4]
here = os.path.dirname(os.path.abspath(__file__))
home, vault, project = scene_dir + "/user", scene_dir + "/user/.local/share/authy-mcp", scene_dir + "/user/src/site"
runtime, dist = scene_dir + "/runtime", project + "/dist"
marker = "marker-8Kq3vXz1LrT6"
environment = dict(PATH="/usr/local/bin:/usr/bin:/bin", HOME=home, AUTHY_MCP_HOME=vault, XDG_RUNTIME_DIR=runtime)
CREDENTIALS = [
    ".ssh/id_ed25519", ".aws/credentials", ".gnupg/private", ".netrc", ".npmrc", ".kube/config", ".docker/config.json",
    ".newtool/login", ".config/newtool/token", ".local/share/newtool/auth.json", ".bashrc",
    ".claude.json", ".cursor/mcp.json", ".config/Claude/claude_desktop_config.json", ".codex/config.toml", ".bash_history"]
IN_PROJECT = [".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"]
# What others run or trust unasked, in a written place: by what a run does, and whether it is there before.
CONTROL = [
    ("a git hook", ".git/hooks/pre-commit", "write", None), ("a git hook that is there", ".git/hooks/pre-push", "write", "mine"),
    ("a git hook that is there, by renaming", ".git/hooks/post-merge", "rename", "mine"),
    ("a git hook, by another repository in its place", ".git/hooks/post-commit", "exchange", None),
    ("git's configuration", ".git/config", "configure", "[core]\n\tbare = false\n"),
    ("git's common directory", ".git/commondir", "write", None), ("git's attributes", ".git/info/attributes", "write", "mine"),
    ("a submodule's configuration", ".git/modules/m/config", "configure", "[core]\n\tbare = false\n"),
    ("a submodule's hook", ".git/modules/m/hooks/post-checkout", "write", None),
    ("a nested repository's hook", "one/two/.git/hooks/pre-commit", "write", None),
    ("a nested repository's hook, its directory being exchanged", "three/four/.git/hooks/pre-commit", "exchange above", None),
    ("a bare repository's configuration", "bare.git/config", "configure", None),
    ("a client's servers", ".mcp.json", "write", None), ("a client's servers, by renaming", ".cursor/mcp.json", "rename", None),
    ("a client's servers, by a link", ".gemini/settings.json", "link", None),
    ("a client's hooks", ".claude/settings.json", "write", "mine"), ("a client's servers, further down", "one/.mcp.json", "write", None),
    ("an editor's tasks", ".vscode/tasks.json", "write", "mine"),
    ("an editor's tasks, its directory being exchanged", ".idea/workspace.xml", "exchange directory", "mine"),
    ("a shell's directory file", ".envrc", "rename", "mine"), ("a tool manager's file", "mise.toml", "write", None),
    ("a workflow", ".github/workflows/x.yml", "write", None), ("a hook manager's", ".husky/pre-commit", "write", None),
    ("a shell's start file", ".bashrc", "write", None), ("a package manager's", ".npmrc", "write", "mine"),
    ("a build's", "one/.cargo/config.toml", "write", "mine"), ("a container's", ".devcontainer/devcontainer.json", "write", None),
    ("a program of a virtual environment", ".venv/bin/python", "program", None),
    ("a program of a package", "node_modules/.bin/tsc", "program", None), ("a Makefile", "Makefile", "write", None),
    ("a lock file", "package-lock.json", "write", None)]


def lay_control():
    """The written place as it is before a run."""
    for name in os.listdir(dist):
        path = f"{dist}/{name}"
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    for git in (".git", ".git/modules/m", "one/two/.git", "three/four/.git", "bare.git"):
        for directory in ("hooks", "info", "objects", "refs"):
            os.makedirs(f"{dist}/{git}/{directory}", exist_ok=True)
        file(f"{dist}/{git}/HEAD", "ref: refs/heads/x\n")
    for _, path, _, before in CONTROL:
        if before is not None:
            file(f"{dist}/{path}", before)
    # The clock that stamps files is a coarse one.
    time.sleep(0.05)


def left_to_be_run(result):
    """What a run left to be run later, and did not tell of."""
    told = {entry["path"] for entry in result.get("written", [])}
    for name, path, _, _ in CONTROL:
        try:
            with open(f"{dist}/{path}", errors="replace") as opened:
                evil = "evil" in opened.read()
        except OSError:
            evil = False
        got = evil and f"{dist}/{path}" not in told
        yield f"leave to be run later: {name}", [got, "it is there, and not told of" if got else "told of" if evil else "it isn't there"]


def file(path, text=marker):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w") as opened:
        opened.write(text)
    return path


def command(*words, **more):
    return subprocess.run([binary, *words], env=environment, cwd=project, check=True, capture_output=True, **more).stdout


def policy(scope, sandbox, more=""):
    text = f"""scope = "{scope}"
[limits]
timeout = "4m"
output = "1MiB"
runs_per_minute = 600
[env]
path = ["{os.path.dirname(python)}"]
{more}
[sandbox]
{sandbox}
cwd = ["{project}"]
[[allow]]
secrets = ["a/key"]
deliver = "env"
commands = "any"
"""
    command("admin", "policy", "apply", file(f"{scene_dir}/{scope}.toml", text), "--yes")


def run(scope, argv, leave_open=()):
    """One call over stdio, of a client that leaves descriptors open in its server."""
    left = [os.open(path, os.O_RDONLY) for path in leave_open]
    server = subprocess.Popen([binary, "serve", "--scope", scope], env=environment, cwd=project, pass_fds=left,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for descriptor in left:
        os.close(descriptor)
    say = lambda message: (server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"), server.stdin.flush())
    say({"id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "escape", "version": "1"}}})
    server.stdout.readline()
    say({"method": "notifications/initialized"})
    say({"id": 2, "method": "tools/call", "params": {
        "name": "run_with_secrets", "arguments": {"command": argv, "secrets": ["a/key"], "cwd": project}}})
    answer = json.loads(server.stdout.readline())
    server.stdin.close()
    server.wait()
    return answer["result"]["structuredContent"]


class Unavailable(Exception):
    """This machine can't contain a run, and none was started."""


def try_all(scope, scene):
    """Every way in a run of a scope: name → [whether it got through, what was said]."""
    open(scene["signals"], "w").close()
    lay_control()
    json.dump({**scene, "contained": scope != "off", "home_is_shown": scope == "wide"}, open(project + "/scene.json", "w"))
    result = run(scope, [python, project + "/ways.py", project + "/scene.json"], [scene_dir + "/left-open", home + "/.ssh"])
    if result.get("code") == "sandbox_unavailable":
        raise Unavailable(result["message"])
    ways = {}
    for line in result.get("stdout", "").splitlines():
        if line.startswith("["):
            name, answer = json.loads(line)
            ways[name] = [answer["got"], answer["said"]]
    if len(ways) < 60:
        sys.exit(f"{scope}: the run ended early: {json.dumps(result)[:2000]}")
    time.sleep(0.3)
    noted = open(scene["signals"]).read()
    if scope != "off" and "signal" in noted:
        ways["signal every process"] = [True, "somebody outside was signalled"]
    ways.update(left_to_be_run(result))
    for directory in ("/dev/shm", "/tmp"):
        left = f"{directory}/{scene['left']}"
        ways[f"leave a file in the machine's {directory}"] = [os.path.exists(left), "it is there" if os.path.exists(left) else "it isn't there"]
        if os.path.exists(left):
            os.unlink(left)
    lines = [open(f"/proc/{p}/cmdline", "rb").read() for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/cmdline")]
    alive = any(scene["outlives"].encode() in line for line in lines)
    ways["outlive the run (setsid, two forks)"] = [alive, "it lives" if alive else "it ended with the run"]
    cores = [name for name in os.listdir(project) + os.listdir(dist) if re.match(r"core(\.|$)", name)]
    if cores:
        ways["leave a core behind"] = [True, str(cores)]
    return ways, result.get("sandbox", "off")


def change_files(ended):
    """What others do meanwhile: a client writes its file anew, and a credential comes to be."""
    while not ended.is_set():
        os.rename(file(home + "/.new"), home + "/.git-credentials")
        if os.path.exists(home + "/.pgpass"):
            os.unlink(home + "/.pgpass")
        time.sleep(0.15)
        os.rename(file(home + "/.new"), home + "/.pgpass")
        file(project + "/noticed")
        time.sleep(0.15)


def swap(ended, aside):
    """An agent with a shell of its own: a written place is a directory, and in the next moment a link to ~/.ssh."""
    os.symlink(home + "/.ssh", aside)
    while not ended.is_set():
        exchange(dist, aside)
        exchange(dist, aside)
    os.unlink(aside)


def exchange(one, other):
    if ctypes.CDLL(None).renameat2(-100, one.encode(), -100, other.encode(), 2) != 0:
        sys.exit("the written place can't be exchanged")


def race(scope):
    """Runs that start while a written place is swapped: whether one read or wrote where the link leads to."""
    ended = threading.Event()
    swapping = threading.Thread(target=swap, args=(ended, project + "/aside"))
    swapping.start()
    got = os.path.exists(home + "/.ssh/by-the-run") and os.unlink(home + "/.ssh/by-the-run")
    for _ in range(25):
        result = run(scope, ["/bin/sh", "-c", "cat dist/id_ed25519; echo > dist/by-the-run; sleep 0.05; cat dist/id_ed25519"])
        got = got or marker in result.get("stdout", "") or os.path.exists(home + "/.ssh/by-the-run")
    ended.set()
    swapping.join()
    return got


def hold():
    """Locks of somebody outside, held until the scene is over."""
    held = []
    for path in (project + "/locked", "/usr/bin/env"):
        own = open(path, "r+" if path.startswith(project) else "r")
        fcntl.flock(own, fcntl.LOCK_EX)
        own.writable() and fcntl.lockf(own, fcntl.LOCK_EX)
        held.append(own)
    return held


def roots_own():
    """A file of the machine's that only root reads, where root is who makes it."""
    path = f"/etc/{os.path.basename(os.path.dirname(scene_dir))}-{os.path.basename(scene_dir)}"
    try:
        os.chmod(file(path), 0o600)
    except OSError:
        return None
    return path


def build():
    for path in CREDENTIALS:
        file(f"{home}/{path}")
    for path in IN_PROJECT + ["empty.txt", "src.txt", "sub/x", "locked", "noticed"]:
        file(f"{project}/{path}")
    for directory in (dist, vault, runtime + "/systemd", scene_dir + "/keys"):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    os.chmod(vault, 0o700)
    file(home + "/notes.txt"), file(home + "/other/secret.txt"), file(scene_dir + "/left-open")
    os.mkfifo(project + "/pipe")
    for name in ("ways.py", "victim.py"):
        shutil.copy(f"{here}/{name}", project)
    identity = scene_dir + "/keys/identity.txt"
    command("--identity-file", identity, "init", "--unlock", "identity-file")
    command("admin", "set", "a/key", input=b"sk-value-7Qm2vXz9LrT4")
    policy("off", 'mode = "off"', 'home = "user"')
    policy("tight", 'network = "none"\nwrite = ["{cwd}/dist"]')
    policy("wide", 'network = "none"\nread = ["~"]\nwrite = ["{cwd}/dist"]', 'home = "user"')
    os.makedirs(vault + "/tokens", mode=0o700, exist_ok=True)
    token = vault + "/tokens/mine.jwt"
    command("admin", "token", "issue", "--scope", "tight", "--out", token)
    run("off", ["/bin/true"])
    daemons = [found for base in (runtime, vault) for root, _, names in os.walk(base) for found in [f"{root}/{n}" for n in names] if found.endswith(".sock")]
    tag = os.path.basename(scene_dir)
    hosts = [a for a in {i[4][0] for i in socket.getaddrinfo(socket.gethostname(), None)} if not a.startswith(("127.", "::1", "fe80"))]
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
        hosts.append(probe.getsockname()[0])
    except OSError:
        pass
    sockets = {"the session bus": runtime + "/bus", "the user's systemd": runtime + "/systemd/private", "a container engine's": runtime + "/docker.sock",
               "in the home": home + "/service.sock", "in the project": project + "/service.sock", "abstract": f"@{tag}-stream"}
    datagrams = {"in the home": home + "/log.sock", "in the project": project + "/log.sock", "abstract": f"@{tag}-dgram"}
    scene = dict(
        marker=marker, dir=scene_dir, home=home, project=project, vault=vault, identity=identity, token=token, driver=os.getpid(),
        vault_files=[f"{root}/{name}" for root, _, names in os.walk(vault) for name in names if not name.endswith(".sock")],
        daemon=(daemons or [vault + "/no-daemon.sock"])[0], credentials=CREDENTIALS, in_project=IN_PROJECT, control=CONTROL,
        in_tmp=file(f"/tmp/{tag}.txt"), in_shm=file(f"/dev/shm/{tag}.txt"), left=f"{tag}-left", outlives=f"{tag}-outlives",
        signals=scene_dir + "/evidence", roots_own=roots_own(), mq=f"{tag}-mq", sockets=sockets, datagrams=datagrams,
        addresses=["127.0.0.1", "::1", *sorted(set(hosts))])
    json.dump(scene, open(scene_dir + "/scene.json", "w"))
    victim = subprocess.Popen([python, project + "/victim.py", scene_dir + "/scene.json", scene["signals"]],
                              env={**environment, "HELD": marker}, stdout=subprocess.PIPE)
    return {**scene, **json.loads(victim.stdout.readline())}, victim


def main():
    import signal
    signal.signal(signal.SIGURG, lambda *_: open(scene_dir + "/evidence", "a").write("signal\n"))
    scene, victim = build()
    scene["namespaces"] = "namespaces" in run("tight", ["/bin/true"]).get("sandbox", "")
    held = hold()
    ended = threading.Event()
    changing = threading.Thread(target=change_files, args=(ended,))
    changing.start()
    try:
        control, _ = try_all("off", scene)
        ways, layers = try_all("tight", scene)
        for name, answer in try_all("wide", scene)[0].items():
            if answer[0] or name not in ways:
                ways[name] = [answer[0], answer[1] + " (where the home may be read)"]
        name = "swap a written place while runs start"
        control[name], ways[name] = [race("off"), ""], [race("tight"), "where a link led"]
    except Unavailable as why:
        layers, ways = f"no run was started: {why}", {name: [False, str(why)] for name in control}
    finally:
        ended.set()
        changing.join()
        open(scene_dir + "/done", "w").close()
        victim.wait()
        subprocess.run([binary, "lock"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in (scene["in_tmp"], scene["in_shm"], scene["roots_own"]):
            path and os.path.exists(path) and os.unlink(path)
        for own in held:
            own.close()
    print(json.dumps(dict(layers=layers, control=control, ways=ways)))


main()
