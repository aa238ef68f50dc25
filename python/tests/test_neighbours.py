"""Other packages with a BLAS of their own in the process: in whichever order they come, neither changes the other's numbers."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
from typing import Callable

import pytest

PROGRAM = """
    import importlib, sys

    model, order = sys.argv[1], sys.argv[2].split(",")
    for name in order:
        importlib.import_module(name)
        if name == "krylens":
            import krylens
            opened = krylens.open(model)
    import numpy as np
    import scipy.linalg

    def theirs():
        A = np.random.default_rng(0).standard_normal((120, 80))
        found = [A @ A.T, np.linalg.svd(A)[1], scipy.linalg.svd(A)[1]]
        if "torch" in sys.modules:
            import torch
            found += [(torch.from_numpy(A) @ torch.from_numpy(A.T)).numpy(), torch.linalg.svd(torch.from_numpy(A))[1].numpy()]
        return [x.tobytes().hex() for x in found]

    def ours():
        found = []
        for solver in ["block", "arpack", "dense"]:
            triplets = opened.jacobian([1, 2, 3, 4], layer=2, precision="double").svds(3, solver=solver)
            found += [triplets.U, triplets.s, triplets.Vt]
        J = opened.jacobian([1, 2, 3, 4], layer=2)
        found += [J @ np.ones((24, 8), dtype=np.float32), J.T @ np.ones((24, 8), dtype=np.float32)]
        return [x.tobytes().hex() for x in found]

    first = theirs(), ours()
    assert first == (theirs(), ours())
    print(first)
"""


def test_neither_blas_changes_the_other(
    process: Callable[..., "subprocess.CompletedProcess[str]"], llama: pathlib.Path
) -> None:
    pytest.importorskip("scipy")
    others = ["numpy", "scipy.linalg", *(["torch"] if importlib.util.find_spec("torch") else [])]
    # The package itself imports numpy, whatever was imported before it.
    orders = [["krylens", *others], [*others, "krylens"], [*others[::-1], "krylens"]]
    first, *rest = [process(PROGRAM, llama, ",".join(order)).stdout for order in orders]
    assert all(other == first for other in rest)
