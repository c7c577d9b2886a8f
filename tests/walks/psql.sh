#!/usr/bin/env bash
# `psql -f` with PGPASSWORD against a real PostgreSQL that asks for it.
source "$(dirname "$0")/lib.inc"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
data="$walk/pg"; socket="$walk/sock"; mkdir -p "$data" "$socket"
# PostgreSQL refuses to run as root; it runs as its own user there.
as() { if [ "$(id -u)" = 0 ]; then chmod 755 "$walk"; chown -R postgres "$data" "$socket"; setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }
printf 'wal-fjord-quiz-9317' > "$data/../pw"; chmod 644 "$data/../pw"
as "$bin/initdb" -D "$data/db" -U ro --pwfile="$data/../pw" -A scram-sha-256 >/dev/null
port=$("$python" -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
as "$bin/pg_ctl" -D "$data/db" -o "-p $port -k $socket -h 127.0.0.1" -l "$data/log" -w start >/dev/null
trap 'as "$bin/pg_ctl" -D "$data/db" -m immediate stop >/dev/null 2>&1; rm -rf "$walk"' EXIT
project="$walk/project"; mkdir -p "$project/reports"; cd "$project"
echo "select 'rows: ' || count(*) from pg_database;" > reports/count.sql
cat > policy.toml <<P
scope = "reports"
[sandbox]
network = "open"
cwd = ["$project"]
[[allow]]
id = "reports"
secrets = ["db/readonly-password"]
deliver = "env"
env = { "db/readonly-password" = "PGPASSWORD" }
set_env = { PGHOST = "127.0.0.1", PGPORT = "$port", PGUSER = "ro", PGDATABASE = "postgres" }
commands = [["psql", "-f", "reports/*.sql"], ["psql", "-c", "*"]]
P
type_ init --unlock identity-file
type_ admin set db/readonly-password --from-file "$walk/pw"
type_ admin policy apply policy.toml --yes
[ "$typed" -le 5 ] || fail "$typed commands were typed"
answer=$(call --scope reports run_with_secrets '{"command": ["psql", "-f", "reports/count.sql"], "secrets": ["db/readonly-password"]}')
printf '%s\n' "$answer"
grep -q 'rows: ' <<<"$answer" || fail "no rows"
refused=$(call --scope reports run_with_secrets '{"command": ["psql", "-c", "\\! env"], "secrets": ["db/readonly-password"]}' || true)
grep -q command_not_allowed <<<"$refused" || fail "psql -c '\\! env' was not refused: $refused"
