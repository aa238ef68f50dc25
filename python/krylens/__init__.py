"""Singular triplets of the residual Jacobians of transformer blocks, matrix-free.

    import krylens

    with krylens.open("SmolLM2-135M-Instruct.Q4_1.gguf") as model:
        J = model.jacobian("The capital of France is", layer=15)    # a scipy.sparse.linalg.LinearOperator
        U, s, Vt = J.svds(k=5)
        run = model.align(["The capital of France is"])
    run.coupling(sign="absolute").mean                              # (L, L)
    krylens.load("krylens-runs/capital").singular_values            # (prompts, L, K), of a run of the command
"""

from __future__ import annotations

from importlib import metadata as _metadata
from typing import TYPE_CHECKING, Any

from ._coupling import Coupling
from ._errors import (
    BusyError, ClosedError, ConvergenceWarning, Error, FailedError, ForkedError, InvalidArgument, LibraryError, RunError,
    StoppedError)
from ._runs import MapRun, Run, Trajectory, load
from ._triplets import Triplets

if TYPE_CHECKING:
    from ._jacobian import Jacobian
    from ._model import Model, open

__all__ = [
    "BusyError", "ClosedError", "ConvergenceWarning", "Coupling", "Error", "FailedError", "ForkedError", "InvalidArgument",
    "Jacobian", "LibraryError", "MapRun", "Model", "Run", "RunError", "StoppedError", "Trajectory", "Triplets", "load", "open"]

try:
    __version__ = _metadata.version("krylens")
except _metadata.PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"


def __getattr__(name: str) -> Any:
    # What works on open models imports SciPy, if it is there; reading runs does not wait for it.
    if name in ("Model", "open"):
        from . import _model

        return getattr(_model, name)
    if name == "Jacobian":
        from ._jacobian import Jacobian

        return Jacobian
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted([*globals(), *__all__])
