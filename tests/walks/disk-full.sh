#!/usr/bin/env bash
# A disk that is full while secrets are set, commands run and backups are written: clear errors, no run
# without its record, nothing lost. Needs a mount namespace of its own; says so where there is none.
if [ -z "${DISK_FULL_INSIDE:-}" ]; then
  unshare -m true 2>/dev/null || { echo "skipped: this machine gives no mount namespace"; exit 0; }
  DISK_FULL_INSIDE=1 exec unshare -m bash "$0" "$@"
fi
source "$(dirname "$0")/lib.inc"
trap '"$binary" lock >/dev/null 2>&1 || true; umount "$walk/disk/small" "$walk/disk" 2>/dev/null || true; rm -rf "$walk" || true' EXIT
mkdir "$walk/disk"
mount -t tmpfs -o size=8m tmpfs "$walk/disk"
export AUTHY_MCP_HOME="$walk/disk/home"
"$binary" init --unlock identity-file >/dev/null
for number in 1 2 3; do printf 'sk-disk-full-%s-7Qm2vXz9' "$number" | "$binary" admin set "d/$number" >/dev/null; done
head -c 200000 /dev/urandom >"$walk/big"
"$binary" admin set d/big --from-file "$walk/big" >/dev/null
mkdir "$walk/out"
"$binary" admin allow d --yes --write "$walk/out" --secret d/1 -- touch "$walk/out/ran" >/dev/null 2>&1

fails() { # what it says must be a sentence, and no success
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then fail "$what went through on a full disk: $said"; fi
  grep -q . <<<"$said" && ! grep -q panicked <<<"$said" || fail "$what: $said"
  printf '%-24s %s\n' "$what" "$(head -n 1 <<<"$said" | sed "s|$walk|…|g")"
}
# To the last byte, and then with a little room: each step must find the end somewhere else. Without the
# reserve, from which an operator's change would be made; it has its turn below.
bare() { rm -f "$AUTHY_MCP_HOME/audit/reserve"; }
for room in 0 64 512 768 1024 2048; do
  bare
  cat /dev/zero >"$walk/disk/full" 2>/dev/null || true
  [ "$room" = 0 ] || truncate -s -"${room}K" "$walk/disk/full"
  rm -f "$walk/out/ran"
  runs=$(grep -c '"event":"intent"' "$AUTHY_MCP_HOME/audit/log.jsonl" || true)
  if [ "$room" = 0 ]; then
    fails "set" "$binary" --no-daemon admin set d/4 --from-file "$walk/big"
    fails "backup" "$binary" --no-daemon admin backup "$walk/disk/backup"
  fi
  if [ "$room" != 0 ]; then
    printf 'sk-disk-full-4-7Qm2vXz9' | "$binary" --no-daemon admin set d/4 >/dev/null 2>&1 || true
    bare
    "$binary" --no-daemon admin backup "$walk/disk/backup" >/dev/null 2>&1 || true
  fi
  bare
  said=$("$binary" --no-daemon run --scope d -- touch "$walk/out/ran" 2>&1) || printf '%-24s %s\n' "run, ${room} KiB left" "$(head -n 1 <<<"$said")"
  now=$(grep -c '"event":"intent"' "$AUTHY_MCP_HOME/audit/log.jsonl" || true)
  ! [ -e "$walk/out/ran" ] || [ "$now" -gt "$runs" ] || fail "a run without its record, with ${room} KiB left"
  rm -rf "$walk/disk/full" "$walk/disk/backup"
  "$binary" --no-daemon admin verify >/dev/null
  "$binary" --no-daemon admin audit verify >/dev/null
  for number in 1 2 3; do
    [ "$("$binary" --no-daemon admin get "d/$number" --reveal --out -)" = "sk-disk-full-$number-7Qm2vXz9" ] || fail "d/$number is lost"
  done
