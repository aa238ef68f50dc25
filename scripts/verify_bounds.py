#!/usr/bin/env python3
"""Checks whether the bounds that a run states hold, and whether they are useful, against float64.

    scripts/verify_bounds.py KRYLENS [--fixtures FOLDER]… [--models NAME…] [--options OPTIONS] [--worst N]

Runs `krylens align` on every checkpoint of the folders (by default Tests/ModelTests/Fixtures: each with an expected.json, made in
float64 by dense singular value decompositions) and on trained models (by default SmolLM2-135M and Qwen2.5-Coder-0.5B: scripts/real,
made by real_reference.py), and compares each recorded singular value and coupling with the reference: its true error must not
exceed its recorded `bound`. Prints for each kind of number the count, how many errors exceed the bound, the largest
error over its bound, and the median of bound over error. `--models` without names leaves the trained models out; OPTIONS go to
align. Status 0 if no error exceeds its bound and no kind's median is above 50; otherwise 1, with each violation named.

A reference is rounded too, in double precision: a singular value to NOISE σ₁, a score to NOISE σ₁ / gap, the smallest between two
neighbours among the values of the basis. An error below that counts as that much: it does not violate a bound larger than the true
error could be, and the ratio of the bound to it is left out of the median. So are couplings of a Jacobian with itself, which are
right by definition. Couplings whose bound is 1 or more, where a cluster leaves vectors undetermined, are included in everything.
"""
import argparse
import dataclasses
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

import real_models

ROOT = pathlib.Path(__file__).parent.parent
NOISE = 1e-13
WIDEST = 50
TOP, RANKS = 6, (3, 6)
SIGNS = {"signed": "signed", "abs": "absolute"}


@dataclasses.dataclass
class Number:
    """A recorded number, its true error and its bound."""
    where: str
    error: float
    # None if the record has none.
    bound: float | None
    noise: float
    counts: bool = True

    @property
    def excess(self):
        """The error, beyond that of the reference, over the bound."""
        rest = max(0.0, self.error - self.noise)
        return 0.0 if rest == 0 else math.inf if not self.bound else rest / self.bound


@dataclasses.dataclass
class Kind:
    """All numbers of a kind and source."""
    numbers: list = dataclasses.field(default_factory=list)

    def row(self):
        known = [n for n in self.numbers if n.bound is not None]
        clear = [n for n in known if n.counts and n.error > n.noise]
        errors = [n.error for n in self.numbers if n.counts]
        shown = lambda x: "-" if x is None else f"{x:.1e}"
        self.median = statistics.median([n.bound / n.error for n in clear]) if clear else None
        self.violations = [n for n in known if n.excess > 1]
        return [
            str(len(self.numbers)), str(len(known)), str(len(self.violations)),
            shown(max((n.excess for n in known), default=None)), shown(statistics.median(errors) if errors else None),
            shown(statistics.median([n.bound for n in known if n.counts]) if known else None),
            "-" if self.median is None else f"{self.median:.1f}", str(len(known) - len(clear))]


def gap(values, k):
    """The smallest gap between neighbours among the first k values and the next one, over the largest value."""
    pairs = list(zip(values[: k + 1], values[1 : k + 1]))
    return max(1e-15, min((a - b for a, b in pairs), default=values[0]) / values[0]) if values[0] > 0 else 1


def add_values(kinds, source, where, layer, sigma):
    bounds = layer.get("bound") or [None] * len(layer["singular_values"])
    for i, (found, true, bound) in enumerate(zip(layer["singular_values"], sigma, bounds)):
        kinds.setdefault((source, "σ"), Kind()).numbers.append(
            Number(f"{where}, block {layer['layer']}, σ{i + 1}", abs(found - true), bound, NOISE * sigma[0]))


def add_couplings(kinds, source, where, prompt, spectra, wanted, rank, form, sign, layers):
    """`wanted`[i][j] is 1 − m, with the Frobenius norm, of `layers`; `spectra` are all values of their Jacobians."""
    for normalisation in ("frobenius", "trace"):
        table = next((c for c in prompt["coupling"] if (c["rank"], c["sign"], c["normalisation"], c["form"])
                      == (rank, sign, normalisation, form)), None)
        if table is None:
            continue
        place = {layer: i for i, layer in enumerate(table["rows"])}
        for a, i in enumerate(layers):
            s = spectra[a][:rank]
            ratio = 1.0 if normalisation == "frobenius" else math.hypot(*s) / sum(s) if sum(s) > 0 else 0.0
            for b, j in enumerate(layers):
                found = table["matrix"][place[i]][place[j]]
                if found is None or wanted[a][b] is None or not math.isfinite(wanted[a][b]):
                    continue
                true = 1 - (1 - wanted[a][b]) * ratio
                bound = (table.get("bound") or {place[i]: {place[j]: None}})[place[i]][place[j]]
                kinds.setdefault((source, f"coupling {form} {sign}"), Kind()).numbers.append(Number(
                    f"{where}, rank {rank}, {normalisation}, {form}, {sign}, block {i} in the basis of {j}", abs(found - true),
                    bound, NOISE / gap(spectra[b], rank), counts=not (i == j and form == "same")))


