#!/usr/bin/env bash
# What is downloaded through the sealed proxy is what the host has, byte for byte: 200 files of all kinds, with lengths, chunks
# and codings, parts of one, a git repository, a package of npm, one of pip, and gRPC. Usage: downloads.sh BINARY PYTHON
# PYTHON has the packages of sealed/requirements.txt.
. "$(dirname "$0")/lib.inc"
here=$clients/downloads
certificate localhost
documents() {
  for n in $(seq 60); do printf 'postgres://dev:hunter%s@localhost/dev\n' "$n" > "README.$n"; head -c 20000 /dev/urandom > "noise.$n"; done
}
repository documents
other_side ports "$here/hosts.py" "$scene" "$scene/ports" "$scene/digests"
read -r port calls < ports

"$binary" init --unlock identity-file >/dev/null 2>&1
printf '%s' "$KEY" | "$binary" admin set host/key >/dev/null 2>&1
node=$(dirname "$(realpath "$(command -v node)")")
npm=$(dirname "$(dirname "$(realpath "$(command -v npm)")")")
cat > policy.toml <<P
scope = "downloads"
[env]
path = ["$node"]
[sandbox]
extra_ca = "$scene/ca.pem"
cwd = ["$here"]
read = ["{cwd}", "$(dirname "$(dirname "$python")")", "$base", "$node", "$npm"]
[[allow]]
secrets = ["host/key"]
deliver = "sealed"
hosts = ["localhost:$port", "localhost:$calls"]
inject = "bearer"
commands = "any"
P
"$binary" admin policy apply policy.toml --yes >/dev/null 2>&1
cd "$here"
if ! "$binary" run --scope downloads --secret host/key -- bash in_run.sh "https://localhost:$port" "$python" "$calls" "$here" \
  >"$scene/out" 2>"$scene/err" </dev/null; then
  echo "FAILED downloads"; tail -n 40 "$scene/err"; tail -n 5 "$scene/out"
  "$binary" admin audit show --json 2>/dev/null | grep '"refused"' | tail -n 5
  exit 1
fi
found=$("$binary" admin audit show --json --last 1000 2>/dev/null | grep -o '"scrubs": *[0-9]*' | grep -vc ': *0$' || true)
if [ "$found" != 0 ]; then echo "FAILED downloads: a value was found in $found answers that hold none"; exit 1; fi
"$python" - "$scene" <<'P'
import json, subprocess, sys
scene = sys.argv[1]
expected, got, said = json.load(open(f"{scene}/digests")), {}, {}
for line in open(f"{scene}/out"):
    digest, _, name = line.rstrip("\n").partition("  ")
    if name:
        assert expected.get(name) == digest, f"{name} is another file"
        got[name] = digest
    else:
        said.update([line.split()])
missing = sorted(expected.keys() - got.keys())
assert not missing, f"not downloaded: {missing}"
head = subprocess.run(["git", "-C", f"{scene}/repo.git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
assert said["git"] == head and said["calls"] == "51", said
print(f"ok downloads: {len(got) - 2} files, one in parts, a git repository, npm, pip and 51 gRPC messages, byte for byte")
P
