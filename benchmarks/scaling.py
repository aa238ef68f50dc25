#!/usr/bin/env python3
"""Strong scaling on one machine: the same work on one process and on two, one thread each, beside the bandwidth at which one
process and two read memory.

    benchmarks/scaling.py [--rounds N] [prompts | block | parpack …]

    prompts   many prompts on SmolLM2-135M, two teams that share the work; the whole command
    block     one block of Llama-3-8B's shape in two slices, block solver; the solve
    parpack   the same block, PARPACK without the search for missed triplets; the solve

A round runs everything once on one process and once on two, in turn, and reads memory in between; the shortest time of each
counts. The ratio for PARPACK, which reads the weights once per vector, is compared with the ratio of the bandwidths. Slices round
differently from whole blocks, so that PARPACK may restart once more or less: the ratio of the times per pass is printed too. The
machine should have nothing else to do. KRYLENS is a command built with the trait MPI (default: .build-mpi/release/krylens). The table
is printed, and benchmarks/results/scaling.json written. Only the standard library is needed, and Open MPI."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

os.environ.setdefault(
    "KRYLENS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.build-mpi/release/krylens"))
import suite  # noqa: E402  (it reads KRYLENS)

# More processes than Open MPI expects on a small machine, also for root; shared memory without reading another process's.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
       "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}

# Reads its part of 1 GiB as often as lines come in, and prints the seconds: the C library looks for a byte that is not there.
READER = """
import sys, time
data = b"\\x01" * ((1 << 30) // int(sys.argv[1]))
for line in sys.stdin:
    start = time.perf_counter()
    data.find(b"\\x00")
    print(time.perf_counter() - start, flush=True)
"""


class Readers:
    """Processes that each read their part of 1 GiB, all at the same time."""

    def __init__(self, count):
        self.processes = [
            subprocess.Popen([sys.executable, "-c", READER, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(count)]

    def seconds(self):
        """The longest time of any of them."""
        for process in self.processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return max(float(process.stdout.readline()) for process in self.processes)

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait()


def align(args, processes, words):
    """The seconds of the whole command, and its record."""
    folder = tempfile.mkdtemp(prefix="krylens-scaling-", dir=args.scratch)
    try:
        start = time.perf_counter()
        subprocess.run(
            ["mpirun", "-n", str(processes), suite.KRYLENS, "align", *words, "--threads", "1", "--quiet", "-o", folder],
            check=True, env={**os.environ, **MPI})
        seconds = time.perf_counter() - start
        with open(os.path.join(folder, "result.json")) as file:
            return seconds, json.load(file)
    finally:
        shutil.rmtree(folder)


def prompts(args, model):
    """One process and two on many prompts: functions that return seconds, and 1 for passes, which are not compared."""
    words = [model]
    for p in range(args.prompts):
        words += ["--token-ids", ",".join(str(1 + (97 * p + 31 * i) % 40000) for i in range(12))]
    return [lambda n=n: (align(args, n, words)[0], 1) for n in (1, 2)]


def block(args, folder, solver):
    """One process and two slices on one block: functions that return the seconds of its solve, and its passes."""
    words = [folder, "--token-ids", ",".join(str(1 + i % 500) for i in range(10)), "--solver", solver]
    if solver == "parpack":
        words += ["--certify", "off"]

    def solve(processes):
        layer = align(args, processes, [*words, "--slices", str(processes)])[1]["prompts"][0]["layers"][0]
        return layer["seconds"], layer["passes"]

    return [lambda n=n: solve(n) for n in (1, 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = ["prompts", "block", "parpack"]
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(everything)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=48, help="the number of prompts")
    parser.add_argument("--width", type=int, default=4096, help="width of the block")
    parser.add_argument("--model", help="the model of the prompts (default: fetched as by make demo)")
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    args = parser.parse_args()
    args.what = args.what or everything
    if not set(args.what) <= set(everything):
        parser.error(f"WHAT is one of {', '.join(everything)}")
    if not os.access(suite.KRYLENS, os.X_OK) or shutil.which("mpirun") is None:
        sys.exit(f"no {suite.KRYLENS}, or no mpirun: 'make bench-scaling' installs and builds both")
    model = args.model
    if model is None and "prompts" in args.what:
        script = os.path.join(suite.ROOT, "scripts/fetch-demo-model.sh")
        model = subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()
    with suite.Checkpoint(args, "llama-3-8b", layers=1, width=args.width, vocabulary=512) as folder:
        readers = [Readers(1), Readers(2)]
        tasks = {"read": [lambda reader=reader: (min(reader.seconds() for _ in range(3)), 1) for reader in readers]}
        for what in args.what:
            tasks[what] = prompts(args, model) if what == "prompts" else block(args, folder, what)
        times = {name: ([], []) for name in tasks}
        for round in range(args.rounds):
            for name, both in tasks.items():
                for taken, run in zip(times[name], both):
                    taken.append(run())
        for reader in readers:
            reader.close()
    names = {"read": "reading 1 GiB", "prompts": f"{args.prompts} prompts, SmolLM2-135M", "block": "one 8B block, block solver",
             "parpack": "one 8B block, PARPACK"}
    best = {name: [min(taken) for taken in both] for name, both in times.items()}
    ratio = {name: one[0] / two[0] for name, (one, two) in best.items()}
    rows, results = [], []
    for name, ((one, passes_one), (two, passes_two)) in best.items():
        per_pass = ratio[name] * passes_two / passes_one
        rows.append({"what": names[name], "1 × 1": f"{one:.3f} s", "2 × 1": f"{two:.3f} s", "ratio": f"{ratio[name]:.2f}",
                     "passes": f"{passes_one}, {passes_two}" if passes_one > 1 else "", "ratio per pass": f"{per_pass:.2f}",
                     "of the bandwidths' ratio": f"{per_pass / ratio['read']:.2f}"})
        results.append({"what": name, "seconds_one": [seconds for seconds, _ in times[name][0]],
                        "seconds_two": [seconds for seconds, _ in times[name][1]], "passes": [passes_one, passes_two],
                        "ratio": ratio[name], "ratio_per_pass": per_pass, "share_of_bandwidth_ratio": per_pass / ratio["read"]})
    print(suite.environment()["cpu"])
    suite.table(rows, ["what", "1 × 1", "2 × 1", "ratio", "passes", "ratio per pass", "of the bandwidths' ratio"])
    suite.save("scaling", results)


if __name__ == "__main__":
    main()
