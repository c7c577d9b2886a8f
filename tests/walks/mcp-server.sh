#!/usr/bin/env bash
# Another MCP server that needs a token, behind `authy-mcp run`: 1,000 calls, none stalls.
source "$(dirname "$0")/lib.inc"
type_ init --unlock identity-file
printf 'sk-other-server-5d41402abc4b' | type_ admin set other/token --env OTHER_TOKEN
# A server that is not installed with the system is shown to its run: Python with its environment, and the script.
server=$(realpath "$here/../clients/python/other_server.py")
read -r base own < <("$python" -c 'import sys; print(sys.base_prefix, sys.prefix)')
type_ admin allow other --yes --secret other/token --read "$base" --read "$own" --read "$server" -- "$python" "$server"
[ "$typed" -le 5 ] || fail "$typed commands were typed"
"$python" "$here/../clients/python/through_run.py" --binary "$binary" --scope other --calls 1000 \
  -- "$python" "$server"
