#!/usr/bin/env bash
# The units: systemd's own check of them where it is installed, and socket activation as a service manager does
# it (sd_listen_fds(3)): the daemon is started by the first call, on the manager's socket, which outlives it.
source "$(dirname "$0")/lib.inc"
units=$here/../../docs/units

mkdir "$walk/units" "$walk/run" "$HOME/.cargo" "$HOME/.cargo/bin"
chmod 700 "$walk/run"
export XDG_RUNTIME_DIR=$walk/run
cp "$binary" "$HOME/.cargo/bin/"
"$binary" init --unlock identity-file >/dev/null
socket=$("$binary" --json status | sed -n 's/.*"socket": "\(.*\)".*/\1/p')
case $socket in "$walk"/run/authy-mcp/*.sock) ;; *) fail "status does not name the socket: $socket" ;; esac
cp "$units/systemd-user/authy-mcp.service" "$walk/units/"
sed "s|@SOCKET@|$socket|" "$units/systemd-user/authy-mcp.socket" >"$walk/units/authy-mcp.socket"
mkdir "$walk/units/tier-3"
sed "s|/usr/local/bin/authy-mcp|$binary|" "$units/tier-3/etc/systemd/system/authy-mcp.service" >"$walk/units/tier-3/authy-mcp.service"
if command -v systemd-analyze >/dev/null; then
  # %h is the manager's own idea of a home.
  sed -i "s|%h|$HOME|" "$walk/units/authy-mcp.service"
  said=$(systemd-analyze verify --man=no "$walk/units/authy-mcp.service" "$walk/units/authy-mcp.socket" 2>&1) && [ -z "$said" ] || fail "systemd-analyze: $said"
  said=$(systemd-analyze verify --man=no "$walk/units/tier-3/authy-mcp.service" 2>&1) && [ -z "$said" ] || fail "systemd-analyze: $said"
  printf '[Service]\nExecStart=%s daemon\nKilMode=mixed\n' "$binary" >"$walk/units/wrong.service"
  said=$(systemd-analyze verify --man=no "$walk/units/wrong.service" 2>&1) || true
  grep -q KilMode <<<"$said" || fail "systemd-analyze finds nothing"
  echo "units: systemd-analyze verify finds nothing in three"
else
  echo "note: there is no systemd-analyze here"
fi
if command -v systemd-sysusers >/dev/null && [ "$(id -u)" = 0 ]; then
  mkdir -p "$walk/root/etc" && touch "$walk/root/etc/passwd" "$walk/root/etc/group"
  systemd-sysusers --root="$walk/root" - <"$units/tier-3/etc/sysusers.d/authy-mcp.conf" >/dev/null 2>&1
  for name in authy-mcp authy-run; do grep -q "^$name:" "$walk/root/etc/passwd" || fail "sysusers makes no $name"; done
  grep -qE '^authy-agents:.*authy-mcp' "$walk/root/etc/group" || fail "the daemon is not in its group"
  echo "units: systemd-sysusers makes the users and the group"
fi
"$python" -c 'import plistlib, sys; plist = plistlib.load(open(sys.argv[1], "rb")); assert plist["ProgramArguments"][1] == "daemon", plist' "$units/launchd/authy-mcp.plist"

# Plays the service manager: listens, and starts the daemon whenever somebody calls and none is there.
cat >"$walk/manager.py" <<'PY'
import os, select, signal, socket, sys
path, binary, stop = sys.argv[1], sys.argv[2], []
os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o600)
listener.listen(16)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("listening", flush=True)
for _ in range(4):
    select.select([listener], [], [])
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 9)
        os.dup2(9, 3, inheritable=True)
        os.execve(binary, [binary, "daemon", "--idle", "2s"], os.environ | {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
    _, status = os.waitpid(child, 0)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
PY
"$python" "$walk/manager.py" "$socket" "$binary" >"$walk/manager.log" 2>&1 &
manager=$!
trap 'kill "$manager" 2>/dev/null || true; "$binary" lock >/dev/null 2>&1 || true; rm -rf "$walk" || true' EXIT
for _ in $(seq 100); do grep -q listening "$walk/manager.log" && break; sleep 0.05; done
printf 'sk-units-7Qm2vXz9LrT4' | "$binary" admin set u/key >/dev/null
"$binary" admin allow u --yes --secret u/key -- ls -l /proc/self/fd >/dev/null 2>&1
said=$(call --scope u run_with_secrets '{"command":["ls","-l","/proc/self/fd"],"secrets":["u/key"]}')
grep -q 'exited 0' <<<"$said" || fail "the first call: $said"
! grep -q socket: <<<"$said" || fail "a program inherits the socket: $said"
[ "$("$binary" --json status | grep -c '"runs": 1')" = 1 ] || fail "another daemon served it"
inode=$(stat -c %i "$socket")
for _ in $(seq 200); do grep -q 'ended 0' "$walk/manager.log" && break; sleep 0.05; done
grep -q 'ended 0' "$walk/manager.log" || fail "it does not end when it is idle: $(cat "$walk/manager.log")"
[ "$(stat -c %i "$socket")" = "$inode" ] || fail "the manager's socket is gone"
said=$(call --scope u list_allowed '{}') || fail "the second start: $said"
"$binary" lock >/dev/null
for _ in $(seq 200); do [ "$(grep -c 'ended 0' "$walk/manager.log")" = 2 ] && break; sleep 0.05; done
[ "$(grep -c 'ended 0' "$walk/manager.log")" = 2 ] || fail "lock: $(cat "$walk/manager.log")"
kill "$manager"
wait "$manager" 2>/dev/null || true
rm -f "$socket"

# What was meant for another process, and what is no socket.
said=$(LISTEN_FDS=1 LISTEN_PID=1 timeout 20 "$binary" daemon --idle 1s 3</dev/null) && [ "$said" = ready ] || fail "a socket for another process: $said"
said=$(bash -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" daemon --idle 1s 3</dev/null' "$binary" 2>&1) && fail "a file for a socket: $said"
grep -q 'socket' <<<"$said" || fail "a file for a socket: $said"
echo "units: the daemon is started by a call, on its manager's socket, twice"
