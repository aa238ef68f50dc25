#!/usr/bin/env python3
"""Checks trained models, from text to coupling, against float64.

    scripts/verify_real.py KRYLENS [NAME…]      names as real_models.py lists them (default: all)

Fetches the models once (2 GB; see real_models.py), runs `krylens align` on each, and compares the result with scripts/real/NAME.json,
which real_reference.py made. Prints, per model, whether the token ids of all texts and the next tokens agree, and the largest
difference of the singular values, over the block's largest; of the coupling at rank 10, between blocks whose values are separated;
and of the norms of the last token's states, relative. Status 0 within the bounds, otherwise 1.

The bounds: a product in single precision is off by some 1e-6 of the block's norm, and a singular value by no more; 3e-5 leaves
room for the rounding of the state where the block is linearised. A singular vector is off by that over the gap to its neighbour:
with gaps of 4e-4 coupling is off by 2e-3 at most, and blocks with smaller gaps are left out. Norms add up the rounding of all blocks.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import real_models

FOLDER = pathlib.Path(__file__).parent / "real"
TOP = 10
BOUNDS = {"singular values": 3e-5, "coupling": 2e-3, "norms": 1e-4}
SMALLEST_GAP = 4e-4
# The margin between the two best logits below which rounding decides.
TIE = 1e-3


def align(krylens, model, folder, prompts, *options):
    """The prompts of a run's result."""
    file = pathlib.Path(folder) / "prompts.json"
    file.write_text(json.dumps([{"text": text} for text in prompts]))
    subprocess.run(
        [krylens, "align", model, "--prompts", file, "--quiet", "-o", f"{folder}/run", *options], check=True)
    return json.loads((pathlib.Path(folder) / "run/result.json").read_text())["prompts"]


def separated(values):
    return min(a - b for a, b in zip(values, values[1:])) > SMALLEST_GAP * values[0]


def differences(found, wanted):
    """The largest difference of each kind of number, for one prompt."""
    layers = {layer["layer"]: layer["singular_values"] for layer in found["layers"]}
    table = next(
        c for c in found["coupling"]
        if (c["sign"], c["normalisation"], c["form"], c["rank"]) == ("signed", "frobenius", "same", TOP))
    rows = {block: dict(zip(table["columns"], row)) for block, row in zip(table["rows"], table["matrix"])}
    clear = [separated(values) for values in wanted["singular_values"]]
    norms = [row[-1] for row in found["trajectory"]["norms"]]
    return {
        "singular values": max(
            abs(a - b) / values[0]
            for block, values in zip(wanted["blocks"], wanted["singular_values"])
            for a, b in zip(layers[block][:TOP], values[:TOP], strict=True)),
        "coupling": max(
            abs(rows[i][j] - wanted["coupling"][a][b])
            for a, i in enumerate(wanted["blocks"]) for b, j in enumerate(wanted["blocks"]) if clear[a] and clear[b]),
        "norms": max(abs(a - b) / b for a, b in zip(norms, wanted["norms"], strict=True)),
    }, sum(clear) ** 2


def verify(krylens, name):
    """Whether a model's numbers are within the bounds."""
    reference = json.loads((FOLDER / f"{name}.json").read_text())
    path, texts, holds = real_models.fetch(name), reference["texts"], True
    assert reference["sha256"] == real_models.MODELS[name].sha256
    with tempfile.TemporaryDirectory() as work:
        # One block and one value: only the ids are compared.
        ids = align(krylens, path, work, [t["text"] for t in texts], "--layers", "1", "--top", "1", "--tolerance", "0.5")
    wrong = [t["text"] for t, p in zip(texts, ids) if p["token_ids"] != t["token_ids"]]
    print(f"{name} ({reference['family']})")
    print(f"  token ids        {len(texts) - len(wrong)} of {len(texts)} texts equal")
    for text in wrong:
        print(f"    differ: {text!r}")
    if "llama_cpp_token_ids" in texts[0]:
        equal = sum(t["llama_cpp_token_ids"] == p["token_ids"] for t, p in zip(texts, ids))
        print(f"  to llama.cpp's   {equal} of {len(texts)} texts equal")
    wanted = reference["prompts"]
    with tempfile.TemporaryDirectory() as work:
        # For the largest model only a few blocks: the reference has no more.
        blocks = ",".join(map(str, wanted[0]["blocks"]))
        found = align(
            krylens, path, work, [p["text"] for p in wanted], "--top", str(TOP + 1), "--ranks", str(TOP), "--layers", blocks)
    largest = dict.fromkeys(BOUNDS, 0.0)
    pairs = 0
    for p, w in zip(found, wanted, strict=True):
        worst, count = differences(p, w)
        pairs += count
        largest = {kind: max(largest[kind], worst[kind]) for kind in BOUNDS}
        if "next_token_id" in w:
            equal = p["next_token_id"] == w["next_token_id"] or w["margin"] < TIE
            holds = holds and equal
            print(f"  next token       {'equal' if equal else 'differs'}: {p['next_token']!r}")
    for kind, value in largest.items():
        note = f", {pairs} pairs of blocks" if kind == "coupling" else ""
        print(f"  {kind:16} {'within' if value <= BOUNDS[kind] else 'BEYOND'} {BOUNDS[kind]:.0e}: {value:.1e}{note}")
        holds = holds and value <= BOUNDS[kind]
    return holds and not wrong


def main(krylens, *names):
    if unknown := [n for n in names if n not in real_models.MODELS]:
        sys.exit(f"{unknown[0]}: no such model; the models are {', '.join(real_models.MODELS)}")
    names = names or [n for n in real_models.MODELS if (FOLDER / f"{n}.json").exists()]
    return 0 if all([verify(krylens, name) for name in names]) else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
