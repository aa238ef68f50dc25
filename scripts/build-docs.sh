#!/usr/bin/env bash
# Writes the reference of every module, from the docstrings in the sources, as static pages in .build/documentation.
# It reads the modules of the release build, so no plugin and no second build are needed.
set -euo pipefail
cd "$(dirname "$0")/.."

modules="LinearAlgebra Autodiff Lanczos Checkpoint Tokenization Images Model Alignment Analysis Report"
work=.build/documentation-work
output=.build/documentation
rm -rf "$work" "$output"
mkdir -p "$work"

includes=(-I .build/release/Modules)
# Module maps of C targets: handwritten for system modules and packages, made by the build for our own.
while IFS= read -r map; do includes+=(-Xcc "-fmodule-map-file=$map"); done < <(
  find Sources .build/checkouts/*/Sources .build/release/C{Images,Kernels,MappedFile}.build -name module.modulemap)
while IFS= read -r flag; do includes+=(-Xcc "$flag"); done < <(
  pkg-config --cflags-only-I openblas arpack libpng libjpeg libutf8proc libxxhash | tr ' ' '\n' | grep .)
triple=$(swift -print-target-info | sed -nE 's/.*"unversionedTriple" *: *"(.*)".*/\1/p')

archives=()
for module in $modules; do
  mkdir -p "$work/$module"
  swift-symbolgraph-extract -module-name "$module" -target "$triple" -minimum-access-level public \
    -output-dir "$work/$module" "${includes[@]}"
  docc convert --fallback-display-name "$module" --fallback-bundle-identifier "krylens.$module" \
    --additional-symbol-graph-dir "$work/$module" --output-dir "$work/$module.doccarchive" > /dev/null
  archives+=("$work/$module.doccarchive")
done
docc merge "${archives[@]}" --synthesized-landing-page-name Krylens \
  --synthesized-landing-page-kind Package --output-path "$output"
rm -rf "$work"
echo "the reference is in $output; python3 -m http.server -d $output shows it on http://localhost:8000/documentation"
