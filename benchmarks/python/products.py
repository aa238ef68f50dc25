#!/usr/bin/env python3
"""J @ X from Python beside the same product inside the command, one of each in turn.

    benchmarks/python/products.py MODEL [--layer 1] [--vectors 32] [--rounds 50] [--krylens .build/release/krylens]

X is float32 in C order, as numpy makes it: its transposition into rows is a part of the time. The command has its vectors in float64, as
solvers do. Prints the median of each and of the ratios of neighbours; needs the installed package.
"""
import argparse
import statistics
import subprocess
import time

import numpy as np

import krylens

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--layer", type=int, default=1)
parser.add_argument("--vectors", type=int, default=32)
parser.add_argument("--rounds", type=int, default=50)
parser.add_argument("--krylens", default=".build/release/krylens")
a = parser.parse_args()

command = subprocess.Popen(
    [a.krylens, "bench", a.model, "--layer", str(a.layer), "--products", str(a.vectors)], stdin=subprocess.PIPE,
    stdout=subprocess.PIPE, text=True)
with krylens.open(a.model) as model:
    J = model.jacobian(list(range(1, 11)), layer=a.layer)
    X = np.random.default_rng(0).standard_normal((J.shape[1], a.vectors)).astype(np.float32)

    def inside():
        command.stdin.write("\n")
        command.stdin.flush()
        return float(command.stdout.readline())

    def outside():
        start = time.perf_counter()
        J @ X
        return time.perf_counter() - start

    for measure in (inside, outside) * 3:
        measure()
    pairs = []
    for i in range(a.rounds):
        first, second = (inside, outside) if i % 2 else (outside, inside)
        times = {first: first(), second: second()}
        pairs.append((times[inside], times[outside]))
command.stdin.close()
command.wait()
command_time, python_time = (statistics.median(times) for times in zip(*pairs))
ratio = statistics.median(python / command for command, python in pairs)
print(f"{J.shape[0]} × {J.shape[1]}, {a.vectors} vectors: command {command_time * 1e3:.3f} ms, Python {python_time * 1e3:.3f} ms, "
      f"ratio {ratio:.3f} (medians of {a.rounds} alternating pairs)")
