#!/usr/bin/env python3
"""Benchmarks of Krylens, each a table on standard output and a JSON file under benchmarks/results.

    benchmarks/suite.py solvers   each solver against the dense SVD of the same Jacobian: widths 256 … 8192, k = 1 … 100
    benchmarks/suite.py shapes    one block of known models' shapes with random weights, ten tokens, top 10, bf16
    benchmarks/suite.py growth    cost against width, tokens, k and the number of prompts
    benchmarks/suite.py peers     what a PyTorch user would do, and Krylens, on a block of the same shape, both in float32,
                                  linearization included (needs torch, transformers, scipy)

Checkpoints are synthesized into --scratch (default: the temporary folder) and removed afterwards. A solver that would take more
than --limit seconds, extrapolated from its last time, is left out, and the table says so. Times are those of the solve; each is the
smallest of --repeats runs, each in a process of its own. Only the standard library is needed."""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KRYLENS = os.environ.get("KRYLENS", os.path.join(ROOT, ".build/release/krylens"))


def environment():
    model = "unknown"
    if os.path.exists("/proc/cpuinfo"):
        names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        model = names[0] if names else model
    revision = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "revision": revision,
            "date": time.strftime("%Y-%m-%d"),
            "command": "benchmarks/" + " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])}


class Checkpoint:
    """A synthesized checkpoint, removed when the block is left."""

    def __init__(self, args, like, **options):
        self.folder = tempfile.mkdtemp(prefix="krylens-bench-", dir=args.scratch)
        words = [f"--{key}={value}" for key, value in options.items()]
        subprocess.run(
            [KRYLENS, "synthesize", "--like", like, *words, self.folder], check=True, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self.folder

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def bench(args, folder, solver, top, tokens=10):
    """The run with the smallest time, or None when the solver fails."""
    best = None
    for _ in range(args.repeats):
        ids = ",".join(str(1 + i % 500) for i in range(tokens))
        done = subprocess.run(
            [KRYLENS, "bench", folder, "--top", str(top), "--solver", solver, "--token-ids", ids,
             "--tolerance", str(args.tolerance), "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr.strip(), file=sys.stderr)
            return None
        result = json.loads(done.stdout)[0]
        if best is None or result["seconds"] < best["seconds"]:
            best = result
    return best


def table(rows, columns):
    widths = [max(len(c), *(len(str(r.get(c, ""))) for r in rows)) for c in columns]
    print("| " + " | ".join(c.ljust(w) for c, w in zip(columns, widths)) + " |")
    print("| " + " | ".join("-" * w for w in widths) + " |")
    for row in rows:
        print("| " + " | ".join(str(row.get(c, "")).ljust(w) for c, w in zip(columns, widths)) + " |")


def save(name, results):
    """Writes the results, with where they were measured, to benchmarks/results."""
    folder = os.path.join(ROOT, "benchmarks/results")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as file:
        json.dump({"environment": environment(), "results": results}, file, indent=1)


def row_of(result, dense=None):
    row = {
        "seconds": f"{result['seconds']:.3f}", "passes": result["passes"], "vectors": result["vectors"],
        "private MB": f"{result['private_bytes'] / 1e6:.0f}", "residual": f"{result['residual']:.0e}",
        "note": "" if result["converged"] else "not converged"}
    if dense:
        sigma, exact = result["singular_values"], dense["singular_values"]
        row["error"] = f"{max(abs(a - b) for a, b in zip(sigma, exact)) / exact[0]:.0e}"
        row["× dense"] = f"{dense['seconds'] / result['seconds']:.1f}"
    return row


def solvers(args):
    rows, results = [], []
    dense_seconds = None
    for width in args.widths:
        with Checkpoint(args, "llama-3-8b", layers=1, width=width, vocabulary=512) as folder:
            # The SVD grows with the cube of the width.
            dense = None
            if dense_seconds is None or 8 * dense_seconds < args.limit:
                dense = bench(args, folder, "dense", min(max(args.tops), width - 2))
                dense_seconds = dense["seconds"] if dense else None
                results.append(dense)
                rows.append({"width": width, "k": "all", "solver": "dense", **row_of(dense)})
            else:
                rows.append({"width": width, "k": "all", "solver": "dense", "note": f"over {args.limit} s, left out"})
            for top in args.tops:
                if top >= width - 1:
                    continue
                for solver in ("arpack", "block", "randomized"):
                    result = bench(args, folder, solver, top)
                    if result:
                        results.append(result)
                        rows.append({"width": width, "k": top, "solver": solver, **row_of(result, dense)})
    table(rows, ["width", "k", "solver", "seconds", "× dense", "passes", "vectors", "private MB", "residual", "error", "note"])
    return results


def shapes(args):
    rows, results = [], []
    for like in ("smollm2-135m", "tinyllama-1.1b", "llama-3-8b", "llama-2-13b", "llama-3-70b"):
        with Checkpoint(args, like, layers=1, vocabulary=512) as folder:
            for solver in ("block", "arpack"):
                result = bench(args, folder, solver, 10)
                results.append({"like": like, **result})
                rows.append({"shape": like, "width": result["width"], "solver": solver, **row_of(result)})
    table(rows, ["shape", "width", "solver", "seconds", "passes", "vectors", "private MB", "residual", "note"])
    return results


def growth(args):
    rows, results = [], []

    def add(what, value, result):
        results.append({"varied": what, "value": value, **result})
        rows.append({"varied": what, "value": value, **row_of(result)})

    for width in (512, 1024, 2048, 4096):
        with Checkpoint(args, "llama-3-8b", layers=1, width=width, vocabulary=512) as folder:
            add("width", width, bench(args, folder, "block", 10))
    with Checkpoint(args, "llama-3-8b", layers=1, width=1024, vocabulary=512) as folder:
        for tokens in (1, 10, 100, 1000):
            add("tokens", tokens, bench(args, folder, "block", 10, tokens))
        for top in (1, 3, 10, 30, 100):
            add("k", top, bench(args, folder, "block", top))
        for prompts in (1, 2, 4, 8, 16):
            best = None
            for _ in range(args.repeats):
                output = tempfile.mkdtemp(dir=args.scratch)
                words = []
                for p in range(prompts):
                    words += ["--token-ids", ",".join(str(1 + (7 * p + i) % 500) for i in range(10))]
                subprocess.run([KRYLENS, "align", folder, *words, "--solver", "block", "--quiet", "-o", output], check=True)
                record = json.load(open(os.path.join(output, "result.json")))
                shutil.rmtree(output)
                seconds = record["seconds"]["solve"]
                if best is None or seconds < best["seconds"]:
                    layer = record["prompts"][0]["layers"][0]
                    best = {"seconds": seconds, "passes": layer["passes"],
                            "vectors": sum(sum(l["applications"].values()) for p in record["prompts"] for l in p["layers"]),
                            "private_bytes": record["peak_private_bytes"],
                            "residual": max(l["residual_norms"][i] / l["singular_values"][0]
                                            for p in record["prompts"] for l in p["layers"] for i in range(10)),
                            "converged": all(l["converged"] for p in record["prompts"] for l in p["layers"])}
            add("prompts (whole solve)", prompts, best)
    table(rows, ["varied", "value", "seconds", "passes", "vectors", "private MB", "residual", "note"])
    return results


def peers(args):
    rows, results = [], []
    with Checkpoint(args, "llama-3-8b", layers=1, width=args.width, vocabulary=512, dtype="f32") as folder:
        for solver in ("block", "arpack"):
            result = bench(args, folder, solver, 10)
            # The peers' times include it.
            result["seconds"] += result["linearize_seconds"]
            results.append({"method": f"krylens, {solver}", **result})
            rows.append({"method": f"krylens, {solver} (f32)", **row_of(result)})
    heads, hidden = args.width // 128, args.width * 14336 // 4096
    for method in ("svds", "subspace", "jacrev", "published"):
        result = None
        for _ in range(args.repeats):
            done = subprocess.run(
                [sys.executable, os.path.join(ROOT, "benchmarks/peers/peer.py"), method, "--width", str(args.width), "--hidden",
                 str(hidden), "--heads", str(heads), "--kv-heads", str(max(1, heads // 4))], capture_output=True, text=True)
            if done.returncode != 0:
                break
            run = json.loads(done.stdout.strip().splitlines()[-1])
            if result is None or run["seconds"] < result["seconds"]:
                result = run
        if done.returncode != 0:
            rows.append({"method": method, "note": done.stderr.strip().splitlines()[-1]})
            continue
        results.append(result)
        rows.append({"method": f"PyTorch, {method} (f32)", "seconds": f"{result['seconds']:.3f}",
                     "residual": f"{result['residual']:.0e}",
                     "private MB": f"{(result['peak_bytes'] - result['bytes_before']) / 1e6:.0f}"})
    table(rows, ["method", "seconds", "passes", "private MB", "residual", "note"])
    return results


def main():
    suites = {"solvers": solvers, "shapes": shapes, "growth": growth, "peers": peers}
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=suites)
    parser.add_argument("--widths", type=numbers, default=[256, 512, 1024, 2048, 4096, 8192])
    parser.add_argument("--tops", type=numbers, default=[1, 10, 30, 100])
    parser.add_argument("--width", type=int, default=4096, help="width of the peers' block")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    args = parser.parse_args()
    if not os.access(KRYLENS, os.X_OK):
        sys.exit(f"no {KRYLENS}: run 'make build' first")
    results = suites[args.suite](args)
    save(args.suite, results)


if __name__ == "__main__":
    main()
