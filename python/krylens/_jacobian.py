"""Jacobians as linear operators."""

from __future__ import annotations

import warnings
from ctypes import byref, c_int64, c_void_p
from typing import Any, Dict, Optional, Union

import numpy as np

from ._base import LinearOperator
from ._errors import ConvergenceWarning, InvalidArgument
from ._library import Handle, library, settings
from ._progress import Progress, Watch
from ._triplets import Array, Triplets


class Jacobian(LinearOperator):
    """The Jacobian of one map of a model at one prompt: an m × n matrix that is known by its products.

    Made by :meth:`krylens.Model.jacobian`. It is a :class:`scipy.sparse.linalg.LinearOperator` where SciPy is installed:
    ``J @ x``, ``J.T @ y``, ``J.matvec``, ``rmatvec``, ``matmat``, ``rmatmat``, sums, products with other operators, and
    every solver of SciPy take it. Without SciPy it has the products and transposes alone.

    A product costs about one forward pass of the map's tokens for each vector; up to 32 vectors share one pass
    over the weights, so ``J @ X`` is much faster than its columns one by one. No weights are copied.

    Vectors of float32 and float16 give float32; float64, integers and booleans give float64. Either way products are computed
    in the precision of the Jacobian, which ``dtype`` says. Any memory order is taken; products of several vectors
    come in Fortran order, which is how they are computed.

    One thread may use it at a time; another one gets :class:`krylens.BusyError`. It cannot be pickled, nor used in a
    child process made by ``fork``. Other threads run while a product is computed.

    Attributes
    ----------
    shape : tuple of int
        (m, n): m numbers of output, n of input. Several tokens follow one another in the vectors.
    dtype : numpy.dtype
        float32, or float64 where the Jacobian was made with ``precision="double"``.
    info : dict
        Boundaries, resolved tokens, token ids and texts, whether the identity was subtracted, notes.
    """

    info: Dict[str, Any]

    def __init__(self, model: Handle, request: Dict[str, Any]) -> None:
        pointer = c_void_p()
        library().call("jacobian_open", model.pointer, settings(request), byref(pointer))
        self._handle = Handle("jacobian", pointer.value)
        self.info = library().json("jacobian_info", self._handle.pointer)
        m, n = c_int64(), c_int64()
        library().call("jacobian_shape", self._handle.pointer, byref(m), byref(n))
        super().__init__(  # type: ignore[call-arg]  # scipy-stubs describes the function of that name
            np.float64 if self.info.get("precision") == "double" else np.float32, (m.value, n.value))

    def svds(
        self, k: int = 6, *, tolerance: Optional[float] = None, certify: Union[str, float, None] = None,
        solver: Optional[str] = None, block_size: Optional[int] = None, seed: Optional[int] = None, precision: Optional[str] = None,
        progress: Progress = False,
    ) -> Triplets:
        """The k largest singular triplets: ``U, s, Vt = J.svds(k)``.

        The numbers are those of ``krylens triplets`` with the same settings, to the bit.

        Parameters
        ----------
        k : int
            How many, from 1 to min(m, n). With k ≥ min(m, n) - 1 the dense solver answers.
        tolerance : float, optional
            Residual norms must not exceed ``tolerance * s[0]``; 1e-5 by default.
        certify : {"auto", "proof", "bound", "off"} or float, optional
            Whether to prove that no larger triplet was missed, or the probability that the proof may be wrong
            (``docs/bounds.md``).
        solver : {"auto", "arpack", "block", "randomized", "dense"}, optional
        block_size : int, optional
            How many vectors the block solver applies together, from 1 to 32; by default what is fastest on this machine.
        seed : int, optional
            Of start vectors and probes; 0 by default. The same seed finds the same bits.
        precision : {"auto", "single", "double"}, optional
            Of the solve's products. ``"auto"`` goes from single to double where rounding keeps residual norms above
            the tolerance; it is the default, unless the Jacobian is in double precision.
        progress : bool or function, optional
            True shows a bar of tqdm, if that is installed. A function is called with phase, passes done, passes in
            all and seconds left (None if unknown), at least once per pass.

        Returns
        -------
        Triplets
            A tuple (U, s, Vt) in float64 with residual norms, bounds and a report. Singular values descend.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before all residual norms were within the tolerance; the message says what to change.

        Notes
        -----
        Ctrl-C ends the solve after the current pass, and KeyboardInterrupt is raised.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
            raise InvalidArgument(f"k {k!r}: must be a number of triplets, from 1 to {min(self.shape)}")
        request = settings({
            "top": k, "tolerance": tolerance, "certify": certify, "solver": solver, "block_size": block_size, "seed": seed,
            "precision": precision})
        found = c_void_p()
        with Watch(progress) as watch:
            library().call("solve", self._handle.pointer, request, watch.callback, None, byref(found))
        handle = Handle("triplets", found.value)
        try:
            triplets = self._copied(handle)
        finally:
            handle.close()
        if not triplets.converged:
            remedy = triplets.report.get("remedy")
            warnings.warn(
                f"the solve ended before all {k} triplets had converged" + (f": {remedy}" if remedy else ""),
                ConvergenceWarning, stacklevel=2)
        return triplets

    def _copied(self, handle: Handle) -> Triplets:
        count, m, n = c_int64(), c_int64(), c_int64()
        library().call("triplets_shape", handle.pointer, byref(count), byref(m), byref(n))
        s, residuals = np.empty(count.value), np.empty(count.value)
        u, v = np.empty((count.value, m.value)), np.empty((count.value, n.value))
        sizes = [argument for array in (s, u, v, residuals) for argument in (array.ctypes.data, array.size)]
        library().call("triplets_copy", handle.pointer, *sizes)
        return Triplets(u.T, s, v, residuals, library().json("triplets_info", handle.pointer))

    def close(self) -> None:
        """Frees what it holds. Whatever is done with it afterwards raises :class:`krylens.ClosedError`."""
        self._handle.close()

    def __enter__(self) -> "Jacobian":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The shapes are checked here for a message that says what is expected; SciPy's says "dimension mismatch".

    def matvec(self, x: Any) -> Any:
        """J x for a vector of shape (n,) or (n, 1): shape (m,) or (m, 1)."""
        self._check(x, self.shape[1], "matvec")
        return super().matvec(x)

    def rmatvec(self, x: Any) -> Any:
        """Jᵀ x for a vector of shape (m,) or (m, 1): shape (n,) or (n, 1)."""
        self._check(x, self.shape[0], "rmatvec")
        return super().rmatvec(x)

    def matmat(self, X: Any) -> Any:
        """J X for vectors in columns, shape (n, k): shape (m, k). Up to 32 columns share a pass over the weights."""
        self._check(X, self.shape[1], "matmat")
        return super().matmat(X)

    def rmatmat(self, X: Any) -> Any:
        """Jᵀ X for vectors in columns, shape (m, k): shape (n, k). Up to 32 columns share a pass over the weights."""
        self._check(X, self.shape[0], "rmatmat")
        return super().rmatmat(X)

    def dot(self, x: Any) -> Any:
        """J x of a vector, a matrix of columns, or another operator: what ``J @ x`` computes."""
        _refuse_masked(x)
        shape, n = np.shape(x), self.shape[1]
        if shape and not (shape[0] == n and len(shape) <= 2):
            raise InvalidArgument(f"J @ x: shape {shape}, expected ({n},) or ({n}, k): the Jacobian is {self.shape[0]} × {n}")
        return super().dot(x)

    def _check(self, x: Any, length: int, name: str) -> None:
        _refuse_masked(x)
        shape = np.shape(x)
        takes_one = name.endswith("matvec")
        if not (shape in ((length,), (length, 1)) if takes_one else len(shape) == 2 and shape[0] == length):
            expected = f"({length},) or ({length}, 1)" if takes_one else f"({length}, k)"
            raise InvalidArgument(f"{name}: shape {shape}, expected {expected}: the Jacobian is {self.shape[0]} × {self.shape[1]}")

    def _matvec(self, x: Any) -> Any:
        return self._products("jvp", np.reshape(_real(x), (1, -1)), self.shape[0])[0]

    def _rmatvec(self, x: Any) -> Any:
        return self._products("vjp", np.reshape(_real(x), (1, -1)), self.shape[1])[0]

    def _matmat(self, X: Any) -> Any:
        return self._products("jvp", _real(X).T, self.shape[0]).T

    def _rmatmat(self, X: Any) -> Any:
        return self._products("vjp", _real(X).T, self.shape[1]).T

    def _products(self, direction: str, rows: Array, length: int) -> Array:
        """J or Jᵀ times each row: (k, n) → (k, length)."""
        rows = np.require(rows, requirements=["C", "A"])
        products = np.empty((len(rows), length), dtype=rows.dtype)
        pointer = self._handle.pointer
        if len(rows):
            library().call(
                f"{direction}_f{8 * rows.itemsize}", pointer, len(rows), rows.ctypes.data, rows.size,
                products.ctypes.data, products.size)
        return products

    def _adjoint(self) -> Any:
        return super()._adjoint()

    _transpose = _adjoint  # real: Jᵀ is the adjoint, and nothing needs conjugating

    def __reduce_ex__(self, _: Any) -> Any:
        return self._handle.__reduce__()

    def __repr__(self) -> str:
        state = "closed " if self._handle.is_closed else ""
        span = f"boundary {self.info.get('from_layer')} to {self.info.get('to_layer')}"
        return f"<{state}Jacobian: {self.shape[0]} × {self.shape[1]}, {span}, {self.dtype}>"


def _refuse_masked(x: Any) -> None:
    """SciPy drops the mask, and the hidden entries would count. Raises :class:`InvalidArgument`."""
    if np.ma.is_masked(x):
        raise InvalidArgument("vectors of a masked array: a product needs every entry; fill them in, as with x.filled(0)")


def _real(x: Any) -> Array:
    """Numbers in float32 if they are in float32 or float16, in float64 if they are other real ones."""
    array = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
    if array.dtype.kind not in "fiub":
        advice = "apply it to the real and to the imaginary part" if array.dtype.kind == "c" else "give an array of real numbers"
        raise InvalidArgument(f"vectors of {array.dtype}: a Jacobian is real; {advice}")
    wanted = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64
    real: Array = array.astype(wanted, copy=False)
    return real
