#!/usr/bin/env bash
# Builds every fuzz target at once and runs each for some seconds (60 unless told): fuzz/run.sh [SECONDS] [TARGET…]
# On the stable toolchain: coverage needs a compiler option that is unstable by name only, and no sanitizer,
# for there is no unsafe code to look at.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
export RUSTC_BOOTSTRAP=1
have() { command -v "$1" >/dev/null 2>&1; }
have cargo-fuzz || cargo install --quiet --locked cargo-fuzz --version 0.13.2
# What is in the directory is run: a target that Cargo.toml or the corpus forgot is an error.
listed=$(cargo fuzz list --fuzz-dir . | sort)
files=$(basename -s .rs -a fuzz_targets/*.rs | sort)
[ "$listed" = "$files" ] || { printf 'Cargo.toml and fuzz_targets differ:\n%s\n' "$(diff <(echo "$listed") <(echo "$files"))"; exit 1; }
read -ra targets <<<"${*:2}"
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets <<<"$files"
cargo fuzz build --fuzz-dir . --dev --sanitizer none
programs=target/$(rustc -vV | sed -n 's/^host: //p')/debug
# Targets that read files of their own write them where no disk is waited for.
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$scratch"' EXIT
for target in "${targets[@]}"; do
  printf -- '-- fuzz %s for %s s\n' "$target" "$seconds"
  [ -n "$(ls -A "corpus/$target")" ] || { echo "corpus/$target is empty"; exit 1; }
  # What is found new goes beside the corpus, which stays small; a crash ends the script.
  mkdir -p "target/found/$target" "artifacts/$target"
  log=target/$target.log
  if ! TMPDIR=$scratch "$programs/$target" "target/found/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
    tail -40 "$log"
    exit 1
  fi
  grep -E 'stat::(number_of_executed_units|new_units_added)' "$log"
done
