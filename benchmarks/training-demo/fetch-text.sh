#!/usr/bin/env bash
# Prints the King James Version (1611, public domain), one verse per line, from Debian's package bible-kjv-text.
# Both packages are unpacked into a temporary folder; nothing is installed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -o APT::Sandbox::User=root bible-kjv bible-kjv-text >&2
for package in *.deb; do dpkg-deb -x "$package" .; done
usr/bin/bible -p "$work/usr/lib" -f gen1:1-rev22:21 < /dev/null
