"""Singular triplets, as a solve or a run folder gives them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from ._files import numbers

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class _SVD(NamedTuple):
    U: Array
    s: Array
    Vt: Array


class Triplets(_SVD):
    """The k largest singular triplets of a Jacobian J, with ``J @ Vt[i] = s[i] * U[:, i]``.

    A tuple ``(U, s, Vt)``, oriented as :func:`scipy.sparse.linalg.svds` returns it, and the attributes below. Singular
    values come in descending order (SciPy leaves the order open; most of its solvers return ascending values).

    Attributes
    ----------
    U : ndarray, shape (m, k)
        Left singular vectors, in columns.
    s : ndarray, shape (k,)
        Singular values, largest first.
    Vt : ndarray, shape (k, n)
        Right singular vectors, in rows.
    residual_norms : ndarray, shape (k,)
        max(‖J v - s u‖, ‖Jᵀ u - s v‖) of each triplet, measured after the solve.
    bounds : ndarray, shape (k,), or None
        The most by which each singular value may differ from the true one (``docs/bounds.md``).
    vector_bounds : ndarray, shape (k,), or None
        The largest sine of the angle between each computed and true singular vector, left or right.
    clusters : list of (first, last)
        Ranks, counted from 1, of values so close that only the space their vectors span together is determined.
    converged : bool
        Whether all residual norms are within ``tolerance * s[0]``.
    report : dict
        The report of the solve: solver, applications, passes, certificate, remedy, seconds and so on, with the
        names that ``result.json`` uses.
    """

    residual_norms: Floats
    bounds: Optional[Floats]
    vector_bounds: Optional[Floats]
    report: Dict[str, Any]

    def __new__(
        cls, U: Array, s: Array, Vt: Array, residual_norms: Optional[Array] = None,
        report: Optional[Mapping[str, Any]] = None,
    ) -> "Triplets":
        self = super().__new__(cls, U, s, Vt)
        self.report = dict(report or {})
        self.residual_norms = np.full(len(s), np.nan) if residual_norms is None else np.asarray(residual_norms, np.float64)
        self.bounds = _optional(self.report.get("bound"))
        self.vector_bounds = _optional(self.report.get("vector_bound"))
        return self

    @property
    def converged(self) -> bool:
        return bool(self.report.get("converged", False))

    @property
    def clusters(self) -> List[Tuple[int, int]]:
        return [(int(first), int(last)) for first, last in self.report.get("clusters") or []]

    def __repr__(self) -> str:
        (m, _), (k, n) = self.U.shape, self.Vt.shape
        values = np.array2string(self.s[:5], precision=4, separator=", ")
        more = f" and {k - 5} more" if k > 5 else ""
        state = "converged" if self.converged else "not converged"
        return f"<Triplets: {k} of a ({m}, {n}) Jacobian, {state}, s = {values}{more}>"


def _optional(values: Any) -> Optional[Floats]:
    return None if values is None else numbers(values, 1, "result.json: bounds")
