#!/usr/bin/env bash
# A vault that a person unlocked into a daemon, and another process of the same user, who is not root: given
# everything on the disk but the tokens of other scopes, it gets no value, no key, and no more authority.
# Usage: authority.sh BINARY. Prints a line an attack, and closes with 'N refused, 0 got through'.
set -euo pipefail
sources=$(cd "$(dirname "$0")" && pwd)/authority
scene=$(mktemp -d)
trap 'as "$binary" lock >/dev/null 2>&1 || true; rm -rf "$scene"' EXIT
chmod 711 "$scene"
install -m 755 "$(realpath "$1")" "$scene/authy-mcp"
binary=$scene/authy-mcp
user=$(id -u)
as() { "$@"; }
if [ "$user" = 0 ]; then
  user=47001
  as() { setpriv --reuid=$user --regid=$user --clear-groups --bounding-set=-all --inh-caps=-all "$@"; }
fi
install -d -m 700 -o "$user" "$scene/user" 2>/dev/null || mkdir -m 700 "$scene/user"
export HOME=$scene/user AUTHY_MCP_HOME=$scene/user/vault
unset XDG_RUNTIME_DIR
cd "$scene/user"

value=sk-authority-7Qm2vXz9LrT4
passphrase='never typed at an agent'
refused=0
through=0
said=
# attack NAME COMMAND…: what it says must have neither value nor identity, and it must fail.
attack() {
  local name=$1 code=0
  shift
  said=$(as "$@" 2>&1 </dev/null | tr -d '\0'; exit "${PIPESTATUS[0]}") || code=$?
  if [ "$code" != 0 ] && ! grep -qE "$value|AGE-SECRET-KEY-1" <<<"$said"; then
    refused=$((refused + 1))
    printf 'refused  %-62s %s\n' "$name" "$(tail -n 1 <<<"$said" | cut -c1-60)"
  else
    through=$((through + 1))
    printf 'THROUGH  %s (exit %s): %s\n' "$name" "$code" "$said"
  fi
}
# call TOOL ARGUMENTS SERVE…: one MCP call over stdio; fails where the answer is an error.
call() {
  local tool=$1 arguments=$2
  shift 2
  { printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}' \
      '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
      "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"$tool\",\"arguments\":$arguments}}"
    sleep 0.7
  } | "$binary" serve "$@" | tail -n 1 >answer
  cat answer
  grep -q '"isError":false' answer
}
export -f call
export binary

# The person: makes the vault, unlocks it, gives a token for one scope of two.
with_file() { as sh -c 'umask 077; printf %s "$1" > pass; shift; "$@"; code=$?; rm -f pass; exit $code' sh "$passphrase" "$binary" --passphrase-file pass "$@"; }
with_file init --unlock passphrase >/dev/null
as sh -c "printf %s $value > key"
for scope in mine other; do
  with_file admin set "$scope/key" --from-file key >/dev/null
  with_file admin allow "$scope" --yes --secret "$scope/key" -- true >/dev/null 2>&1
