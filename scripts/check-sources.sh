#!/usr/bin/env bash
# Refuses code that could end the process on a user's input, unfinished work, and names of command options in libraries.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
while IFS= read -r line; do
  echo "$line: not allowed in the sources" >&2
  status=1
done < <(grep -rnE '\btry!|\bfatalError\b|\b(TODO|FIXME|XXX)\b|unsafeFlags' Sources Package.swift)
# Only the command spells its options; those of gnuplot, llama.cpp and CSS are their own.
while IFS= read -r line; do
  echo "$line: an option of the command in a library" >&2
  status=1
done < <(grep -rnE '(^|[ "(`])--[a-z]' Sources --include='*.swift' | grep -v '^Sources/krylens/' | grep -viE 'gnuplot|llama-gguf-split|var\(--|:root \{')
version=$(sed -nE 's/.*krylensVersion = "(.*)"/\1/p' Sources/Analysis/Version.swift)
grep -qx "version: $version" CITATION.cff || {
  echo "CITATION.cff: names another version than Sources/Analysis/Version.swift, $version" >&2
  status=1
}
exit $status
