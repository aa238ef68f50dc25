#!/usr/bin/env bash
# The C library as a C program uses it: its symbols, examples/c, and what concerns a whole process (refusals, threads, forks,
# memory over 1000 openings).
#
#   scripts/test_c.sh LIBRARY    the folder that scripts/build-library.sh makes
set -euo pipefail
cd "$(dirname "$0")/.."
library=$(realpath "$1")
fixture=Tests/ModelTests/Fixtures/llama
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() { echo "test_c: $1" >&2; exit 1; }

# Exactly the functions of the header, under their version.
grep -oE '\bkrylens_[a-z0-9_]+\(' Sources/CKrylensHeader/krylens.h | tr -d '(' | sort -u > "$folder/declared"
nm -D --defined-only "$library/lib/libkrylens.so.1" | awk '$2 ~ /[A-Z]/ && $2 != "A" { print $3 }' | sort > "$folder/exported"
diff <(sed 's/$/@@KRYLENS_1/' "$folder/declared") "$folder/exported" || fail "the library exports other symbols than the header declares"
readelf -d "$library/lib/libkrylens.so.1" | grep -q 'soname: \[libkrylens.so.1\]' || fail "the SONAME is not libkrylens.so.1"
readelf -d "$library/lib/libkrylens.so.1" | grep -q 'NODELETE' || fail "dlclose would unload the library"

compile() {
  cc -std=c11 -Wall -Wextra -Werror -O1 -I"$library/include" "$1" -o "$2" -L"$library/lib" -lkrylens -lm -lpthread -Wl,-rpath,"$library/lib"
}
# The header alone, as C++ too.
cc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c "$library/include/krylens.h"
if command -v c++ > /dev/null; then c++ -Wall -Wextra -Werror -fsyntax-only -x c++ "$library/include/krylens.h"; fi

compile examples/c/triplets.c "$folder/triplets"
"$folder/triplets" "$fixture" 1,5,7 2 2> /dev/null > "$folder/found"
[ "$(wc -l < "$folder/found")" = 5 ] || fail "examples/c found $(cat "$folder/found")"
if "$folder/triplets" "$fixture" 1,5,99999 2> "$folder/refused"; then fail "an id that the model does not have was accepted"; fi
grep -q '99999' "$folder/refused" || fail "the refusal does not name the id: $(cat "$folder/refused")"

compile Tests/CKrylensTests/process.c "$folder/process"
"$folder/process" "$fixture" 1000
echo "test_c: passed"