done
as rm key
with_file admin token issue --scope mine --out "$HOME/mine.jwt" >/dev/null
with_file unlock --allow-user-namespace >/dev/null
daemon=$(as "$binary" --json status | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
as bash -c "call run_with_secrets '{\"command\":[\"true\"],\"secrets\":[\"mine/key\"]}' --token-file mine.jwt" 2>/dev/null ||
  { echo "FAILED: the token is of no use"; exit 1; }

# What is tried on the daemon works on a process that does nothing against it.
attach() { gdb -nx -batch -p "$1" -ex 'info proc mappings' >gdb.txt 2>&1; cat gdb.txt; grep -q 'Start Addr' gdb.txt; }
export -f attach
control=$(as env "CONTROL=$value" sh -c 'sleep 60 >/dev/null 2>&1 </dev/null & echo $!')
sleep 0.2
as grep -qa "$value" "/proc/$control/environ" && as ls "/proc/$control/fd" >/dev/null && as head -c 10 "/proc/$control/maps" >/dev/null ||
  { echo "FAILED: the attacks are none"; exit 1; }
! command -v gdb >/dev/null || as bash -c "attach $control" >/dev/null || echo "note: gdb attaches to nothing here"
kill "$control"

# The daemon's process.
for file in environ mem maps smaps pagemap auxv stack syscall io; do
  attack "read /proc/PID/$file" head -c 4096 "/proc/$daemon/$file"
done
attack "list its descriptors" ls "/proc/$daemon/fd"
attack "open its descriptors" cat "/proc/$daemon/fd/3"
attack "read its mapped files" ls "/proc/$daemon/map_files"
attack "enter its working directory" ls "/proc/$daemon/cwd"
if command -v gdb >/dev/null; then
  attack "attach to it" bash -c "attach $daemon"
fi
attack "enter its namespaces" nsenter -t "$daemon" -m -p true
# Its disk.
attack "find a value in the home" grep -rqa "$value" "$AUTHY_MCP_HOME"
attack "find an identity in the home" grep -rqa AGE-SECRET-KEY "$AUTHY_MCP_HOME"
attack "find the passphrase anywhere" grep -rqa "$passphrase" "$HOME"
if command -v age >/dev/null; then
  attack "open the identity without the passphrase" age -d -i /dev/null "$AUTHY_MCP_HOME/unlock/passphrase.age"
fi
# Its commands.
attack "list the secrets" "$binary" admin list
attack "reveal a value" "$binary" admin get mine/key --reveal --out -
attack "mint a token" "$binary" admin token issue --scope other --out x.jwt
attack "allow a command" "$binary" admin allow mine --yes --secret other/key -- printenv
attack "apply a policy" "$binary" admin policy apply --yes /dev/null
attack "set a secret" sh -c "printf some-other-value-4Hn8 | $binary admin set mine/key"
attack "back the vault up" "$binary" admin backup "$HOME/backup"
attack "read the audit log's events" "$binary" admin audit show
attack "run with a scope" "$binary" run --scope mine -- true
attack "unlock with a guess" sh -c "printf guess > g; chmod 600 g; $binary --passphrase-file g unlock"
# Its socket.
attack "call with a scope alone" bash -c "call list_allowed '{}' --scope mine"
attack "call with another scope" bash -c "call list_allowed '{}' --scope other"
attack "use the other scope's secret with a token" bash -c "call run_with_secrets '{\"command\":[\"true\"],\"secrets\":[\"other/key\"]}' --token-file mine.jwt"
forged=$(printf '{"alg":"none","typ":"JWT"}' | base64 -w0 | tr -d =).$(cut -d. -f2 "$HOME/mine.jwt").
as sh -c "umask 077; printf %s '$forged' > forged.jwt"
attack "forge a token" bash -c "call list_allowed '{}' --token-file forged.jwt"
socket=$AUTHY_MCP_HOME/run/daemon.sock
if command -v curl >/dev/null; then
  post() { attack "$1" curl -sS --fail --unix-socket "$socket" -H 'authy-mcp-protocol: 1' -d "$3" "http://x$2"; }
  post "retire it without proof" /v1/retire null
  post "ask for an operator's command" /v1/admin '{}'
  attack "ask with a proof that is made up" sh -c "curl -sS --unix-socket $socket -H 'authy-mcp-protocol: 1' -H 'authy-mcp-nonce: 0' -H 'authy-mcp-proof: 0' -d '{\"credential\":{\"scope\":{\"scope\":\"mine\",\"instance\":\"g_aaaaaaaaaaaaaaaa\"}}}' http://x/v1/list_allowed >answer; cat answer; grep -q '\"answer\"' answer"
fi
# A daemon of one's own.
attack "start one in a hostile environment" env LD_PRELOAD=/nonexistent.so AUTHY_MCP_TOKEN=x "$binary" daemon
attack "start one over a copy of the home" sh -c "cp -r vault copy && AUTHY_MCP_HOME=$HOME/copy $binary daemon"
attack "unlock in a user namespace of one's own" unshare -U -r sh -c "umask 077; printf %s '$passphrase' > p; $binary --passphrase-file p unlock; code=\$?; rm -f p; exit \$code"
attack "a socket of another run" env AUTHY_MCP_RUN="$socket" bash -c "call list_allowed '{}'"
# Another home: keys of one's own are good for nothing here.
attack "a token of another home" env AUTHY_MCP_HOME="$HOME/own" bash -c '
  "$binary" init --unlock identity-file && printf some-other-value-4Hn8 | "$binary" admin set other/key &&
  "$binary" admin allow other --yes --secret other/key -- true && "$binary" admin token issue --scope other --out own.jwt || exit 0
  AUTHY_MCP_HOME='"$HOME/vault"' call run_with_secrets "{\"command\":[\"true\"],\"secrets\":[\"other/key\"]}" --token-file own.jwt'
attack "a proof by another home's key" env AUTHY_MCP_HOME="$HOME/own" AUTHY_MCP_SOCKET="$socket" bash -c "call list_allowed '{}' --scope other"
attack "another home's key in this one's place" bash -c 'cp own/identity.txt vault/identity.txt 2>/dev/null; "$binary" --identity-file own/identity.txt admin list'
attack "another home's operator retires the daemon" env AUTHY_MCP_HOME="$HOME/own" AUTHY_MCP_SOCKET="$socket" "$binary" --identity-file own/identity.txt run --scope other -- sh -c 'exit 1'
as rm -f vault/identity.txt
kill -0 "$daemon" 2>/dev/null || as kill -0 "$daemon" || { echo "FAILED: the daemon is gone"; exit 1; }

# A library of one's own in programs of this user: that is the attacker's program then, and it gets what the
# attacker has, a token, and nothing else. In the person's own command it gets all: SECURITY.md says so.
if command -v gcc >/dev/null; then
  gcc -shared -fPIC -O1 -o "$scene/preload.so" "$sources/preload.c"
  chmod 755 "$scene/preload.so"
  preload() { env NEEDLES="$scene/needles" FOUND="$HOME/found" LD_PRELOAD="$scene/preload.so" "$@"; }
  finds() { preload "$@" >/dev/null 2>&1 </dev/null || true; cat found; rm -f found; }
  # Not in the environment, where each process would have them.
  printf %s "$value:AGE-SECRET-KEY-1:$passphrase" >"$scene/needles"
  chmod 644 "$scene/needles"
  export scene
  export -f preload finds
  as sh -c 'umask 077; printf %s "$1" > pass' sh "$passphrase"
  said=$(as bash -c 'finds "$binary" --passphrase-file pass admin get mine/key --reveal --out kept')
  as rm -f pass kept
  grep -q needle <<<"$said" || { echo "FAILED: the library finds nothing where there is something: $said"; exit 1; }
  # got WORDS…: what the library finds in one command; fails where it finds nothing.
  got() {
    local said
    said=$(finds "$@")
    grep -q loaded <<<"$said" || { echo "the library was not loaded"; return 0; }
    grep needle <<<"$said"
  }
  in_a_run() { call run_with_secrets '{"command":["true"],"secrets":["mine/key"]}' --token-file mine.jwt; }
  export -f got in_a_run
  for words in "status" "admin list" "serve --scope mine" "run --scope mine -- true"; do
    attack "LD_PRELOAD in authy-mcp $words" bash -c "got \"\$binary\" $words"
  done
  attack "LD_PRELOAD in serve, while a command runs" bash -c 'got bash -c in_a_run'
  # Unlocked with it in the environment, the daemon still starts without.
  as env FOUND="$HOME/found" LD_PRELOAD="$scene/preload.so" sh -c 'umask 077; printf %s "$1" > pass; "$2" --passphrase-file pass unlock --allow-user-namespace; code=$?; rm -f pass found; exit $code' sh "$passphrase" "$binary" >/dev/null
  daemon=$(as "$binary" --json status | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
  if [ "$(id -u)" = 0 ]; then
    grep -q authy-mcp "/proc/$daemon/maps" || { echo "FAILED: its maps can't be read"; exit 1; }
    ! grep -q preload "/proc/$daemon/maps" || { echo "FAILED: the daemon has the library"; exit 1; }
    refused=$((refused + 1))
    printf 'refused  %s\n' "a library from the environment of unlock in the daemon"
  fi

  # The race: memory that is opened before a process makes itself unreadable.
  gcc -O2 -o "$scene/race" "$sources/race.c"
  chmod 755 "$scene/race"
  cp "$(realpath "$(command -v dash || command -v sh)")" "$scene/control-sh"
  chmod 755 "$scene/control-sh"
  race() { as "$scene/race" "$@" >"$scene/raced" 2>&1 & racer=$!; sleep 0.4; }
  race "$scene/control-sh" 2 "$value"
  as sh -c 'umask 077; printf "%s\n" "$1" > needle' sh "$value"
  as "$scene/control-sh" -c 'sleep 0.3; read x <needle; sleep 1; :' || true
  as rm needle
  wait "$racer"
  if grep -q 'found needle 0' "$scene/raced"; then
    race "$binary" 14 "$value" AGE-SECRET-KEY-1 "$passphrase"
    for _ in 1 2 3; do
      with_file unlock --allow-user-namespace >/dev/null
      as bash -c "call run_with_secrets '{\"command\":[\"true\"],\"secrets\":[\"mine/key\"]}' --token-file mine.jwt" >/dev/null 2>&1 || true
      with_file admin get mine/key --reveal --out - >/dev/null 2>&1 || true
    done
    wait "$racer"
    opened=$(sed -n 's/opened //p' "$scene/raced")
    attack "memory opened before unlock forks ($opened opened in time)" sh -c "sort '$scene/raced' | uniq -c | grep found"
    [ "${opened:-0}" -gt 0 ] || echo "note: the race was never won here"
    daemon=$(as "$binary" --json status | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
  else
    echo "note: no process reads another's memory here, so that there is no race: $(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null)"
  fi
fi
if [ "$(id -u)" = 0 ] && unshare -p -f true 2>/dev/null; then
  as sh -c 'umask 077; printf %s "$1" > pass' sh "$passphrase"
  said=$(unshare -p -f setpriv --reuid=$user --regid=$user --clear-groups "$binary" --passphrase-file pass unlock --allow-user-namespace 2>&1) &&
    { echo "FAILED: unlocked where /proc is another's"; exit 1; }
  grep -q 'another pid namespace' <<<"$said" || { echo "FAILED: $said"; exit 1; }
  refused=$((refused + 1))
  printf 'refused  %s\n' "unlock in a pid namespace that shows another's /proc"
  as rm -f pass
fi
attack "unlock in a pid and user namespace of one's own" unshare -U -r -p -f --mount-proc sh -c "umask 077; printf %s '$passphrase' > p; $binary --passphrase-file p unlock; code=\$?; rm -f p; exit \$code"
# Its end leaves nothing behind.
as sh -c 'ulimit -c unlimited' 2>/dev/null || true
as kill -ABRT "$daemon"
sleep 0.3
attack "find a core" sh -c "find $HOME / -xdev -maxdepth 2 -name 'core*' -newer $HOME/mine.jwt -type f 2>/dev/null | grep ."
printf '%s refused, %s got through\n' "$refused" "$through"
[ "$through" = 0 ]
