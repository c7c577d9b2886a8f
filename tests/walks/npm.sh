#!/usr/bin/env bash
# A new user's agent runs `npm test` with a database password: at most five typed commands.
source "$(dirname "$0")/lib.inc"
project="$walk/project"
mkdir -p "$project" && cd "$project"
cat > package.json <<'J'
{ "name": "walk", "version": "1.0.0", "scripts": { "test": "node test.js" } }
J
cat > test.js <<'J'
const password = process.env.DATABASE_PASSWORD;
if (password !== 'tr0ub4dor-and-three-words') { console.error('wrong password'); process.exit(1); }
console.log('connected with ' + password);
J
echo 'update-notifier=false' > .npmrc
printf 'DATABASE_PASSWORD=tr0ub4dor-and-three-words\nPORT=5432\n' > .env
type_ init --unlock identity-file
type_ admin import .env --prefix app/
type_ admin allow dev --yes --secret app/DATABASE_PASSWORD --cwd "$project" -- npm test
type_ config json --scope dev
[ "$typed" -le 5 ] || fail "$typed commands were typed"
answer=$(call --scope dev run_with_secrets '{"command": ["npm", "test"], "secrets": ["app/DATABASE_PASSWORD"]}')
printf '%s\n' "$answer"
grep -q 'connected with \[redacted:app/DATABASE_PASSWORD\]' <<<"$answer" || fail "no masked line"
! grep -q 'tr0ub4dor' <<<"$answer" || fail "the value is in the answer"
grep -q '"exit_code": 0' <<<"$answer" || fail "npm test did not pass"
