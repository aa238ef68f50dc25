#!/usr/bin/env bash
# Packs the statically built command with its manual pages, completions and licences: dist/krylens-VERSION-linux-ARCHITECTURE.tar.gz,
# and its SHA-256 beside it. The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build-static.sh krylens
krylens=.build-static/release/krylens
name=krylens-$("$krylens" --version)-linux-$(uname -m)
tree=.build-static/dist/$name
rm -rf .build-static/dist
scripts/install.sh "$krylens" "$tree"
scripts/licences.sh "$tree/share/doc/krylens/licences"
install -m 644 LICENSE README.md CHANGELOG.md "$tree"
mkdir -p dist
# Of the last change, so that the time of packing does not show.
tar --create --directory=.build-static/dist --sort=name --owner=0 --group=0 --numeric-owner \
  --mtime="@$(git log -1 --format=%ct 2> /dev/null || echo 0)" "$name" | gzip --no-name -9 > "dist/$name.tar.gz"
(cd dist && sha256sum "$name.tar.gz" > "$name.tar.gz.sha256" && ls -l "$name".tar.gz*)
