#!/usr/bin/env python3
"""Measures the effect of stored precision on singular triplets and coupling: one model as f32, bf16, f16, Q8_0, Q4_K and IQ4_NL.

    benchmarks/precision/study.py KRYLENS [NAME…]      default: smollm2-135m and qwen2.5-coder-0.5b

The model's file is decoded to float32, which is the f32 model; it is encoded in every other type and written as GGUF, `krylens
align` runs on the prompts of prompts.txt, and the file is removed (3 GB of TMPDIR for the largest). The type applies to all matrices
of the blocks, the embedding and the head, except that four-bit models store the last two as Q8_0; norms and biases stay float32. Q4_K needs rows of a
multiple of 256 numbers: other matrices are Q5_0, as llama.cpp does it.

Printed per type, over all blocks and prompts, are the drift from f32 and the bar of the numbers themselves, the sum of both
runs' bounds: singular values |Δσ|/σ₁ (median); the spaces of the leading right vectors, sin of the largest angle (median); single
couplings |Δ| (median); the mean coupling and its difference; and how many couplings moved by more than their bars, for which the drift comes from
the weights and not from the solver. Numbers without a bar in the record show "-". Needs numpy, gguf, safetensors.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "scripts"))
import real_models  # noqa: E402

from encoders import encode  # noqa: E402

KINDS = ["F32", "BF16", "F16", "Q8_0", "Q4_K", "IQ4_NL"]
DEFAULT = ["smollm2-135m", "qwen2.5-coder-0.5b"]


def kind_of(tensor, wanted):
    """The type a tensor is stored in."""
    kinds = gguf.GGMLQuantizationType
    if len(tensor.shape) < 2:
        return kinds.F32
    if wanted in ("Q4_K", "IQ4_NL") and not tensor.name.startswith("blk."):
        return kinds.Q8_0
    if wanted == "Q4_K" and int(tensor.shape[0]) % 256:
        return kinds.Q5_0
    return kinds[wanted]


def write(source, wanted, path):
    """The same model with its matrices in one type."""
    reader = gguf.GGUFReader(source)
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(path, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(
            name, field.contents(), kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    kinds = {t.name: kind_of(t, wanted) for t in reader.tensors}
    for t in reader.tensors:
        shape = [int(n) for n in reversed(t.shape)]
        kind = kinds[t.name]
        writer.add_tensor_info(
            t.name, gguf.quant_shape_to_byte_shape(shape, kind) if kind.name not in ("F32", "F16") else shape,
            np.dtype(np.float16 if kind.name == "F16" else np.float32 if kind.name == "F32" else np.uint8),
            size(shape, kind), raw_dtype=None if kind.name in ("F32", "F16") else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for t in reader.tensors:
        shape = [int(n) for n in reversed(t.shape)]
        numbers = gguf.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(shape)
        writer.write_tensor_data(numbers if kinds[t.name].name == "F32" else encode(numbers, kinds[t.name]))
    writer.close()


def size(shape, kind):
    block, length = gguf.GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * length


def run(krylens, model, folder):
    subprocess.run(
        [krylens, "align", model, "--prompts", HERE / "prompts.txt", "--name", folder.name, "--quiet", "-o", folder],
        check=True)
    record = json.loads((folder / "result.json").read_text())
    return record["prompts"], load_file(folder / "triplets.safetensors")


def table(prompt):
    return next(c for c in prompt["coupling"]
                if (c["sign"], c["normalisation"], c["form"]) == ("signed", "frobenius", "same"))


def total(*bars):
    return None if any(b is None for b in bars) else sum(bars)


def compare(first, second):
    """The drift of a run from another, and the bars of both."""
    (prompts, vectors), (others, other_vectors) = first, second
    sigma, spaces, pairs, means = [], [], [], []
    for p, (a, b) in enumerate(zip(prompts, others, strict=True)):
        for x, y in zip(a["layers"], b["layers"], strict=True):
            top = x["singular_values"][0]
            bounds = [l.get("bound") or [None] * len(l["singular_values"]) for l in (x, y)]
            for i, (s, t) in enumerate(zip(x["singular_values"], y["singular_values"])):
                bar = total(bounds[0][i], bounds[1][i])
                sigma.append((abs(s - t) / top, None if bar is None else bar / top))
            name = f"p{p}.l{x['layer']}.V"
            v, w = vectors[name].astype(np.float64), other_vectors[name].astype(np.float64)
            rest = v - v @ w.T @ w
            bar = total(x.get("subspace_bound"), y.get("subspace_bound"))
            spaces.append((float(np.linalg.norm(rest, 2)), bar))
        c, d = table(a), table(b)
        for i, (row, other) in enumerate(zip(c["matrix"], d["matrix"])):
            for j, (s, t) in enumerate(zip(row, other)):
                if i != j:
                    bars = [m["bound"][i][j] if m.get("bound") else None for m in (c, d)]
                    pairs.append((abs(s - t), total(*bars)))
        means.append((c["mean_nontrivial"], d["mean_nontrivial"], total(c.get("mean_bound"), d.get("mean_bound"))))
    middle = lambda numbers: None if any(n is None for n in numbers) else statistics.median(numbers)
    mean_bars = [m[2] for m in means]
    known = [p for p in pairs if p[1] is not None]
    beyond = f"{100 * sum(e > b for e, b in known) / len(known):.0f} %" if known else "-"
    shown = lambda x: "-" if x is None else f"{x:.1e}"
    medians = [shown(middle([n[i] for n in numbers])) for numbers in (sigma, spaces, pairs) for i in (0, 1)]
    difference = statistics.mean(m[1] - m[0] for m in means)
    bar = None if any(b is None for b in mean_bars) else statistics.mean(mean_bars)
    return medians + [f"{statistics.mean(m[1] for m in means):.4f}", f"{difference:+.1e}", shown(bar), beyond]


def study(krylens, name):
    source = real_models.fetch(name)
    rows = [["type", "bits", "|Δσ|/σ₁", "bar", "sin ∠V", "bar", "|Δ coupling|", "bar", "mean", "Δ", "bar", "beyond"]]
    reference = None
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / f"{name}-{kind}.gguf"
            write(source, kind, path)
            found = run(krylens, path, pathlib.Path(work) / kind)
            blocks = [t for t in gguf.GGUFReader(path).tensors if t.name.startswith("blk.") and len(t.shape) > 1]
            bits = 8 * sum(int(t.n_bytes) for t in blocks) / sum(int(t.n_elements) for t in blocks)
        reference = reference or found
        rows.append([kind, f"{bits:.1f}", *compare(reference, found)])
        print(f"{name}: {kind} done", file=sys.stderr)
    print(f"\n{name}, {len(reference[0])} prompts, {len(reference[0][0]['layers'])} blocks, K = 10\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("| --- |" + " ---: |" * (len(rows[0]) - 1))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[2:] or DEFAULT:
        study(sys.argv[1], name)
