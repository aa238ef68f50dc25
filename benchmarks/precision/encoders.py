"""Encoders for the block formats of GGUF that the package gguf decodes but does not encode: Q4_K and IQ4_NL.

Both are simple: Q4_K uses each group's full range, IQ4_NL tries some scales and keeps the one of least squared error. llama.cpp
weights errors and searches more, so its files are somewhat closer to the originals. The output is checked by decoding it with
gguf (`encode` does so on the first rows of every matrix).
"""
import gguf
import numpy as np

# The sixteen values of IQ4_NL, and the nearest of them for each integer from -128 to 127.
VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32)
NEAREST = np.abs(np.arange(-128, 128)[:, None] - VALUES[None]).argmin(axis=1).astype(np.uint8)
# Candidates for a group's largest entry in units of its scale: the ends of the table, and values slightly inside and outside.
PEAKS = (-127, -121, -113, -135, 113, 107, 120)


def reciprocal(x):
    return np.divide(1, x, out=np.zeros_like(x), where=x != 0)


def iq4_nl(rows):
    """Groups of 32: a scale d in float16, and 32 nibbles that each select a value; x = d · value."""
    x = rows.reshape(-1, 32)
    peak = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
    best = (np.full(len(x), np.inf, np.float32), np.zeros((len(x), 1), np.float32), np.zeros(x.shape, np.uint8))
    for p in PEAKS:
        codes = NEAREST[np.clip(np.rint(x * reciprocal(peak / np.float32(p))), -128, 127).astype(np.int16) + 128]
        values = VALUES[codes]
        # The best scale for these codes, rounded as it is stored.
        d = (x * values).sum(axis=1, keepdims=True) * reciprocal((values * values).sum(axis=1, keepdims=True))
        d = d.astype(np.float16).astype(np.float32)
        error = ((x - d * values) ** 2).sum(axis=1)
        wins = error < best[0]
        best = (np.where(wins, error, best[0]), np.where(wins[:, None], d, best[1]), np.where(wins[:, None], codes, best[2]))
    nibbles = best[2][:, :16] | best[2][:, 16:] << 4
    return np.concatenate([best[1].astype(np.float16).view(np.uint8).reshape(-1, 2), nibbles], axis=1).reshape(len(rows), -1)


def q4_k(rows):
    """Groups of 256 in eight of 32: x = d s q − e m with d, e in float16, s, m of six bits for each eighth, q of four."""
    x = rows.reshape(-1, 8, 32)
    least = np.minimum(x.min(axis=2), 0)
    step = (np.maximum(x.max(axis=2), 0) - least) / 15
    scale = lambda v: (v.max(axis=1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    d, e = scale(step), scale(-least)
    s = np.clip(np.rint(step * reciprocal(d)), 0, 63).astype(np.uint8)
    m = np.clip(np.rint(-least * reciprocal(e)), 0, 63).astype(np.uint8)
    q = np.clip(np.rint((x + (e * m)[..., None]) * reciprocal(d * s)[..., None]), 0, 15).astype(np.uint8)
    # Six bits each in twelve bytes: the first four of both in full; of the last four the low bits together, and the high bits
    # above those of the first four.
    packed = np.concatenate(
        [s[:, :4] | (s[:, 4:] >> 4) << 6, m[:, :4] | (m[:, 4:] >> 4) << 6, (s[:, 4:] & 15) | (m[:, 4:] & 15) << 4], axis=1)
    nibbles = (q[:, 0::2] | q[:, 1::2] << 4).reshape(len(x), 128)
    half = lambda v: v.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return np.concatenate([half(d), half(e), packed, nibbles], axis=1).reshape(len(rows), -1)


OWN = {gguf.GGMLQuantizationType.IQ4_NL: iq4_nl, gguf.GGMLQuantizationType.Q4_K: q4_k}


def encode(rows, kind):
    """A float32 matrix as bytes of a type, some rows at a time. Raises AssertionError if decoding it gives something else."""
    one = OWN.get(kind) or (lambda part: gguf.quantize(part, kind))
    step = max(1, (1 << 22) // rows.shape[1])
    data = np.concatenate([one(rows[i : i + step]) for i in range(0, len(rows), step)])
    part = rows[:step]
    error = np.abs(gguf.dequantize(data[:step], kind) - part).max() / max(np.abs(part).max(), 1e-30)
    # A sixteenth of a group's range is a quarter of the largest number's size at most.
    assert error < 0.26, f"{kind.name} decodes to something else: {error}"
    return data
