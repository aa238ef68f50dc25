#!/usr/bin/env bash
# Copies the licences of everything that a static build has inside into a folder.
#
#   scripts/licences.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
gcc=$(scripts/setup.sh gcc-folder)
install -d "$folder"

# Of Debian's packages: the one each archive belongs to.
for archive in .build-static/archives/* "$gcc"/{libgfortran,libquadmath,libstdc++,libgcc_eh}.a; do
  package=$(dpkg -S "$(readlink -f "$archive")" | sed 's/:.*//')
  install -m 644 "/usr/share/doc/$package/copyright" "$folder/$package.txt"
done
# Foundation contains ICU.
install -m 644 "$(printf '%s\n' /usr/share/doc/libicu[0-9]*/copyright | tail -n 1)" "$folder/icu.txt"
# Which those name for the whole text.
install -m 644 /usr/share/common-licenses/{GPL-3,LGPL-3,Apache-2.0} "$folder"

# The Swift runtime and Foundation; the Swift packages.
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v "${SWIFT:-swift}")")")")
install -m 644 "$toolchain/share/swift/LICENSE.txt" "$folder/swift.txt"
for checkout in .build-static/checkouts/*/; do
  install -m 644 "$checkout"LICENSE* "$folder/$(basename "$checkout").txt"
done
