#!/usr/bin/env python3
"""Checks maps of a trained model between tokens and boundaries against float64.

    scripts/verify_maps.py KRYLENS

Runs `krylens triplets` with the options of every map in scripts/real/smollm2-135m-maps.json, which maps_reference.py made, and
prints the largest difference of singular values, over the largest value, and the largest measured residual norm. Status 0 if
every difference is below 3e-5, as verify_real.py derives it for one block: through more blocks, the rounding of each is amplified
like the whole map, so the bound relative to σ₁ stays the same. Fetches the model once (98 MB).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import real_models

BOUND = 3e-5
TOP = 10


def command(krylens, model, prompts, options, folder):
    arguments = [krylens, "triplets", model, "--top", str(TOP), "--quiet", "-o", folder]
    averages = options.pop("average", False)
    for ids in prompts if averages else prompts[:1]:
        arguments += ["--token-ids", ",".join(map(str, ids))]
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    return arguments + (["--average"] if averages else []), averages


def main(krylens):
    wanted = json.loads((pathlib.Path(__file__).parent / "real/smollm2-135m-maps.json").read_text())
    model = real_models.fetch(wanted["model"])
    failed = 0
    for entry in wanted["maps"]:
        with tempfile.TemporaryDirectory() as work:
            folder = pathlib.Path(work) / "run"
            arguments, averages = command(krylens, model, wanted["prompts"], dict(entry["options"]), folder)
            subprocess.run(arguments, check=True)
            result = json.loads((folder / "result.json").read_text())
        found = result["average"] if averages else result["prompts"][0]["map"]
        sigma = entry["sigma"][:TOP]
        worst = max(abs(a - b) for a, b in zip(found["singular_values"], sigma, strict=True)) / sigma[0]
        residual = max(found["residual_norms"]) / sigma[0]
        ok = worst <= BOUND and found["converged"] and found["shape"] == entry["shape"]
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {entry['options']}: σ off by {worst:.1e} σ₁, residual {residual:.1e}, "
              f"{found['seconds']:.2f} s")
    return failed > 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
