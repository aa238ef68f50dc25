#!/usr/bin/env bash
# What building and running need beside Swift, git, make and python3. Looks first; installs only what is missing, so that
# on a machine that has everything it needs neither root nor a network.
#
#   scripts/setup.sh           OpenBLAS, ARPACK, libpng, libjpeg, libutf8proc, libxxhash, pkg-config
#   scripts/setup.sh pip       and pip, which fetches the demo's model
#   scripts/setup.sh report    and gnuplot, which draws the figures of krylens report
#   scripts/setup.sh static    and what static builds take: archives of the compilers' libraries, and tools to check them
#   scripts/setup.sh mpi       and Open MPI and PARPACK, for runs on several machines
#   scripts/setup.sh wheel     and virtual environments of Python, which wheels are built and tested in
#   scripts/setup.sh gcc-folder   installs nothing: prints where the libraries of the GCC lie that clang links with
set -euo pipefail

# As clang chooses: the latest that has a C++ library.
gcc_folder() { printf '%s\n' /usr/lib/gcc/"$(uname -m)"-linux-gnu/*/libstdc++.a | sort -V | tail -n 1 | xargs dirname; }
if [ "${1:-}" = gcc-folder ]; then
  gcc_folder
  exit
fi

command -v swift > /dev/null || {
  echo "setup: no swift; install Swift 6.3 or later from https://www.swift.org/install" >&2
  exit 1
}

missing=()
if command -v pkg-config > /dev/null; then
  pkg-config --exists openblas || missing+=(libopenblas-dev)
  pkg-config --exists arpack || missing+=(libarpack2-dev)
  pkg-config --exists libutf8proc || missing+=(libutf8proc-dev)
  pkg-config --exists libxxhash || missing+=(libxxhash-dev)
  pkg-config --exists libpng || missing+=(libpng-dev)
  # The default of the distribution, which is libjpeg-turbo under a name that differs between Debian and Ubuntu.
  pkg-config --exists libjpeg || missing+=(libjpeg-dev)
else
  missing+=(pkg-config libopenblas-dev libarpack2-dev libpng-dev libjpeg-dev libutf8proc-dev libxxhash-dev)
fi
if [ "${1:-}" = pip ] && ! python3 -m pip --version > /dev/null 2>&1; then
  missing+=(python3-pip)
fi
if [ "${1:-}" = static ]; then
  [ -e "$(gcc_folder)/libgfortran.a" ] || missing+=("libgfortran-$(basename "$(gcc_folder)")-dev")
  # Whose licence goes with what contains it.
  compgen -G '/usr/share/doc/libicu[0-9]*/copyright' > /dev/null || missing+=(libicu-dev)
  for tool in cc:gcc objdump:binutils groff:groff-base; do
    command -v "${tool%:*}" > /dev/null || missing+=("${tool#*:}")
  done
fi
if [ "${1:-}" = mpi ]; then
  pkg-config --exists ompi-c 2> /dev/null || missing+=(libopenmpi-dev)
  pkg-config --exists parpack 2> /dev/null || missing+=(libparpack2-dev)
  command -v mpirun > /dev/null || missing+=(openmpi-bin)
fi
if [ "${1:-}" = wheel ] && ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
  missing+=(python3-venv)
fi
if [ "${1:-}" = report ] && ! command -v gnuplot > /dev/null; then
  missing+=(gnuplot-nox)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get > /dev/null; then
  echo "setup: missing: ${missing[*]} (Debian's names)" >&2
  echo "setup: no apt-get here. Install OpenBLAS, ARPACK-NG (with ICB, its C interface), libpng, libutf8proc, libxxhash and" >&2
  echo "       libjpeg-turbo with their headers and pkg-config files (openblas.pc, arpack.pc, libpng.pc, libjpeg.pc, libutf8proc.pc, libxxhash.pc)," >&2
  echo "       then run this again." >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || {
    echo "setup: as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  }
  root=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
"${root[@]}" apt-get update -q
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
