#!/usr/bin/env bash
# Another MCP server that needs a token, behind `authy-mcp run`: 1,000 calls, none stalls.
source "$(dirname "$0")/lib.inc"
type_ init --unlock identity-file
printf 'sk-other-server-5d41402abc4b' | type_ admin set other/token --env OTHER_TOKEN
type_ admin allow other --yes --secret other/token -- "$python" "$here/../clients/python/other_server.py"
[ "$typed" -le 5 ] || fail "$typed commands were typed"
"$python" "$here/../clients/python/through_run.py" --binary "$binary" --scope other --calls 1000 \
  -- "$python" "$here/../clients/python/other_server.py"