done
# The reserve: whatever an agent fills the disk with, its token is revoked, and the change is on record.
reserved() { echo $(($(stat -c %b "$AUTHY_MCP_HOME/audit/reserve" 2>/dev/null || echo 0) * 512)); }
printf 'sk-disk-full-7-7Qm2vXz9' | "$binary" --no-daemon admin set d/7 >/dev/null
whole=$(reserved)
[ "$whole" -ge $((3 * 1024 * 1024)) ] || fail "the reserve of an 8 MiB disk has $whole bytes"
ask() { # what a session with this token file is told when it asks for a run
  printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"walk","version":"1"}}}' \
    '{"jsonrpc":"2.0","method":"notifications/initialized"}' \
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_with_secrets","arguments":{"command":["touch","'"$walk/out/ran"'"]}}}' |
    "$binary" --no-daemon serve --token-file "$1" 2>&1 || true
}
for round in 1 2 3; do
  token=$("$binary" --no-daemon --json admin token issue --scope d --ttl 1h --out "$walk/token-$round.jwt" | grep -o 't_[a-z0-9]*' | head -n 1)
  rm -f "$walk/out/ran"
  ask "$walk/token-$round.jwt" >"$walk/said"
  [ -e "$walk/out/ran" ] || fail "the token is good for nothing: $(cat "$walk/said")"
  cat /dev/zero >"$walk/disk/full" 2>/dev/null || true
  # What an agent does takes none of it, however often it tries.
  rm -f "$walk/out/ran"
  for try in 1 2 3; do ask "$walk/token-$round.jwt" >/dev/null; done
  [ "$(reserved)" = "$whole" ] || fail "an agent's calls took the reserve: $(reserved) of $whole bytes are left"
  said=$("$binary" --no-daemon admin token revoke "$token" 2>&1) || fail "no revocation on a full disk: $said"
  printf '%-24s %s\n' "revoke, disk full" "$(head -n 1 <<<"$said")"
  # Refused while the disk is full, and once there is room.
  rm -f "$walk/out/ran"
  ask "$walk/token-$round.jwt" >"$walk/said"
  ! [ -e "$walk/out/ran" ] || fail "the revoked token runs on the full disk: $(cat "$walk/said")"
  rm -f "$walk/disk/full"
  ask "$walk/token-$round.jwt" >"$walk/said"
  ! [ -e "$walk/out/ran" ] && grep -q revoked "$walk/said" || fail "the revoked token is not refused: $(cat "$walk/said")"
  printf '%-24s %s\n' "its token" "$(grep -o '[^"]*revoked[^"]*' "$walk/said" | head -n 1)"
  "$binary" --no-daemon admin audit show --kind admin --last 9 | grep -q "token_revoke.*$token" || fail "the revocation has no event"
  "$binary" --no-daemon admin audit verify >/dev/null || fail "the chain does not hold"
  "$binary" --no-daemon admin verify >/dev/null || fail "the vault does not hold"
  # There is room again: with the next change the reserve is whole.
  printf 'sk-disk-full-7-7Qm2vXz9' | "$binary" --no-daemon admin set d/7 >/dev/null 2>&1
  [ "$(reserved)" = "$whole" ] || fail "the reserve was not made again: $(reserved) of $whole bytes"
done
rm -f "$walk/out/ran"
"$binary" --no-daemon run --scope d -- touch "$walk/out/ran"
[ -e "$walk/out/ran" ] || fail "space has returned, and nothing runs"
[ "$("$binary" --no-daemon admin get d/big --reveal --out - | sha256sum)" = "$(sha256sum <"$walk/big")" ] || fail "d/big is lost"
# An automatic backup that finds no room: the change is made, the warning says so, the backups before stay.
[ "$(ls "$AUTHY_MCP_HOME/backups" | grep -c Z)" -ge 1 ] || fail "no automatic backup was made"
mkdir "$walk/disk/small"
mount -t tmpfs -o size=2m tmpfs "$walk/disk/small"
cp -a "$AUTHY_MCP_HOME/backups/." "$walk/disk/small/" 2>/dev/null || true
for part in "$walk"/disk/small/*Z; do mv "$part" "$walk/disk/small/20260101T000000Z" 2>/dev/null || true; done
rm -rf "$AUTHY_MCP_HOME/backups"
ln -s "$walk/disk/small" "$AUTHY_MCP_HOME/backups"
"$binary" --no-daemon admin verify >/dev/null
cat /dev/zero >"$walk/disk/small/full" 2>/dev/null || true
said=$(printf 'sk-disk-full-5-7Qm2vXz9' | "$binary" --no-daemon admin set d/5 2>&1) || fail "no change without a backup: $said"
grep -q 'no automatic backup could be' <<<"$said" && grep -qi 'no space' <<<"$said" || fail "a backup without room says nothing: $said"
printf '%-24s %s\n' "automatic backup" "$(grep -o 'the change is made.*kept' <<<"$said" | head -n 1)"
[ "$(ls -A "$walk/disk/small" | grep -c '^[.]part')" = 0 ] || fail "half a backup is left"
"$binary" --no-daemon admin verify >/dev/null || fail "the backups before are gone"
rm "$walk/disk/small/full"
printf 'sk-disk-full-6-7Qm2vXz9' | "$binary" --no-daemon admin set d/6 >/dev/null 2>"$walk/said" && [ ! -s "$walk/said" ] || fail "space has returned, and no backup is made: $(cat "$walk/said")"
"$binary" --no-daemon admin verify | grep -q '2 automatic backups' || fail "no second backup"
echo "disk full: nothing lost"
