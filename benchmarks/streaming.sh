#!/usr/bin/env bash
# Runs a model larger than the memory: `krylens align` on a checkpoint of Llama-3-8B's shape (32 blocks, bf16, 16 GB) inside a
# cgroup limited to LIMIT bytes; its pages are dropped from the system's cache first, so that they count.
#
#   benchmarks/streaming.sh [MODEL-FOLDER]      (needs root and a memory controller, cgroup v1 or v2)
#   LIMIT=2000000000 TOP=10 KRYLENS=.build/release/krylens
#
# Prints the wall time, the group's peak memory, and the bytes read from the disk.
set -euo pipefail
cd "$(dirname "$0")/.."
krylens=${KRYLENS:-.build/release/krylens}
model=${1:-${TMPDIR:-/tmp}/krylens-llama-3-8b}
limit=${LIMIT:-2000000000}
top=${TOP:-10}
output=$(mktemp -d)
group=krylens-$$

[ -x "$krylens" ] || { echo "no $krylens: run 'make build' first" >&2; exit 1; }
if [ ! -e "$model/config.json" ]; then
  echo "making $model (16 GB)" >&2
  "$krylens" synthesize --like llama-3-8b "$model"
fi

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  version=2 folder=/sys/fs/cgroup/$group
  echo +memory > /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
elif [ -d /sys/fs/cgroup/memory ]; then
  version=1 folder=/sys/fs/cgroup/memory/$group
else
  echo "no memory cgroup controller here" >&2; exit 1
fi
mkdir "$folder" || { echo "cannot make a cgroup: run as root" >&2; exit 1; }
trap 'rmdir "$folder" 2>/dev/null || true; rm -rf "$output"' EXIT

# The file's clean pages are dropped from the cache, and charged to the group when they are read again.
sync
python3 - "$model" <<'PYTHON'
import os, sys
for name in sorted(os.listdir(sys.argv[1])):
    file = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
PYTHON

if [ $version = 2 ]; then
  echo "$limit" > "$folder/memory.max"
  echo 0 > "$folder/memory.swap.max" 2>/dev/null || true
else
  echo "$limit" > "$folder/memory.limit_in_bytes"
fi

start=$(date +%s.%N)
status=0
bash -c 'echo $$ > "$1/cgroup.procs"; shift; "$@"; code=$?; grep read_bytes /proc/$$/io; exit $code' _ \
  "$folder" "$krylens" align "$model" --token-ids 1,2,3,4,5,6,7,8,9,10 --top "$top" -o "$output/run" \
  > "$output/log" || status=$?
end=$(date +%s.%N)
tail -n 6 "$output/log"
if [ $version = 2 ]; then peak=$(cat "$folder/memory.peak"); else peak=$(cat "$folder/memory.max_usage_in_bytes"); fi
# A child's reads are added to its parent's once the parent has waited for it.
read=$(grep -h '^read_bytes' "$output/log" | awk '{print $2}')
python3 - "$start" "$end" "$peak" "$limit" "${read:-0}" "$status" <<'PYTHON'
import sys
start, end, peak, limit, read, status = map(float, sys.argv[1:])
print(f"exit {status:.0f}; {end - start:.1f} s wall; group peak {peak / 1e9:.2f} of {limit / 1e9:.2f} GB; "
      f"{read / 1e9:.1f} GB read, {read / 1e9 / (end - start):.2f} GB/s")
PYTHON
exit $status
