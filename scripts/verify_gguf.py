#!/usr/bin/env python3
"""Checks that the same weights, quantised in a GGUF file and dequantised in a Hugging Face folder, give the same answer.

    scripts/verify_gguf.py KRYLENS MODEL.gguf

Runs `krylens align` on both, on the same token ids, and compares every singular value (relative to itself) and every
coupling (relative to 1, the score of two equal Jacobians). The two differ in the reading of quantised blocks, the
order of the rows of q and k, the spelling of the configuration, and the order of summation in the products.
Status 0 if both differ by at most 1e-5, otherwise 1; 77 with a message on standard error if Python packages are missing.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

LIMIT = 1e-5
# Any ids would do; these are "What is the capital of France? The capital is" in SmolLM2's vocabulary.
TOKENS = "1780,314,260,3575,282,4649,47,378,3575,314"


def align(krylens, model, folder):
    # Solved to two more digits than compared, so that a difference comes from the operator and not from where a solver stopped.
    subprocess.run(
        [krylens, "align", model, "--token-ids", TOKENS, "--tolerance", "1e-6", "--quiet", "-o", folder],
        check=True,
    )
    return json.loads((pathlib.Path(folder) / "result.json").read_text())["prompts"][0]


def main(krylens, model):
    try:
        from gguf_to_hf import convert
    except ImportError as error:
        print(f"SKIPPED: {error.name} is missing; python3 -m pip install gguf safetensors", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as work:
        convert(model, f"{work}/hf")
        a = align(krylens, model, f"{work}/a")
        b = align(krylens, f"{work}/hf", f"{work}/b")

    values = max(
        (abs(s - t) / t, f"block {x['layer']}, σ{i + 1}: {s} and {t}")
        for x, y in zip(a["layers"], b["layers"])
        for i, (s, t) in enumerate(zip(x["singular_values"], y["singular_values"]))
    )
    couplings = max(
        (abs(s - t) / max(1, abs(t)), f"{x['sign']}, {x['normalisation']}, {x['form']}, row {x['rows'][i]}, "
         f"column {x['columns'][j]}: {s} and {t}")
        for x, y in zip(a["coupling"], b["coupling"])
        for i, (p, q) in enumerate(zip(x["matrix"], y["matrix"]))
        for j, (s, t) in enumerate(zip(p, q))
    )
    same = (
        a["next_token_id"] == b["next_token_id"]
        and len(a["layers"]) == len(b["layers"])
        and all(x["converged"] for x in a["layers"] + b["layers"])
    )
    print(f"next token id {a['next_token_id']} and {b['next_token_id']}")
    print(f"singular values: largest relative difference {values[0]:.1e} ({values[1]})")
    print(f"couplings:       largest difference          {couplings[0]:.1e} ({couplings[1]})")
    return 0 if same and values[0] <= LIMIT and couplings[0] <= LIMIT else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
