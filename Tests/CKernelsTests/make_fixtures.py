"""Writes Fixtures/*.blocks and *.floats: stored blocks and what the package gguf widens them to.

    python make_fixtures.py        (numpy and gguf)

For each type: blocks of random bytes whose scales are ordinary numbers; blocks of every byte value, scales included; and blocks with extreme scales: zero, subnormal, largest, infinite, NaN, of both signs.
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGML_QUANT_SIZES
from gguf.quants import dequantize

FOLDER = Path(__file__).parent / "Fixtures"

# The offsets of the halves that scale a block.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0],
    "IQ1_M": [], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [],
}
EXTREMES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]


def scaled(generator, count, size, halves, values):
    """Returns `count` blocks of random bytes with their halves replaced."""
    blocks = generator.integers(0, 256, (count, size), dtype=np.uint8)
    for place in halves:
        chosen = np.resize(np.roll(values, place // 2 % 7), count)
        blocks[:, place : place + 2] = chosen.astype("<u2").view(np.uint8).reshape(-1, 2)
    # Two types have no half in one piece: one has its nibbles at the top of four words, the other has an exponent.
    if not halves and size == 56:
        for i in range(4):
            nibble = (np.resize(values, count) >> 4 * i & 15).astype(np.uint8)
            blocks[:, 49 + 2 * i] = blocks[:, 49 + 2 * i] & 15 | nibble << 4
    elif not halves:
        blocks[:, 0] = 123 + np.arange(count) % 4
    return blocks


def write(name, stored, floats):
    (FOLDER / f"{name}.blocks").write_bytes(stored.tobytes())
    (FOLDER / f"{name}.floats").write_bytes(floats.astype("<f4", copy=False).tobytes())


def main():
    FOLDER.mkdir(exist_ok=True)
    generator = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        for name, halves in HALVES.items():
            kind = GGMLQuantizationType[name]
            length, size = GGML_QUANT_SIZES[kind]
            ordinary = generator.normal(0, 0.1, 8).astype(np.float16).view(np.uint16)
            every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], size, axis=1)
            if length == 256:  # long enough for sixteen values at once
                every = every[::16] ^ (np.arange(size, dtype=np.uint8) & 15)
            blocks = np.concatenate([
                scaled(generator, 8, size, halves, ordinary),
                every,
                scaled(generator, len(EXTREMES), size, halves, np.array(EXTREMES)),
            ])
            write(name, blocks, dequantize(blocks, kind).ravel())

        # All halves; bf16 of every sign and exponent; doubles that round, overflow and underflow.
        halves = np.arange(1 << 16, dtype="<u2")[::7].copy()
        write("F16", halves, dequantize(halves.view(np.uint8), GGMLQuantizationType.F16))
        write("BF16", halves, dequantize(halves.view(np.uint8), GGMLQuantizationType.BF16))
        doubles = np.concatenate([
            generator.normal(size=101) * 10.0 ** generator.integers(-50, 45, 101),
            [0.0, -0.0, np.inf, -np.inf, np.nan],
            [1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-50, 2.0**-149, 2.0**-150],
        ])
        write("F64", doubles, doubles.astype(np.float32))
        write("F32", doubles.astype(np.float32), doubles.astype(np.float32))


main()
