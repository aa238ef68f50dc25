#!/usr/bin/env bash
# The command, its manual pages and its completions into a folder such as /usr/local.
#
#   scripts/install.sh KRYLENS FOLDER
set -euo pipefail
krylens=$1
folder=$2
cd "$(dirname "$0")/.."

install -d "$folder/bin" "$folder/share/man/man1" "$folder/share/bash-completion/completions" \
  "$folder/share/zsh/site-functions" "$folder/share/fish/vendor_completions.d"
install -m 755 "$krylens" "$folder/bin/krylens"
"$krylens" --generate-completion-script bash > "$folder/share/bash-completion/completions/krylens"
"$krylens" --generate-completion-script zsh > "$folder/share/zsh/site-functions/_krylens"
"$krylens" --generate-completion-script fish > "$folder/share/fish/vendor_completions.d/krylens.fish"
"${PYTHON:-python3}" scripts/make_man.py "$krylens" "$folder/share/man/man1"
