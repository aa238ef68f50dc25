#!/usr/bin/env bash
# Builds a product for other machines: the Swift runtime, OpenBLAS, ARPACK and the readers of images and text are linked
# statically.
#
#   scripts/build-static.sh PRODUCT [OPTION…]    options of swift build, such as -Xlinker ones
#
# All products share one build, in .build-static. The command then needs glibc and libgcc_s of the system; a library, which
# the archives of the compilers' libraries cannot become part of, libstdc++ and libgfortran besides.
set -euo pipefail
cd "$(dirname "$0")/.."
product=$1
shift
scripts/setup.sh static
build=$PWD/.build-static

case $(pkg-config --variable=openblas_config openblas) in
  *DYNAMIC_ARCH=1*) ;;
  *) echo "build-static: this OpenBLAS is made for one processor; what is built with it would not run on others" >&2; exit 1 ;;
esac

# The linker takes an archive where the folder that it searches first has nothing else: links to the archives of the
# packages, and the packages' own descriptions with that folder in them.
fresh() { rm -rf "$1" && mkdir -p "$1"; }
archives=$build/archives
fresh "$archives"
link() { ln -s "$(readlink -e "$1" || { echo "build-static: $1 is missing" >&2; exit 1; })" "$2"; }
fresh "$build/pkgconfig"
for description in openblas:openblas arpack:arpack libpng:png libjpeg:jpeg libutf8proc:utf8proc libxxhash:xxhash zlib:z; do
  package=${description%:*}
  library=${description#*:}
  link "$(pkg-config --variable=libdir "$package")/lib$library.a" "$archives/lib$library.a"
  sed "s|^Libs:.*|Libs: -L$archives -l$library|" "$(pkg-config --variable=pcfiledir "$package")/$package.pc" \
    > "$build/pkgconfig/$package.pc"
done

clang=$(dirname "$(readlink -f "$(command -v "${SWIFT:-swift}")")")/clang
objects=(older-glibc)
if [ "$product" = krylens ]; then
  compilers=$build/archives-of-compilers
  fresh "$compilers"
  gcc=$(scripts/setup.sh gcc-folder)
  for library in gfortran quadmath stdc++; do link "$gcc/lib$library.a" "$compilers/lib$library.a"; done
  set -- -Xlinker "-L$compilers" "$@"
else
  objects+=(standard-error)
fi
for object in "${objects[@]}"; do
  "$clang" -O2 -fPIC -c "scripts/static/$object.c" -o "$build/$object.o"
  set -- "$@" -Xlinker "$build/$object.o"
done
# Archives need each other.
for option in --start-group -larpack -lopenblas -lpng -lz -lgfortran -lquadmath --end-group -s; do
  set -- "$@" -Xlinker "$option"
done
# The second option is for libraries, which the first does not reach. The linker leaves out debug information anyway (-s).
PKG_CONFIG_PATH=$build/pkgconfig "${SWIFT:-swift}" build -c release -debug-info-format none --static-swift-stdlib -Xswiftc -static-stdlib \
  --scratch-path "$build" --product "$product" "$@"
