"""What a Jacobian is derived from: SciPy's ``LinearOperator``, or a small one of the same form where SciPy is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator
else:
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError:

        class LinearOperator:
            """The part of ``scipy.sparse.linalg.LinearOperator`` that needs no SciPy: products and transposes."""

            ndim = 2

            def __init__(self, dtype: Any, shape: Tuple[int, int]) -> None:
                self.dtype, self.shape = np.dtype(dtype), shape

            def matvec(self, x: Any) -> Any:
                x = np.asarray(x)
                return self._matvec(x).reshape((self.shape[0],) + x.shape[1:])

            def rmatvec(self, x: Any) -> Any:
                x = np.asarray(x)
                return self._rmatvec(x).reshape((self.shape[1],) + x.shape[1:])

            def matmat(self, X: Any) -> Any:
                return self._matmat(X)

            def rmatmat(self, X: Any) -> Any:
                return self._rmatmat(X)

            def dot(self, x: Any) -> Any:
                x = np.asarray(x)
                return self.matvec(x) if x.ndim == 1 or x.shape[1:] == (1,) else self.matmat(x)

            __matmul__ = __call__ = dot

            def adjoint(self) -> Any:
                return self._adjoint()

            transpose = adjoint
            H = T = property(adjoint)

            def _adjoint(self) -> Any:
                return _Adjoint(self)

        class _Adjoint(LinearOperator):
            def __init__(self, of: Any) -> None:
                super().__init__(of.dtype, of.shape[::-1])
                self._matvec, self._rmatvec, self._matmat, self._rmatmat = of._rmatvec, of._matvec, of._rmatmat, of._matmat
                self._adjoint = lambda: of

__all__ = ["LinearOperator"]
