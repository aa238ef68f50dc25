#!/usr/bin/env bash
# The packed command works elsewhere: the checksum holds, and in a folder that is the root of a system with glibc and nothing
# else the command gives the numbers it gives here.
#
#   scripts/test_dist.sh
set -euo pipefail
cd "$(dirname "$0")/.."
krylens=.build-static/release/krylens
name=krylens-$("$krylens" --version)-linux-$(uname -m)
fixture=Tests/ModelTests/Fixtures/llama
fail() { echo "test-dist: $*" >&2; exit 1; }

(cd dist && sha256sum --check --quiet "$name.tar.gz.sha256") || fail "the checksum is another"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# Folder names with a space and a letter that is not ASCII, as there are on people's machines.
place="/home/zoë x"
mkdir -p "$root$place" "$root/tmp"
tar --extract --gzip --file="dist/$name.tar.gz" --directory="$root$place"
unpacked=$root$place/$name

needed=$(objdump -p "$unpacked/bin/krylens" | awk '$1 == "NEEDED" { print $2 }')
for library in $needed; do
  case $library in
    libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libgcc_s.so.1 | ld-linux-*.so.*) ;;
    *) fail "the command needs $library, which is not on every system" ;;
  esac
done

commands=$("$krylens" --experimental-dump-help | grep -c '"commandName"')
pages=$(find "$unpacked/share/man/man1" -name 'krylens*.1' | wc -l)
# All but help.
[ "$pages" -eq $((commands - 1)) ] || fail "$pages manual pages of $commands commands"
for page in "$unpacked"/share/man/man1/*.1; do
  warnings=$(groff -ww -k -man -Tutf8 -Z "$page" 2>&1 > /dev/null)
  [ -z "$warnings" ] || fail "$page: $warnings"
done
for file in share/bash-completion/completions/krylens share/zsh/site-functions/_krylens \
  share/fish/vendor_completions.d/krylens.fish LICENSE README.md share/doc/krylens/licences/swift.txt; do
  [ -s "$unpacked/$file" ] || fail "$file is missing"
done

# A root folder with those libraries, /proc, the fixture, and nothing else.
for library in $(ldd "$unpacked/bin/krylens" | grep -oE '/[^ ]+'); do
  mkdir -p "$root$(dirname "$library")"
  cp "$(readlink -f "$library")" "$root$library"
done
mkdir "$root/proc"
cp -r "$fixture" "$root/model"
options=(--token-ids 1,2,3,4 --top 3 --threads 1 --quiet)
enter=(unshare --mount)
[ "$(id -u)" -eq 0 ] || enter=(unshare --map-root-user --mount --pid --fork)
if "${enter[@]}" true 2> /dev/null; then
  "${enter[@]}" bash -c 'mount -t proc proc "$0/proc" && exec env -i "$(command -v chroot)" "$0" "$@"' "$root" \
    "$place/$name/bin/krylens" align /model "${options[@]}" -o /tmp/run
else
  # A container may not be allowed to make one of its own; what the command needs is known from above.
  echo "test-dist: no other root folder is allowed here, so the system's is taken" >&2
  env -i "$unpacked/bin/krylens" align "$root/model" "${options[@]}" -o "$root/tmp/run"
fi
"$krylens" align "$fixture" "${options[@]}" -o "$root/tmp/here"
for file in singular_values.csv coupling.csv trajectory.csv triplets.safetensors; do
  cmp "$root/tmp/run/$file" "$root/tmp/here/$file" || fail "$file is another there"
done
# One of several processes is told what it lacks, instead of doing the whole work beside the others.
status=0
refusal=$(OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 "$unpacked/bin/krylens" --version 2>&1) || status=$?
[ "$status" -eq 64 ] && [[ $refusal == *"built without MPI"* ]] || fail "one of two processes ended with $status: $refusal"
glibc=$(objdump -T "$unpacked/bin/krylens" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
echo "test-dist: $name runs where there is ${glibc/GLIBC_/glibc } or later, and nothing else; $pages manual pages"
