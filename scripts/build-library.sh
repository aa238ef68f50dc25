#!/usr/bin/env bash
# Builds the C library: .build-static/library/lib/libkrylens.so.1 with its symbolic link, and include/krylens.h beside it.
# It exports the functions of krylens.h under the version KRYLENS_1 and nothing else: another OpenBLAS in the process, such as
# numpy's, is not disturbed, and does not disturb.
set -euo pipefail
cd "$(dirname "$0")/.."
# nodelete: dlclose leaves the library in memory, since threads that called it run its destructors when they end.
scripts/build-static.sh CKrylens -Xlinker --version-script="$PWD/scripts/static/krylens.map" -Xlinker -soname=libkrylens.so.1 \
  -Xlinker -z -Xlinker nodelete
library=.build-static/library
rm -rf "$library"
install -D -m 755 .build-static/release/libCKrylens.so "$library/lib/libkrylens.so.1"
ln -s libkrylens.so.1 "$library/lib/libkrylens.so"
install -D -m 644 Sources/CKrylensHeader/krylens.h "$library/include/krylens.h"
