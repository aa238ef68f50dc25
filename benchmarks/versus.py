#!/usr/bin/env python3
"""Two versions of the command on the same work, in turn: the times of the newer one as a part of the older one's.

    benchmarks/versus.py BASE [--rounds N] [--instruction-set avx2] [prompt | prompts | larger | block …]

    prompt    one prompt on SmolLM2-135M, the whole command
    prompts   sixteen prompts on it
    larger    one prompt on MODEL, another checkpoint: --larger MODEL, for example a 1.5B one quantised to four bits
    block     one prompt on one block of Llama-3-8B's shape, bf16

BASE is a built command, or a revision, which is built first (minutes) in .build-versus. The newer one is KRYLENS (default:
.build/release/krylens). In a round each runs once, in an order that alternates; of each the shortest time counts, beside those of its phases
in the same run. --instruction-set computes with an older processor's instructions, as KRYLENS_INSTRUCTION_SET does; a version that
does not know the variable is left out with a message. The table is printed. Only the standard library is needed."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import suite

PROMPT = "What is the capital of France? The capital is"


def built(base):
    """The command of a revision, or the given one."""
    if os.access(base, os.X_OK) and not os.path.isdir(base):
        return os.path.abspath(base)
    tree = os.path.join(suite.ROOT, ".build-versus")
    if not os.path.exists(tree):
        subprocess.run(["git", "-C", suite.ROOT, "worktree", "add", "--detach", tree, base], check=True)
    subprocess.run(["git", "-C", tree, "checkout", "--quiet", "--detach", base], check=True)
    subprocess.run(["swift", "build", "--package-path", tree, "-c", "release", "--product", "krylens"], check=True)
    return os.path.join(tree, ".build/release/krylens")


def align(args, command, words):
    """The seconds of the whole command and of its phases, and the instruction set that it used."""
    folder = tempfile.mkdtemp(prefix="krylens-versus-", dir=args.scratch)
    environment = dict(os.environ)
    if args.instruction_set:
        environment["KRYLENS_INSTRUCTION_SET"] = args.instruction_set
    try:
        start = time.perf_counter()
        subprocess.run([command, "align", *words, "--quiet", "-o", folder], check=True, env=environment)
        seconds = time.perf_counter() - start
        with open(os.path.join(folder, "result.json")) as file:
            record = json.load(file)
    finally:
        shutil.rmtree(folder)
    used = (record.get("computed_with") or [{}])[0].get("instruction_set")
    return {"all": seconds, "solve": record["seconds"]["solve"], "coupling": record["seconds"]["coupling"]}, used


def race(args, commands, words):
    """The shortest times of both commands; None for one that computes with other instructions than requested."""
    best = [None, None]
    for r in range(args.rounds):
        for i in (0, 1) if r % 2 == 0 else (1, 0):
            found, used = align(args, commands[i], words)
            if args.instruction_set and used != args.instruction_set:
                sys.exit(f"{commands[i]} computes with {used}, whatever KRYLENS_INSTRUCTION_SET says: take a later version")
            args.used = used
            if best[i] is None or found["all"] < best[i]["all"]:
                best[i] = found
    return best


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("base")
    parser.add_argument("works", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instruction-set")
    parser.add_argument("--larger")
    parser.add_argument("--scratch", default=None)
    args = parser.parse_intermixed_args()
    works = args.works or ["prompt", "prompts", "block"] + (["larger"] if args.larger else [])
    unknown = set(works) - {"prompt", "prompts", "larger", "block"}
    if unknown or ("larger" in works and not args.larger):
        parser.error(f"{', '.join(unknown)}: no such work" if unknown else "larger needs --larger MODEL")
    commands = [built(args.base), suite.KRYLENS]
    small = subprocess.run(
        [os.path.join(suite.ROOT, "scripts/fetch-demo-model.sh")], check=True, capture_output=True, text=True).stdout.strip()
    words = {
        "prompt": [small, "--prompt", PROMPT],
        "prompts": [small] + [word for i in range(1, 17) for word in ("--prompt", f"{PROMPT} number {i}")],
        "larger": [args.larger, "--prompt", PROMPT],
    }
    rows = []
    for work in works:
        if work == "block":
            with suite.Checkpoint(args, "llama-3-8b", layers=1) as folder:
                both = race(args, commands, [folder, "--token-ids", "1,2,3,4,5,6,7,8,9,10"])
        else:
            both = race(args, commands, words[work])
        rows.append((work, both))
        print(f"{work}: " + ", ".join(f"{both[0][k]:.2f} and {both[1][k]:.2f} s of {k}" for k in both[0]), file=sys.stderr)
    env = suite.environment()
    print(f"{env['cpu']}, {env['cores']} cores, {args.used or 'its best instruction set'}; {commands[0]} and {commands[1]}, "
          f"shortest of {args.rounds}\n")
    print("| work | all, s | ratio | solve, s | ratio | coupling, s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for work, (old, new) in rows:
        cells = [f"{old[k]:.2f}, {new[k]:.2f} | {new[k] / old[k] if old[k] else 1:.2f}" for k in old]
        print(f"| {work} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
