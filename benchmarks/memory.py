#!/usr/bin/env python3
"""The peak private memory that `krylens plan` predicts, beside what a run takes, over a grid of models and options.

    benchmarks/memory.py [--only TEXT] [--times N] [MODEL …]

MODEL is any model that KRYLENS opens (default: those of the usual real ones that are in the local cache), and synthetic models of
one wide block, of many narrow ones and of a few in between are added. Every row predicts in one process, as a user does, and runs
in another. The measure is the run's own peak_private_bytes, compared in turn with what the system says about the process
(RssAnon, read every 2 ms; it can only miss some of the peak). The largest of N runs counts (default: 1). A row fails where
prediction and measurement differ by more than 15 %. The table is printed and benchmarks/results/memory.json written. KRYLENS is the
command (default: .build/release/krylens). Only the standard library is needed, and Linux."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KRYLENS = os.environ.get("KRYLENS", os.path.join(HERE, "../.build/release/krylens"))
CACHE = os.path.expanduser("~/.cache/krylens")
REAL = ["SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"]
TOLERANCE = 0.15

# Name, then what `synthesize` is given.
SYNTHETIC = {
    "wide-2048": "--like llama-3-8b --width 2048 --layers 1 --vocabulary 1000",
    "wide-4096": "--like llama-3-8b --width 4096 --layers 1 --vocabulary 1000",
    "deep-128": "--like smollm2-135m --width 128 --layers 48 --vocabulary 1000",
    "some-576": "--like smollm2-135m --width 576 --layers 6 --vocabulary 1000",
}

# Prompts × tokens, and options.
REAL_GRID = [
    (1, 6, ""), (4, 6, ""), (16, 6, "--layers 1-4"), (1, 200, "--layers 1-4"),
    (4, 100, "--save-hidden-states --layers 1-2"), (1, 6, "--top 50 --ranks 10,30,50 --layers 1-6"),
    (2, 6, "--top 50 --form both --layers 1-6"), (1, 60, "--kind self --layers 1-2"),
    (1, 200, "--kind self --layers 1 --top 4"), (1, 6, "--precision double --layers 1-6"),
    (4, 6, "--threads 1 --certify off --layers 1-6"), (1, 6, "--solver arpack --layers 1-3"), (1, 6, "--solver dense --layers 1-2"),
]
SYNTHETIC_GRID = {
    "wide-2048": [(1, 6, ""), (4, 6, ""), (16, 6, ""), (1, 6, "--top 50"), (1, 100, ""), (1, 6, "--solver arpack"),
                  (1, 24, "--kind self --top 5"), (1, 6, "--precision double"), (1, 6, "--certify off")],
    "wide-4096": [(1, 6, ""), (4, 6, "--certify off"), (1, 6, "--solver arpack --certify off"), (1, 6, "--threads 1")],
    "deep-128": [(1, 6, ""), (16, 6, ""), (100, 6, ""), (4, 100, ""), (1, 40, "--tokens all"), (4, 6, "--top 50 --form both"),
                 (1, 60, "--kind context-output --layers 1-4"), (1, 6, "--solver dense")],
    "some-576": [(1, 6, ""), (16, 6, ""), (40, 6, ""), (4, 6, "--top 100 --ranks 20,100"), (1, 40, "--kind self"),
                 (1, 200, "--save-hidden-states"), (1, 6, "--solver dense"), (4, 6, "--like-paper")],
}


def prompts(count, tokens):
    """Token ids of distinct prompts."""
    return [part for p in range(count)
            for part in ("--token-ids", ",".join(str((p * 7 + 3 * t) % 290 + 5) for t in range(tokens)))]


def predicted(arguments):
    """The predicted peak, and the whole plan."""
    done = subprocess.run([KRYLENS, "plan", *arguments, "--json"], capture_output=True, text=True, check=True)
    plan = json.loads(done.stdout)
    return plan["peak_private_bytes"], plan


def measured(arguments, folder):
    """The run's own peak, and the one seen from outside."""
    run = subprocess.Popen([KRYLENS, "align", *arguments, "-o", folder, "--quiet"], stderr=subprocess.PIPE, text=True)
    outside = 0
    while run.poll() is None:
        try:
            with open(f"/proc/{run.pid}/status") as status:
                lines = status.read().splitlines()
            # Until it is replaced, the new process is a copy of this one.
            if lines and lines[0].split()[1].startswith("krylens"):
                outside = max([outside] + [1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")])
        except (OSError, ValueError):
            pass
        time.sleep(0.002)
    if run.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(run.args)}: {run.stderr.read()}")
    with open(os.path.join(folder, "result.json")) as file:
        record = json.load(file)
    shutil.rmtree(folder)
    return record["peak_private_bytes"], outside


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--only", default="", help="rows whose model and options hold this text")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--output", default=os.path.join(HERE, "results/memory.json"))
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="krylens-memory-") as scratch:
        models = given.models or [os.path.join(CACHE, name) for name in REAL if os.path.exists(os.path.join(CACHE, name))]
        grid = [(m, os.path.basename(m).split(".gguf")[0], case) for m in models for case in REAL_GRID]
        grid += [(os.path.join(scratch, name), name, case) for name, cases in SYNTHETIC_GRID.items() for case in cases]
        print(f"{'model':>16} {'prompts':>9} {'plan':>8} {'run':>8} {'ratio':>6} {'outside':>8}  options", flush=True)
        for path, name, (count, tokens, options) in grid:
            if given.only not in f"{name} {count}x{tokens} {options}":
                continue
            if name in SYNTHETIC and not os.path.exists(path):
                subprocess.run([KRYLENS, "synthesize", *SYNTHETIC[name].split(), path], check=True, capture_output=True)
            arguments = [path, *prompts(count, tokens), *options.split()]
            plan, parts = predicted(arguments)
            peaks = [measured(arguments, os.path.join(scratch, "run")) for _ in range(given.times)]
            own, outside = (max(p) for p in zip(*peaks))
            rows.append({"model": name, "prompts": count, "tokens": tokens, "options": options, "predicted": plan,
                         "measured": own, "outside": outside, "ratio": plan / own, "plan": parts})
            mark = "" if abs(plan / own - 1) <= TOLERANCE else "*"
            print(f"{name[:16]:>16} {count:>5}x{tokens:<3} {plan / 1e6:8.1f} {own / 1e6:8.1f} {plan / own:6.2f}{mark:1}"
                  f"{outside / 1e6:8.1f}  {options}", flush=True)
    if not rows:
        sys.exit(f"no row holds {given.only!r}: --only takes a part of a model's name, of PROMPTSxTOKENS, or of the options")
    off = sorted(abs(r["ratio"] - 1) for r in rows)
    missed = sum(o > TOLERANCE for o in off)
    print(f"{len(rows)} rows; |ratio - 1| at most {off[-1]:.2f}, median {off[len(off) // 2]:.2f}; {missed} beyond {TOLERANCE}")
    os.makedirs(os.path.dirname(given.output), exist_ok=True)
    with open(given.output, "w") as file:
        json.dump(rows, file, indent=1)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
