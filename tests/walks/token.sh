#!/usr/bin/env bash
# A tool that wants its token in the environment, as the GitHub CLI does.
source "$(dirname "$0")/lib.inc"
mkdir -p "$walk/bin"
cat > "$walk/bin/ghx" <<'S'
#!/bin/sh
[ -n "$GH_TOKEN" ] || { echo "no GH_TOKEN" >&2; exit 4; }
echo "Logged in, token: $GH_TOKEN"
printf 'basic: '; printf 'user:%s' "$GH_TOKEN" | base64 -w0; echo
S
chmod +x "$walk/bin/ghx"
export PATH="$walk/bin:$PATH"
type_ init --unlock identity-file
printf 'ghp_16C7e42F292c6912E7710c838347Ae178B4a' | type_ admin set github/token --env GH_TOKEN
type_ admin allow gh --yes --secret github/token -- ghx '**'
[ "$typed" -le 5 ] || fail "$typed commands were typed"
answer=$(call --scope gh run_with_secrets '{"command": ["ghx", "auth", "status"]}')
printf '%s\n' "$answer"
grep -q 'token: \[redacted:github/token\]' <<<"$answer" || fail "no masked line"
! grep -q 'ghp_16C7e42F' <<<"$answer" || fail "the value is in the answer"
