#!/usr/bin/env bash
# A vault that a person unlocked into a daemon, and another process of the same user, who is not root: given
# everything on the disk but the tokens of other scopes, it gets no value, no key, and no more authority.
# Usage: authority.sh BINARY. Prints a line an attack, and closes with 'N refused, 0 got through'.
set -euo pipefail
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
# Its end leaves nothing behind.
as sh -c 'ulimit -c unlimited' 2>/dev/null || true
as kill -ABRT "$daemon"
sleep 0.3
attack "find a core" sh -c "find $HOME / -xdev -maxdepth 2 -name 'core*' -newer $HOME/mine.jwt -type f 2>/dev/null | grep ."
printf '%s refused, %s got through\n' "$refused" "$through"
[ "$through" = 0 ]
