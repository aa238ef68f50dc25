#!/usr/bin/env bash
# What must not stand in the sources: ways to bring the process down on a user's input, and promises not kept, and words that are not theirs.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
while IFS= read -r line; do
  echo "$line: forbidden here" >&2
  status=1
done < <(grep -rnE '\btry!|\bfatalError\b|\b(TODO|FIXME|XXX)\b|unsafeFlags' Sources Package.swift)
# How the command spells its options is the command's to know; gnuplot's, llama.cpp's and CSS's are their own.
while IFS= read -r line; do
  echo "$line: an option of the command, in a library" >&2
  status=1
done < <(grep -rnE '(^|[ "(`])--[a-z]' Sources --include='*.swift' | grep -v '^Sources/krylens/' | grep -viE 'gnuplot|llama-gguf-split|var\(--|:root \{')
version=$(sed -nE 's/.*krylensVersion = "(.*)"/\1/p' Sources/Analysis/Version.swift)
grep -qx "version: $version" CITATION.cff || {
  echo "CITATION.cff: names another version than Sources/Analysis/Version.swift, $version" >&2
  status=1
}
exit $status
