"""Writes Sources/CKernels/Widening/grids.c: the grids of the IQ types of GGUF files, from the package gguf.

    python scripts/make_grids.py > Sources/CKernels/Widening/grids.c        (numpy and gguf)
"""

from gguf.quants import IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS

GRIDS = [
    ("iq2_xxs", IQ2_XXS), ("iq2_xs", IQ2_XS), ("iq2_s", IQ2_S), ("iq3_xxs", IQ3_XXS),
    ("iq3_s", IQ3_S), ("iq1", IQ1_S),
]

print("""\
// The grids of the IQ types, written by scripts/make_grids.py: the points that weights are rounded to together, as ggml
// (https://github.com/ggml-org/ggml, ggml-common.h) and the Python package gguf have them. A point is sixteen bits: eight
// numbers of two bits, or four of three bits in four, the first one lowest.
#include "grids.h"
""")
for name, kind in GRIDS:
    bytes_ = bytes.fromhex(kind.grid_hex.decode())
    words = [f"0x{bytes_[i] | bytes_[i + 1] << 8:04x}," for i in range(0, len(bytes_), 2)]
    assert len(words) == kind.grid_shape[0]
    print(f"const uint16_t ck_grid_{name}[{len(words)}] = {{")
    for i in range(0, len(words), 16):
        print("    " + " ".join(words[i : i + 16]))
    print("};")
