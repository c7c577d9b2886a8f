#!/usr/bin/env bash
# Builds and runs every fuzz target for some seconds each (60 unless told): fuzz/run.sh [SECONDS]
# On the stable toolchain: coverage needs a compiler option that is unstable by name only, and no sanitizer,
# for there is no unsafe code to look at.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
export RUSTC_BOOTSTRAP=1
have() { command -v "$1" >/dev/null 2>&1; }
have cargo-fuzz || cargo install --quiet --locked cargo-fuzz --version 0.13.2
for target in redactor policy envelope argv; do
  printf -- '-- fuzz %s for %s s\n' "$target" "$seconds"
  # What is found new goes beside the corpus, which stays small; a crash ends the script.
  mkdir -p "target/found/$target"
  log=target/$target.log
  if ! cargo fuzz run --fuzz-dir . --dev --sanitizer none "$target" "target/found/$target" "corpus/$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
    tail -40 "$log"
    exit 1
  fi
  grep -E 'stat::(number_of_executed_units|new_units_added)' "$log"
done
