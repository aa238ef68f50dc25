#!/usr/bin/env python3
"""Prints the path of illc1850.mtx (1850 × 712, 8636 entries), written the first time from the data of SciPy's own tests.

The matrix is a least-squares problem from surveying (Harwell-Boeing collection, LSQ set) and PROPACK's example. It is kept
outside the clone, in ${XDG_CACHE_HOME:-~/.cache}/krylens, and checked against its SHA-256.
"""
import hashlib
import os
import pathlib
import sys

SUM = "9d6627b56d536b420308764e91d021da1b6327fec31a5a98828e7b777228e9dd"


def matrix():
    try:
        import numpy
        import scipy.sparse.linalg as package
    except ImportError:
        sys.exit("illc1850 is read from SciPy's tests: python3 -m pip install scipy")
    data = pathlib.Path(package.__file__).parent / "tests" / "propack_test_data.npz"
    if not data.exists():
        sys.exit(f"this SciPy came without its tests ({data} is missing): install it from PyPI")
    with numpy.load(data, allow_pickle=True) as arrays:
        return arrays["A_real"].item().tocoo()


cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "krylens"
path = cache / "illc1850.mtx"
if not (path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == SUM):
    a = matrix()
    lines = ["%%MatrixMarket matrix coordinate real general", f"{a.shape[0]} {a.shape[1]} {a.nnz}"]
    entries = sorted(zip(a.row.tolist(), a.col.tolist(), a.data.tolist()))
    lines += [f"{i + 1} {j + 1} {value!r}" for i, j, value in entries]
    text = ("\n".join(lines) + "\n").encode()
    if hashlib.sha256(text).hexdigest() != SUM:
        sys.exit(f"SciPy's matrix is not the expected one (SHA-256 {hashlib.sha256(text).hexdigest()})")
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(text)
    part.rename(path)
print(path)
