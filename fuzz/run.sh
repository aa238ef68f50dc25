#!/usr/bin/env bash
# Fuzzes the file readers: builds fuzz/ with libFuzzer and AddressSanitizer, and runs one reader after another.
#
#     fuzz/run.sh SECONDS_EACH [READER…]
#
# A crash, or an input that takes longer than ten seconds or more than 1 GB of memory, ends the run with status 1 and leaves
# the input in .build/fuzz/findings. The corpus in .build/fuzz/corpus grows from run to run.
set -euo pipefail
cd "$(dirname "$0")/.."

duration=$1
shift
readers=("$@")
if [ ${#readers[@]} -eq 0 ]; then
  for folder in fuzz/Sources/[a-z]*/; do readers+=("$(basename "$folder")"); done
fi
work=.build/fuzz

for reader in "${readers[@]}"; do
  # --sanitize links libFuzzer, which brings `main`; the Swift code is instrumented by -sanitize only. The macro is the
  # usual one for fuzzing: checksums are not checked.
  "${SWIFT:-swift}" build --package-path fuzz --scratch-path "$work/build" -c release \
    --sanitize=fuzzer --sanitize=address -Xcc -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION \
    -Xswiftc -parse-as-library -Xswiftc -sanitize=fuzzer,address -Xswiftc -g \
    --product "fuzz-$reader"
done
"${PYTHON:-python3}" fuzz/make_seeds.py "$work/seeds"
mkdir -p "$work/findings"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
symbolizer=$(command -v llvm-symbolizer || true)
for reader in "${readers[@]}"; do
  mkdir -p "$work/corpus/$reader"
  echo "fuzz: $reader for $duration s"
  # Freed memory is quarantined to catch its use; less than by default, since it counts as memory.
  TMPDIR=$scratch ASAN_OPTIONS=quarantine_size_mb=32 ASAN_SYMBOLIZER_PATH=$symbolizer \
    LSAN_OPTIONS=suppressions=fuzz/suppressions.txt:print_suppressions=0 \
    "$work/build/release/fuzz-$reader" "$work/corpus/$reader" "$work/seeds/$reader" \
    -dict="$work/seeds/$reader.dict" -artifact_prefix="$work/findings/$reader-" \
    -max_total_time="$duration" -timeout=10 -rss_limit_mb=1024 -max_len=20000 \
    -reload=0 -print_final_stats=1
done
