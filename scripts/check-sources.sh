#!/usr/bin/env bash
# What must not stand in the sources: ways to bring the process down on a user's input, and promises not kept.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
while IFS= read -r line; do
  echo "$line: forbidden here" >&2
  status=1
done < <(grep -rnE '\btry!|\bfatalError\b|\b(TODO|FIXME|XXX)\b|unsafeFlags' Sources Package.swift)
exit $status
