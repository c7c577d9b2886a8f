#!/usr/bin/env bash
# Tier 3: a daemon of its own user, programs of another, and agents of a third, who reach the daemon by a group.
# Agents use what their token lets them, and get at nothing else; programs have no group and no capability of
# the daemon's. Needs root, to be several users; changes nothing on the machine.
# Usage: tier3.sh BINARY. Prints a line a claim, and closes with 'tier 3: N claims hold'.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "skipped: only root can be several users"; exit 0; }
command -v setpriv >/dev/null || { echo "skipped: there is no setpriv"; exit 0; }
if [ -z "${TIER3_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
  TIER3_INSIDE=1 exec unshare -m bash "$0" "$@"
fi
scene=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for file in passwd group; do umount "/etc/$file" 2>/dev/null || true; done
  rm -rf "$scene"
}
trap cleanup EXIT
chmod 755 "$scene"
fail() { printf 'FAILED: %s\n' "$1" >&2; cat "$scene/daemon.log" >&2 || true; exit 1; }

# Names for the users, in this mount namespace only; bare numbers where there is none.
keeper=47101 runner=47102 agent=47103 stranger=47104 agents=47105
keeper_name=$keeper runner_name=$runner agents_name=$agents
if [ -n "${TIER3_INSIDE:-}" ]; then
  for file in passwd group; do cp "/etc/$file" "$scene/$file"; chmod 644 "$scene/$file"; done
  printf 'authy-mcp:x:%s:%s::%s:/usr/sbin/nologin\nauthy-run:x:%s:%s::/:/usr/sbin/nologin\n' \
    $keeper $keeper "$scene" $runner $runner >>"$scene/passwd"
  printf 'authy-mcp:x:%s:\nauthy-run:x:%s:\nauthy-agents:x:%s:\n' $keeper $runner $agents >>"$scene/group"
  for file in passwd group; do mount --bind "$scene/$file" "/etc/$file"; done
  keeper_name=authy-mcp runner_name=authy-run agents_name=authy-agents
fi
install -m 755 "$(realpath "$1")" "$scene/authy-mcp"
binary=$scene/authy-mcp
install -d -m 700 -o $keeper -g $keeper "$scene/lib" "$scene/tmp"
install -d -m 750 -o $keeper -g $keeper "$scene/run"
install -d -m 700 -o $agent -g $agent "$scene/agent"
socket=$scene/run/daemon.sock
needed=+setuid,+setgid,+setpcap,+chown,+kill
value=sk-tier3-7Qm2vXz9LrT4wB6n

none=(--bounding-set=-all --inh-caps=-all)
as_keeper() { setpriv --reuid=$keeper --regid=$keeper --groups=$agents "${none[@]}" env -i PATH="$PATH" HOME="$scene/lib" AUTHY_MCP_HOME="$scene/lib/vault" "$@"; }
as_agent() { (cd "$scene/agent" && setpriv --reuid=$agent --regid=$agent --groups=$agents "${none[@]}" env -i PATH="$PATH" HOME="$scene/agent" AUTHY_MCP_SOCKET="$socket" "$@"); }
as_stranger() { setpriv --reuid=$stranger --regid=$stranger --clear-groups "${none[@]}" env -i PATH="$PATH" HOME=/nonexistent AUTHY_MCP_SOCKET="$socket" "$@"; }
held=0
holds() { held=$((held + 1)); printf 'holds    %s\n' "$1"; }
# refused NAME COMMAND…: it must fail, and say nothing of the value.
refused() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1 </dev/null | tr -d '\0'; exit "${PIPESTATUS[0]}"); then fail "$name went through: $said"; fi
  ! grep -qE "$value|AGE-SECRET-KEY-1" <<<"$said" || fail "$name: $said"
  holds "refused: $name ($(tail -n 1 <<<"$said" | sed "s|$scene|…|g" | cut -c1-70))"
}

# The operator, as the daemon's user.
as_keeper "$binary" init --unlock identity-file >/dev/null
printf %s "$value" | as_keeper "$binary" admin set t/key >/dev/null
printf 'a-file-of-some-length-5Kp8' | as_keeper "$binary" admin set t/file >/dev/null
cat >"$scene/probe" <<PROBE
#!/bin/sh
id -ru; id -u; id -G; grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status
[ -n "\$T_KEY" ] && echo has-the-key
[ -n "\$T_FILE" ] && cat "\$T_FILE" >/dev/null && echo reads-the-file && ls -ld "\$T_FILE"
echo written >"\$TMPDIR/file" && echo writes-its-directory
pwd
PROBE
cat >"$scene/killer" <<'KILLER'
#!/bin/sh
mkdir -m 700 "$TMPDIR/left"; echo x >"$TMPDIR/left/file"
kill -9 "$PPID"
KILLER
chmod 755 "$scene/probe" "$scene/killer"
cat >"$scene/policy.toml" <<POLICY
scope = "t"
[limits]
timeout = "20s"
[sandbox]
mode = "off"
[[allow]]
secrets = ["t/key"]
deliver = "env"
commands = [["$scene/probe"], ["$scene/killer"], ["sleep", "*"], ["$binary", "--socket", "$socket", "status"]]
[[allow]]
secrets = ["t/file"]
deliver = "file"
commands = [["$scene/probe"]]
POLICY
sed -e 's/scope = "t"/scope = "boxed"/' -e 's/mode = "off"/mode = "required"\nnetwork = "none"/' \
  -e 's/\[\["[^\n]*"status"\]\]/[["sh", "-c", "*"]]/' "$scene/policy.toml" >"$scene/boxed.toml"
