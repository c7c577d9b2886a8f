#!/usr/bin/env bash
# Stock age opens what `admin backup` wrote: the identity given the passphrase, then a record.
source "$(dirname "$0")/lib.inc"
umask 077
printf 'four words in a row' > "$walk/passphrase"
type_ --passphrase-file "$walk/passphrase" init --unlock passphrase
printf 'value-for-stock-age-42' | type_ --passphrase-file "$walk/passphrase" admin set stock/age
type_ --passphrase-file "$walk/passphrase" admin backup "$walk/backup"
# age asks at the terminal only: give it one.
"$python" - "$walk" <<'P'
import os, pty, sys
walk = sys.argv[1]
pid, fd = pty.fork()
if pid == 0:
    os.execvp("age", ["age", "-d", "-o", f"{walk}/identity.txt", f"{walk}/backup/unlock/passphrase.age"])
said = b""
while b"assphrase" not in said:
    said += os.read(fd, 1024)
os.write(fd, b"four words in a row\n")
try:
    while os.read(fd, 1024):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
found=0
for record in "$walk"/backup/records/*.age; do
  age -d -i "$walk/identity.txt" "$record" > "$walk/record.json"
  if "$python" -c 'import base64,json,sys; r=json.load(open(sys.argv[1])); sys.exit(not (r["name"]=="stock/age" and base64.b64decode(r["value"])==b"value-for-stock-age-42"))' "$walk/record.json"; then found=1; fi
done
[ "$found" = 1 ] || fail "no record has the value"
echo "stock age opened the identity and the record"
