# Inside of a run: downloads all that the host has, and says the digests. Arguments: the host, PYTHON, its gRPC port, this
# folder.
set -euo pipefail
host=$1 python=$2 calls=$3 here=$4
mkdir -p "$HOME/got" && cd "$HOME/got"
kinds=(bin md lock tar tgz zip png pb json.gz sqlite)
for number in $(seq 0 199); do
  printf 'url = "%s/files/%s.%s"\noutput = "%s.%s"\n' "$host" "$number" "${kinds[number % 10]}" "$number" "${kinds[number % 10]}"
done >../urls
curl -sSf --parallel --parallel-max 8 --config ../urls
# A part, and what is missing behind it: as a client does whose first try broke off.
curl -sSf -r 0-2999999 -o large.bin "$host/files/large.bin"
[ "$(stat -c %s large.bin)" = 3000000 ]
curl -sSf -C - -o large.bin "$host/files/large.bin"
sha256sum -- *
cd ..
git clone -q "$host/repo.git" repo
git -C repo fsck --full --strict >/dev/null
printf 'git %s\n' "$(git -C repo rev-parse HEAD)"
mkdir node && cd node
npm install --silent --no-audit --no-fund --no-package-lock --registry "$host/npm/" downloaded
printf '%s  README.md\n' "$(sha256sum <node_modules/downloaded/README.md | cut -d' ' -f1)"
cd ..
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target wheels --index-url "$host/simple" downloaded
printf '%s  README.md\n' "$(sha256sum <wheels/downloaded/README.md | cut -d' ' -f1)"
"$python" "$here/calls.py" "localhost:$calls"