chmod 644 "$scene/policy.toml" "$scene/boxed.toml"
as_keeper "$binary" admin policy apply "$scene/policy.toml" --yes >/dev/null 2>&1
as_keeper "$binary" admin token issue --scope t --out "$scene/lib/t.jwt" >/dev/null
install -m 600 -o $agent -g $agent "$scene/lib/t.jwt" "$scene/agent/t.jwt"
as_keeper "$binary" admin policy apply "$scene/boxed.toml" --yes >/dev/null 2>&1
as_keeper "$binary" admin token issue --scope boxed --out "$scene/lib/boxed.jwt" >/dev/null
install -m 600 -o $agent -g $agent "$scene/lib/boxed.jwt" "$scene/agent/boxed.jwt"

# The daemon, with what the unit gives it and nothing else.
start() {
  (cd "$scene" && { ulimit -l unlimited 2>/dev/null || true; } && exec setpriv --reuid=$keeper --regid=$keeper --groups=$agents \
    --inh-caps=-all,$needed --ambient-caps=-all,$needed --bounding-set=-all,$needed --no-new-privs \
    env -i PATH="$PATH" HOME="$scene/lib" TMPDIR="$scene/tmp" AUTHY_MCP_HOME="$scene/lib/vault" \
    "$binary" -v daemon --socket "$socket" --socket-group "$agents_name" --run-as "$runner_name") >"$scene/daemon.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 200); do ! [ -S "$socket" ] || return 0; sleep 0.05; done
  fail "the daemon does not listen"
}
chmod 711 "$scene/tmp"
start
daemon=$(as_agent "$binary" --json status | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
[ "$(stat -c %u "/proc/$daemon/environ")" = 0 ] || fail "the daemon is dumpable"
[ "$(awk '/^Uid/ { print $2 }' "/proc/$daemon/status")" = $keeper ] || fail "the daemon is of another user"
holds "the daemon is of its own user, and not dumpable"

if grep -qE '^Max locked memory +unlimited' "/proc/$daemon/limits"; then
  grep -qE '^VmLck:[[:space:]]+[1-9]' "/proc/$daemon/status" && as_agent "$binary" --json status | grep -q '"memory_locked": true' || fail "its pages are not locked"
  holds "its pages are locked, and it says so"
else
  echo "note: this machine limits locked memory: memory_locked is $(as_agent "$binary" --json status | sed -n 's/.*"memory_locked": \(.*\),/\1/p')"
fi

run() { as_agent "$binary" run --token-file t.jwt "$@"; }
said=$(run --secret t/key --secret t/file -- "$scene/probe" </dev/null) || fail "an agent with a token gets nothing: $said"
[ "$(sed -n 1,3p <<<"$said" | tr '\n' ' ')" = "$runner $runner $runner " ] || fail "the program's user: $said"
holds "an agent with a token runs a program, which is of the user for runs, in no other group"
[ "$(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):[[:space:]]0+$' <<<"$said")" = 5 ] && grep -qE '^NoNewPrivs:[[:space:]]1' <<<"$said" || fail "its capabilities: $said"
holds "it has no capability in any of the five sets, and gains none"
grep -q has-the-key <<<"$said" && grep -q reads-the-file <<<"$said" && grep -q writes-its-directory <<<"$said" || fail "its delivery: $said"
holds "it has its variable, its file, and a directory to write to"
! find "$scene/tmp" -name 'authy-mcp-run-*' | grep -q . || fail "its directory was left: $(ls "$scene/tmp")"
holds "its directory is gone with it"

# call SERVE…: list_allowed over stdio; fails where the answer is an error.
call() {
  local answer
  answer=$({ printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}' \
      '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_allowed","arguments":{}}}'; sleep 1; } |
    as_agent "$binary" serve "$@" | tail -n 1)
  printf '%s\n' "$answer"
  grep -q '"isError":false' <<<"$answer"
}
if as_agent unshare -U -r true 2>/dev/null; then
  said=$(as_agent "$binary" run --token-file boxed.jwt --secret t/key -- \
    sh -c 'id -u; grep -E "^(Cap|NoNewPrivs)" /proc/self/status; echo x >"$TMPDIR/x" && echo writes; [ -n "$T_KEY" ] && echo has-the-key; ls /proc' </dev/null 2>&1) || fail "a sandboxed program: $said"
  [ "$(head -n 1 <<<"$said")" = $runner ] && grep -q writes <<<"$said" && grep -q has-the-key <<<"$said" || fail "a sandboxed program: $said"
  [ "$(grep -cE '^Cap(Inh|Prm|Eff|Amb):[[:space:]]0+$' <<<"$said")" = 4 ] || fail "a sandboxed program's capabilities: $said"
  ! grep -qx "$daemon" <<<"$said" || fail "a sandboxed program sees the daemon"
  holds "the same in a sandbox of its own"
fi
answer=$(call --token-file t.jwt) && grep -q t/key <<<"$answer" || fail "serve over the socket: $answer"
holds "serve finds another user's daemon by its socket"

# A program at work.
run --secret t/key -- sleep 15 </dev/null >/dev/null 2>&1 &
pids+=($!)
child=
for _ in $(seq 100); do child=$(pgrep -u $runner -x sleep) && break; sleep 0.05; done
[ -n "$child" ] || fail "the program does not run"
grep -qa "$value" "/proc/$child/environ" || fail "the value is not where it is looked for"
own=$(as_agent env CONTROL="$value" sh -c 'sleep 20 >/dev/null 2>&1 & echo $!')
sleep 0.2
as_agent grep -qa "$value" "/proc/$own/environ" || fail "the attack is none"
kill "$own"
refused "an agent reads the environment of a running program" as_agent cat "/proc/$child/environ"
refused "… and its memory" as_agent head -c 100 "/proc/$child/mem"
refused "… and its descriptors" as_agent ls "/proc/$child/fd"
refused "… and ends it" as_agent kill "$child"
supervisor=$(ps -o ppid= -p "$child" | tr -d ' ')
[ "$(awk '/^Uid/ { print $2 }' "/proc/$supervisor/status")" = $runner ] && grep -qE '^CapEff:[[:space:]]0+$' "/proc/$supervisor/status" || fail "its supervisor"
holds "its supervisor is of the same user, and has no capability either"
refused "a program reads its supervisor" setpriv --reuid=$runner --regid=$runner --clear-groups "${none[@]}" cat "/proc/$supervisor/environ"

# The daemon, for an agent.
for file in environ mem maps stack; do refused "an agent reads the daemon's $file" as_agent head -c 100 "/proc/$daemon/$file"; done
refused "an agent kills the daemon" as_agent kill "$daemon"
refused "an agent lists the home" as_agent ls "$scene/lib/vault"
refused "an agent reads the identity" as_agent cat "$scene/lib/vault/identity.txt"
refused "an agent locks the daemon" as_agent "$binary" lock
refused "an agent names a scope" call --scope t
refused "an agent changes the vault" as_agent "$binary" admin list
refused "an agent without its token" as_agent "$binary" run --token-file /dev/null -- "$scene/probe"
if command -v curl >/dev/null; then
  post() { refused "$1" as_agent curl -sS --fail --unix-socket "$socket" -H 'authy-mcp-protocol: 1' -d "$3" "http://x$2"; }
  post "an agent retires the daemon" /v1/retire null
  post "an agent locks it by hand" /v1/lock null
  post "an agent asks for a challenge" /v1/challenge '{"nonce":"0"}'
  post "an agent asks for what is not there" /v1/admin '{}'
fi
refused "somebody who is not in the group calls" as_stranger "$binary" status
refused "an agent replaces the socket" as_agent rm -f "$socket"
said=$(run --secret t/key -- "$binary" --socket "$socket" status </dev/null 2>&1) && fail "a program reaches the socket: $said"
grep -qi 'permission denied' <<<"$said" || fail "a program fails otherwise: $said"
holds "a program is no agent: it does not reach the socket"

# A program that kills its supervisor, one that takes too long, and the daemon's end.
run --secret t/key -- "$scene/killer" </dev/null >/dev/null 2>&1 && fail "a killed supervisor is no success"
for _ in $(seq 100); do find "$scene/tmp" -path '*left*' | grep -q . || break; sleep 0.05; done
! find "$scene/tmp" -path '*left*' | grep -q . || fail "what a killed run left is still there"
holds "what a run leaves that killed its supervisor is removed"
as_keeper env AUTHY_MCP_SOCKET="$socket" "$binary" lock >/dev/null
! kill -0 "$child" 2>/dev/null || fail "a program outlives the daemon"
holds "the operator locks it, and what runs is ended"
as_keeper "$binary" admin audit verify >/dev/null || fail "the audit"
as_keeper "$binary" admin audit export | grep -q '"outcome":"revoked"' || fail "no outcome of what was ended"
holds "every outcome is on record"

refused "a daemon without the capabilities" as_keeper "$binary" daemon --socket "$socket" --run-as "$runner_name"
refused "programs of root" as_keeper "$binary" daemon --run-as root
refused "programs of the daemon's own user" as_keeper "$binary" daemon --run-as "$keeper_name"
start
kill "${pids[-1]}"
for _ in $(seq 200); do [ -S "$socket" ] || break; sleep 0.05; done
! [ -S "$socket" ] || fail "a stop is not passed on"
holds "a stop by the service manager is passed on, and the daemon ends in order"
printf 'tier 3: %s claims hold\n' "$held"