def align(krylens, model, arguments, options, work):
    folder = pathlib.Path(work) / "run"
    run = subprocess.run(
        [krylens, "align", model, *arguments, "--quiet", "-o", folder, *options], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return json.loads((folder / "result.json").read_text())["prompts"]


def input_options(folder, expected, work):
    """The prompt of a fixture, as options."""
    given = lambda name: ",".join(map(str, expected[name]))
    options = ["--encoder-token-ids", given("encoder_token_ids")] if "encoder_token_ids" in expected else []
    if not (pixels := next((name for name in expected if "pixel" in name), None)):
        return options + ["--token-ids", given("token_ids" if "token_ids" in expected else "decoder_token_ids")]
    import numpy
    from safetensors.numpy import save_file

    config = json.loads((folder / "config.json").read_text())
    config = config.get("vision_config", config)
    size = config["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    image = numpy.array(expected[pixels], dtype=numpy.float32).reshape(config.get("num_channels", 3), height, width)
    save_file({"pixel_values": image}, f"{work}/image.safetensors")
    return ["--image", f"{work}/image.safetensors"]


def check_fixture(krylens, folder, options, kinds):
    expected = json.loads((folder / "expected.json").read_text())
    spectra = expected.get("sigma_last") or expected["sigma"]
    layers = list(range(1, len(spectra) + 1))
    with tempfile.TemporaryDirectory() as work:
        prompt = align(
            krylens, folder, input_options(folder, expected, work)
            + ["--top", str(TOP), "--ranks", ",".join(map(str, RANKS)), "--form", "both"], options, work)[0]
    for layer in prompt["layers"]:
        add_values(kinds, "fixtures", folder.name, layer, spectra[layer["layer"] - 1])
    for form, prefix in (("same", ""), ("crossed", "crossed_")):
        for name, sign in SIGNS.items():
            for rank in RANKS:
                if wanted := expected.get(f"coupling_{prefix}{name}_K{rank}"):
                    add_couplings(kinds, "fixtures", folder.name, prompt, spectra, wanted, rank, form, sign, layers)


def check_model(krylens, name, options, kinds):
    reference = json.loads((ROOT / f"scripts/real/{name}.json").read_text())
    path = real_models.fetch(name)
    with tempfile.TemporaryDirectory() as work:
        arguments = [x for p in reference["prompts"] for x in ("--token-ids", ",".join(map(str, p["token_ids"])))]
        prompts = align(krylens, path, arguments, options, work)
    for p, (prompt, wanted) in enumerate(zip(prompts, reference["prompts"], strict=True)):
        where, spectra = f"{name}, prompt {p + 1}", dict(zip(wanted["blocks"], wanted["singular_values"]))
        for layer in prompt["layers"]:
            if layer["layer"] in spectra:
                add_values(kinds, name, where, layer, spectra[layer["layer"]])
        add_couplings(
            kinds, name, where, prompt, wanted["singular_values"], wanted["coupling"], 10, "same", "signed", wanted["blocks"])


def printed(rows):
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) if c < 2 else cell.rjust(w) for c, (cell, w) in enumerate(zip(row, widths))))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("krylens")
    parser.add_argument("--fixtures", action="append", type=pathlib.Path)
    parser.add_argument("--models", nargs="*", default=["smollm2-135m", "qwen2.5-coder-0.5b"])
    parser.add_argument("--options", default="")
    parser.add_argument("--worst", type=int, default=20)
    given = parser.parse_args()
    options, kinds, broken = shlex.split(given.options), {}, []
    folders = [f for root in given.fixtures or [ROOT / "Tests/ModelTests/Fixtures"]
               for f in sorted(root.iterdir()) if (f / "expected.json").exists()]
    for what, check in ([(f, check_fixture) for f in folders] + [(m, check_model) for m in given.models]):
        try:
            check(given.krylens, what, options, kinds)
        except RuntimeError as error:
            broken.append(f"{what}: {error}")
    rows = [["source", "numbers", "count", "bounded", "beyond", "error/bound", "error", "bound", "median ratio", "left out"]]
    rows += [[source, kind, *found.row()] for (source, kind), found in kinds.items()]
    printed(rows)
    print("error/bound: the largest; error, bound: medians; median ratio: of bound/error; left out of it: errors below the "
          "reference's own, and Jacobians with themselves")
    violations = [n for found in kinds.values() for n in found.violations]
    for n in sorted(violations, key=lambda n: -n.excess)[: given.worst]:
        print(f"BEYOND {n.where}: error {n.error:.3e}, bound {n.bound:.3e}")
    if len(violations) > given.worst:
        print(f"and {len(violations) - given.worst} more")
    unbounded = sum(n.bound is None for found in kinds.values() for n in found.numbers)
    if unbounded:
        print(f"{unbounded} numbers have no bound in the record")
    wide = [f"{source}, {kind}: the median bound is {found.median:.0f} times the error"
            for (source, kind), found in kinds.items()
            if kind.startswith("coupling") and found.median and found.median > WIDEST]
    print("\n".join(wide + broken))
    fails = bool(violations or unbounded or wide or broken)
    print("FAIL" if fails else "PASS: every error is within its bound, and the bounds are useful")
    return fails


if __name__ == "__main__":
    sys.exit(main())
