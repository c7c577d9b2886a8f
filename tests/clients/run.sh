#!/usr/bin/env bash
# Clients that nobody here wrote, against the built binary. Usage: run.sh BINARY PYTHON
set -euo pipefail
binary=$(realpath "$1")
python=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)
"$python" "$here/python/drive.py" "$binary"
scene=$(mktemp -d)
server=
# Whoever still writes there is told to end first.
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; "$binary" lock >/dev/null 2>&1 || true; rm -rf "$scene" || true' EXIT
export AUTHY_MCP_HOME="$scene/home"
"$binary" init --unlock identity-file >/dev/null
printf 'sk-typescript-4Hn8RwQz2' | "$binary" admin set ts/key >/dev/null
"$binary" admin allow ts --yes --secret ts/key -- printenv TS_KEY >/dev/null 2>&1
"$binary" admin allow ts --yes --secret ts/key -- sleep '*' >/dev/null 2>&1
"$binary" admin token issue --scope ts --ttl 1h --out "$scene/ts.jwt" >/dev/null
"$binary" serve --http 127.0.0.1:0 2>"$scene/log" &
server=$!
for _ in $(seq 100); do grep -q listening "$scene/log" && break; sleep 0.05; done
url=$(sed -n 's/^listening on //p' "$scene/log")
node "$here/typescript/drive.mjs" "$binary" "$AUTHY_MCP_HOME" "$scene/ts.jwt" "$url"
