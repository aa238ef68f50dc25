#!/usr/bin/env python3
"""Runs the command in several processes of mpirun and checks that nothing but the time depends on their number.

    scripts/test_mpi.py .build-mpi/release/krylens [WORD ...]

The tests are the functions test_... of scripts/mpi/test_*.py; with words, only those whose names contain one of them run. Only
Python's standard library is needed, and Open MPI. More processes than cores are started, and root may do it.
"""
import importlib
import inspect
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent / "mpi"))
from harness import Krylens, Skipped  # noqa: E402


def tests(words):
    for path in sorted((pathlib.Path(__file__).parent / "mpi").glob("test_*.py")):
        for name, function in inspect.getmembers(importlib.import_module(path.stem), inspect.isfunction):
            if name.startswith("test_") and (not words or any(word in f"{path.stem}.{name}" for word in words)):
                yield f"{path.stem}.{name}", function


def main(executable, words):
    if shutil.which("mpirun") is None:
        sys.exit("test-mpi: no mpirun here; scripts/setup.sh mpi installs it")
    start, failed, skipped = time.time(), [], []
    for name, function in tests(words):
        before = time.time()
        with tempfile.TemporaryDirectory(prefix="krylens-mpi-") as folder:
            try:
                function(Krylens(executable, folder))
                outcome = "ok"
            except Skipped as reason:
                skipped.append(name)
                outcome = f"skipped: {reason}"
            except Exception:  # every test runs, whatever happened in the others
                failed.append(name)
                outcome = "FAILED\n" + traceback.format_exc()
        print(f"{time.time() - before:6.1f} s  {name}: {outcome}", flush=True)
    print(f"test-mpi: {time.time() - start:.0f} s, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    sys.exit(main(sys.argv[1], sys.argv[2:]))
